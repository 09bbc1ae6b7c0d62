/**
 * The controller as a process, killed -9 after its n-th write, for every n: on create, upgrade, growth of a volume, and
 * delete with apply again. The next process finishes what it began; the end is that of a run that nobody disturbed.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isControlPlaneMissing } from './bed/test-cluster.ts'
import { isReady, SweepBed } from './support/sweep-bed.ts'

const PORTS = [{ name: 'http', port: 80 }]
const image = (tag: string) => ({ image: `registry.test/apps/app:${tag}`, ports: PORTS })
const sized = (size: string) => ({ ...image('1'), volumes: [{ path: '/data', size }] })

interface Story {
  /** What is there, and at rest, before. */
  readonly before?: object
  readonly act: (bed: SweepBed, namespace: string) => Promise<void>
}

const to = (spec: object) => (bed: SweepBed, namespace: string) => bed.submit(namespace, { ...spec })

const STORIES: Readonly<Record<string, Story>> = {
  create: { act: to(image('1')) },
  'upgrade with a new volume': { before: image('1'), act: to(image('3')) },
  'growth of a volume': { before: sized('1Gi'), act: to(sized('2Gi')) },
  'delete and apply again': {
    before: image('1'),
    act: async (bed, namespace) => {
      await bed.remove(namespace)
      await bed.submit(namespace, image('1'))
    },
  },
}

describe.skipIf(await isControlPlaneMissing())('killed after write n', () => {
  let bed: SweepBed
  let controller: Awaited<ReturnType<SweepBed['startController']>>

  beforeAll(async () => {
    bed = await SweepBed.start()
    controller = await bed.startController()
  })
  afterAll(async () => {
    await controller?.stop('SIGKILL')
    await bed?.[Symbol.asyncDispose]()
  })
  afterEach(() => bed.mustBeUnharmed())

  const rest = (namespace: string) => bed.atRest(namespace, isReady, () => controller.log)

  async function stage({ before }: Story): Promise<string> {
    const namespace = await bed.namespace()
    if (before === undefined) return namespace
    await bed.submit(namespace, { ...before })
    await rest(namespace)
    return namespace
  }

  /** `disarm`: false when it is too late for that. */
  function killAfter(n: number): { readonly when: Promise<string>; disarm(): boolean } {
    const victim = controller
    const killed = Promise.withResolvers<string>()
    let state: 'armed' | 'disarmed' | 'fired' = 'armed'
    bed.afterObjectWrite(n, victim.identity, async ({ method, url }) => {
      if (state === 'disarmed') return
      state = 'fired'
      await victim.stop('SIGKILL')
      killed.resolve(`${method} ${url}`)
    })
    const disarm = () => {
      if (state === 'armed') state = 'disarmed'
      return state === 'disarmed'
    }
    return { when: killed.promise, disarm }
  }

  test.each(Object.entries(STORIES))(
    '%s',
    async (_name, story) => {
      const undisturbed = await stage(story)
      const from = bed.objectWrites(controller.identity)
      await story.act(bed, undisturbed)
      const wanted = await rest(undisturbed)
      const writes = bed.objectWrites(controller.identity) - from
      expect(writes).toBeGreaterThan(2)
      for (let n = 1; n <= writes; n += 1) {
        const namespace = await stage(story)
        const killed = killAfter(n)
        await story.act(bed, namespace)
        const what = await Promise.race([killed.when, rest(namespace).then(() => undefined)])
        // Words of two moments may have become one: then there are fewer writes than in the undisturbed run.
        const wasKilled = !killed.disarm()
        expect(wasKilled || n > writes - 3).toBe(true)
        if (wasKilled) {
          await killed.when
          controller = await bed.startController()
        }
        expect(await rest(namespace), `killed after write ${n}: ${what}`).toBe(wanted)
      }
    },
    1_200_000,
  )
})
