/** `rebuild`, `rollback` and `restart`: one annotation of the user's, and the answer of a controller. */
import { beforeEach, describe, expect, test } from 'vitest'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT, ROLLBACK_TO } from '../../../src/crd/labels.ts'
import type { AppStatus } from '../../../src/crd/status.ts'
import { CONTAINER_APPS } from '../../../src/engine/kubernetes/resources.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { condition, DIGEST_A, DIGEST_B, DIGEST_C, NOON, runningStatus } from '../prepared-state.ts'
import { ClusterDesk } from './world.ts'

let desk: ClusterDesk
beforeEach(() => {
  desk = new ClusterDesk()
  return () => desk[Symbol.dispose]()
})

function statusWith(digest: `sha256:${string}`, changes: Partial<AppStatus> = {}): AppStatus {
  const { image, ...rest } = runningStatus()
  if (image === undefined) throw new Error('no image')
  const history = [{ digest: DIGEST_C, reference: 'example/app:1', resolvedAt: NOON }]
  return { ...rest, image: { ...image, digest, history }, ...changes }
}

/** A controller that answers each request once with what `answer` makes of it. */
function controller(answer: (object: KubeObject) => AppStatus | undefined): void {
  desk.kube.watch(CONTAINER_APPS, ({ kind, object }) => {
    const request = object.metadata.annotations?.[RESOLVE_REQUESTED_AT]
    const handled = (object['status'] as AppStatus | undefined)?.lastHandledRequest
    if (kind !== 'updated' || (request !== undefined && handled === request)) return
    const status = answer(object)
    if (status !== undefined)
      void desk.writeStatus('chat/web', {
        ...status,
        ...(request === undefined ? {} : { lastHandledRequest: request }),
      })
  })
}

async function annotations(): Promise<Readonly<Record<string, string>> | undefined> {
  return (await desk.kube.get(CONTAINER_APPS, 'chat', 'web'))?.metadata.annotations
}

describe('rebuild', () => {
  test('asks once, waits and prints the old and the new digest', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    controller(() => statusWith(DIGEST_B))
    const { code, stdout } = await desk.run(['rebuild', 'web'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: `chat/web: ${DIGEST_A} -> ${DIGEST_B}\n` })
    const patches = desk.kube.writes.filter(({ manager }) => manager === 'kubectl-fairlead')
    expect(patches).toMatchObject([{ verb: 'patch', plural: 'containerapps', subresource: undefined }])
    expect(Object.keys(patches[0]?.body as object)).toEqual(['metadata'])
    expect(Object.keys((await annotations()) ?? {})).toEqual([RESOLVE_REQUESTED_AT])
  })

  test('takes an old rollback back', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    const metadata = { annotations: { [ROLLBACK_TO]: DIGEST_C, mine: 'kept' } }
    await desk.kube.mergePatch(CONTAINER_APPS, 'chat', 'web', { metadata }, { fieldManager: 'user' })
    await desk.run(['rebuild', 'web', '--no-wait'])
    expect(Object.keys((await annotations()) ?? {}).toSorted()).toEqual([RESOLVE_REQUESTED_AT, 'mine'])
  })

  test('that is open is taken back by --cancel', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    await desk.run(['rebuild', 'web', '--no-wait'])
    expect(await desk.run(['rebuild', 'web', '--cancel'])).toMatchObject({
      code: 0,
      stdout: `chat/web: the rebuild is taken back; pinned is ${DIGEST_A}\n`,
      stderr: '',
    })
    expect(Object.keys((await annotations()) ?? {})).toEqual([])
    expect(await desk.run(['rebuild', 'web', '--cancel'])).toMatchObject({
      code: 0,
      stdout: 'chat/web: no rebuild or rollback is open\n',
    })
  })

  test('that is open is taken back by restart, which says so', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    await desk.run(['rebuild', 'web', '--no-wait'])
    expect(await desk.run(['restart', 'web', '--no-wait'])).toMatchObject({
      code: 0,
      stderr: 'chat/web: the rebuild that was still wanted is taken back\n',
    })
    expect(Object.keys((await annotations()) ?? {})).toEqual([RESTART_REQUESTED_AT])
  })

  test('--no-wait asks and returns', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    expect(await desk.run(['rebuild', 'web', '--no-wait'])).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(await annotations()).toHaveProperty([RESOLVE_REQUESTED_AT])
  })

  test('a refusal ends with 1, its reason and its sentence', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    const no = 'spec.image: there is no such tag'
    const conditions = [
      condition('Ready', 'False', 'ImageNotFound', no),
      condition('Stalled', 'True', 'ImageNotFound', no),
    ]
    controller(() => statusWith(DIGEST_A, { conditions }))
    const { code, stdout, stderr } = await desk.run(['rebuild', 'web'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`\nImageNotFound: chat/web: ${no}\n`)
  })

  test('a timeout says what it still waits for', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    const { code, stderr } = await desk.run(['rebuild', 'web', '--wait-timeout', '1ms'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^TimedOut: chat\/web is not ready yet: /m)
  })

  test('an interruption says where to look', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    const { code, stderr } = await desk.run(['rebuild', 'web'], { signal: AbortSignal.abort() })
    expect(code).toBe(1)
    expect(stderr).toContain('see: kubectl fairlead status chat/web')
  })

  test('JSON is the whole resource', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    controller(() => statusWith(DIGEST_B))
    const { stdout } = await desk.run(['rebuild', 'web', '-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'ContainerApp',
      status: { image: { digest: DIGEST_B } },
    })
  })
})

describe('rollback', () => {
  test.each([
    ['the newest of the history', [], DIGEST_C],
    ['the beginning of one', ['--to', 'sha256:cc'], DIGEST_C],
    ['a digest that the history has no more', ['--to', DIGEST_B], DIGEST_B],
  ])('goes to %s', async (_title, options, digest) => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    controller((object) =>
      statusWith(object.metadata.annotations?.[ROLLBACK_TO] === digest ? digest : DIGEST_A),
    )
    expect(await desk.run(['rollback', 'web', ...options])).toMatchObject({
      code: 0,
      stdout: `chat/web: ${DIGEST_A} -> ${digest}\n`,
    })
  })

  test('says what was not asked', async () => {
    const { image, ...rest } = statusWith(DIGEST_C)
    await desk.app('chat/web', statusWith(DIGEST_A))
    controller(() => ({ ...rest, ...(image === undefined ? {} : { image: { ...image, rollback: {} } }) }))
    const { stdout } = await desk.run(['rollback', 'web'])
    expect(stdout).toMatch(/\nwhat example\/app:1 names now was not asked; a rebuild asks and takes it\n$/)
  })

  test('without a history asks for nothing', async () => {
    await desk.app('chat/web', runningStatus())
    const before = desk.kube.writes.length
    const { code, stderr } = await desk.run(['rollback', 'web'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^NotFound: .*has no earlier digest/)
    expect(desk.kube.writes.length).toBe(before)
  })
})

describe('restart', () => {
  test('waits for another revision of the same digest', async () => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    let answered = false
    controller((object) => {
      if (answered || object.metadata.annotations?.[RESTART_REQUESTED_AT] === undefined) return undefined
      answered = true
      return statusWith(DIGEST_A, { workload: { replicas: 1, ready: 1, revision: 'r2', restarts: 0 } })
    })
    expect(await desk.run(['restart', 'web'])).toMatchObject({
      code: 0,
      stdout: 'chat/web: restarted, revision r2\n',
    })
  })

  test('of a suspended app asks for nothing', async () => {
    await desk.app('chat/web', runningStatus({ conditions: [condition('Ready', 'True', 'Suspended')] }))
    expect(await desk.run(['restart', 'web'])).toMatchObject({
      code: 1,
      stderr: 'NotFound: spec.suspend: chat/web is suspended: it has no pod to restart\n',
    })
    expect(await annotations()).toBeUndefined()
  })
})

describe('usage', () => {
  test.each([
    [['rebuild'], "missing required argument 'name'"],
    [['rebuild', 'No_Name'], 'name or namespace/name'],
    [['rebuild', 'web', '-n', 'A_'], '--namespace'],
    [['rebuild', 'web', '--wait-timeout', 'soon'], 'such as 90s or 5m'],
    [['status', '-o', 'xml'], 'table, json, yaml'],
    [['sttus'], 'Did you mean status?'],
  ])('%j ends with 2 and writes nothing', async (args, said) => {
    await desk.app('chat/web', statusWith(DIGEST_A))
    const before = desk.kube.writes.length
    const { code, stdout, stderr } = await desk.run(args)
    expect(stderr).toContain(said)
    expect({ code, stdout, writes: desk.kube.writes.length }).toEqual({ code: 2, stdout: '', writes: before })
  })
})
