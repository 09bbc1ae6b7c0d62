/**
 * Servers and networks at their worst, in front of a controller that runs as a process: what it sees is late, missing or
 * old (Sieve's patterns), writes are refused or their answers lost, the API server goes away. The oracle is always the
 * picture of a run that nobody disturbed, with no claim deleted and no container on an empty or a shared claim.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { afterList, closeAfter, dropWhere, duplicateAt, holdFrom } from '../support/fault-lines.ts'
import { answer, answerAfter, lines, lostAnswer, reset, type FaultRule } from '../support/fault-proxy.ts'
import { eventually } from '../support/sandbox.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'
import { isReady, SweepBed } from './support/sweep-bed.ts'

const PORTS = [{ name: 'http', port: 80 }]
const image = (tag: string) => ({ image: `registry.test/apps/app:${tag}`, ports: PORTS })
/** Watches of what was made, not of the apps. */
const CHILDREN = /\/(pods|statefulsets|persistentvolumeclaims|services)\?.*watch/
const OBJECTS = /\/(pods|statefulsets|persistentvolumeclaims|services|containerapps)/

const STORM = { times: 6, skip: 0 }

const FAULTS: Readonly<Record<string, readonly FaultRule[]>> = {
  'watches that close after every second event': [
    { match: { watch: true, path: CHILDREN }, times: 40, fault: lines(afterList(closeAfter(2))) },
  ],
  'watches whose first event comes twice': [
    { match: { watch: true, path: CHILDREN }, times: 40, fault: lines(afterList(duplicateAt(1))) },
  ],
  'every watch answered with 410': [{ match: { watch: true, path: OBJECTS }, times: 12, fault: answer(410) }],
  'writes that meet 409': [{ match: { write: true, path: OBJECTS }, ...STORM, fault: answer(409) }],
  'writes that meet 429 with Retry-After': [
    { match: { write: true, path: OBJECTS }, ...STORM, fault: answer(429, { 'retry-after': '1' }) },
  ],
  'writes that meet 500': [{ match: { write: true, path: OBJECTS }, ...STORM, fault: answer(500) }],
  'writes that are done, and answered with 500': [
    { match: { write: true, path: OBJECTS }, ...STORM, fault: answerAfter(500) },
  ],
  'writes that are done, and never answered': [
    { match: { write: true, path: OBJECTS }, ...STORM, fault: lostAnswer() },
  ],
  // One a pass, and the pauses between passes double.
  'connections that are reset': [{ match: { path: OBJECTS }, times: 5, fault: reset() }],
}

describe.skipIf(await isControlPlaneMissing())('a controller', () => {
  let bed: SweepBed
  let controller: Awaited<ReturnType<SweepBed['startController']>>
  let wanted: string

  beforeAll(async () => {
    bed = await SweepBed.start()
    controller = await bed.startController()
    wanted = await story(await bed.namespace())
  })
  afterAll(async () => {
    await controller?.stop('SIGKILL')
    await bed?.[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    bed.proxy.heal()
    await bed.mustBeUnharmed()
  })

  const rest = (namespace: string) => bed.atRest(namespace, isReady, () => controller.log)

  /** Made, upgraded with a new volume, grown. */
  async function story(namespace: string): Promise<string> {
    await bed.submit(namespace, image('1'))
    await eventually(
      'it runs',
      async () => isReady(await bed.app(namespace)),
      90_000,
      () => controller.log.slice(-3000),
    )
    await bed.submit(namespace, { ...image('3'), volumes: [{ path: '/data', size: '20Gi' }] })
    return rest(namespace)
  }

  test.each(Object.entries(FAULTS))('gets over %s', async (_name, rules) => {
    const namespace = await bed.namespace()
    const isAboutWatches = rules.some(({ match }) => match.watch === true)
    // Watches that are open stay as they are: those of a new process are met.
    if (isAboutWatches) await controller.stop()
    const armed = rules.map((rule) => bed.proxy.fault(rule))
    if (isAboutWatches) controller = await bed.startController()
    expect(await story(namespace)).toBe(wanted)
    for (const { hits } of armed) expect(hits).toBeGreaterThan(0)
  })

  test('gets over watches that never tell of deletions (unobserved state)', async () => {
    await controller.stop('SIGKILL')
    const rule = bed.proxy.fault({
      match: { watch: true, path: CHILDREN },
      times: 30,
      fault: lines(dropWhere((line) => line.includes('"DELETED"'))),
    })
    controller = await bed.startController()
    const namespace = await bed.namespace()
    await bed.submit(namespace, image('1'))
    // The preflight pod is gone from the server, and the controller still sees it; a break of the watch tells it.
    await eventually('it runs', async () => isReady(await bed.app(namespace)), 90_000)
    expect(rule.hits).toBeGreaterThan(0)
    rule.remove()
    await controller.stop('SIGKILL')
    controller = await bed.startController()
    await bed.submit(namespace, { ...image('3'), volumes: [{ path: '/data', size: '20Gi' }] })
    expect(await rest(namespace)).toBe(wanted)
  })

  test('acts on an old view without harm, and on the new one when it comes (stale state)', async () => {
    const namespace = await bed.namespace()
    await bed.submit(namespace, image('1'))
    await rest(namespace)
    await controller.stop('SIGKILL')
    const gate = Promise.withResolvers<void>()
    const rule = bed.proxy.fault({
      match: { watch: true, path: CHILDREN },
      times: 30,
      fault: lines(afterList(holdFrom(1, gate.promise))),
    })
    controller = await bed.startController()
    await bed.submit(namespace, { ...image('3'), volumes: [{ path: '/data', size: '20Gi' }] })
    await eventually('it has begun', async () => bed.objectWrites(controller.identity) > 0)
    expect(rule.hits).toBeGreaterThan(0)
    gate.resolve()
    expect(await rest(namespace)).toBe(wanted)
  })

  test('outlives the API server', async () => {
    const namespace = await bed.namespace()
    await bed.submit(namespace, image('1'))
    await eventually('it has begun', async () =>
      (await bed.picture(namespace)).includes('persistentvolumeclaims'),
    )
    await bed.plane.stopApiServer('SIGKILL')
    await bed.plane.startApiServer()
    await eventually(
      'it runs',
      async () => isReady(await bed.app(namespace)),
      120_000,
      () => controller.log.slice(-3000),
    )
    await bed.submit(namespace, { ...image('3'), volumes: [{ path: '/data', size: '20Gi' }] })
    expect(await rest(namespace)).toBe(wanted)
    expect(await controller.stop()).toBe(0)
    controller = await bed.startController()
  })

  test('at rest writes nothing, also after a restart', async () => {
    await controller.stop()
    const before = (await bed.plane.auditEvents()).length
    controller = await bed.startController()
    const { items } = await bed.plane.api.json<{ items: readonly unknown[] }>(
      'GET',
      '/apis/fairlead.dev/v1alpha1/containerapps',
    )
    const quiet = () => controller.lines().filter(({ msg }) => msg === 'nothing to do')
    await eventually('every app was looked at', () => {
      return new Set(quiet().map((line) => line['app'])).size === items.length
    })
    expect(items.length).toBeGreaterThan(0)
    const writes = (await bed.plane.auditEvents()).slice(before)
    expect(writes.filter(isByController).map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([])
  })
})

function isByController({ user, requestURI }: { user: { username: string }; requestURI: string }): boolean {
  return user.username.endsWith(':fairlead') && !/dryRun=|selfsubject|tokenreviews/.test(requestURI)
}
