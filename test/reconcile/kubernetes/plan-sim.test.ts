/** Plans played against a tiny cluster whose timing, faults and crashes are drawn by lot (seeded). */
import { describe, expect, test } from 'vitest'
import { clusterObserved, observeChild } from '../../../src/reconcile/kubernetes/observe.ts'
import { planCluster, type ClusterPlan } from '../../../src/reconcile/kubernetes/plan.ts'
import type { PreflightMemory } from '../../../src/reconcile/kubernetes/plan-context.ts'
import { planSettled } from '../../../src/reconcile/kubernetes/plan-settled.ts'
import { renderCluster } from '../../../src/reconcile/kubernetes/render.ts'
import type { ClusterObserved, ClusterOptions } from '../../../src/reconcile/kubernetes/types.ts'
import { desiredState } from '../../../src/reconcile/desired.ts'
import { clusterRevisionBasis } from '../../../src/reconcile/kubernetes/revision-basis.ts'
import type { Desired } from '../../../src/reconcile/types.ts'
import type { Digest } from '../../../src/image/types.ts'
import { dir, tree } from '../../bundle/tree.ts'
import { anApp, anImage, digest, frozen, KEY, sources } from '../../support/builders.ts'
import { ClusterSim } from './cluster-sim.ts'

const OPTIONS: ClusterOptions = frozen({
  fairleadImage: 'example.com/fairlead@sha256:00',
  fairleadPullSecrets: [],
  imageVolumes: true,
  podSecurity: 'baseline',
  defaultVolumeSize: '1Gi',
})
const APP_UID = 'app-uid'

interface Version {
  readonly digest: Digest
  readonly volumes: readonly string[]
  readonly spec?: Record<string, unknown>
}

const A: Version = { digest: digest('a1'), volumes: ['/data'] }
const B: Version = { digest: digest('b2'), volumes: ['/data', '/plugins'] }
/** Both seed the same paths for different digests. */
const C: Version = { digest: digest('c3'), volumes: ['/data', '/plugins', '/logs'] }
const D: Version = { ...C, digest: digest('d4') }
const MINDS: readonly Version[] = [A, B, C, D, { ...A, spec: { suspend: true } }]
const SHARED: Version = {
  digest: digest('b2'),
  volumes: [],
  spec: { volumes: [{ path: '/shared', accessModes: ['ReadWriteMany'] }] },
}

function desiredOf({ digest: pin, volumes, spec = {} }: Version, uid: string): Desired {
  const app = anApp({ ports: [{ port: 80 }], ...spec }, { uid })
  const image = anImage({ digest: pin, config: { volumes } })
  const folders = Object.fromEntries(volumes.map((path) => [path.slice(1), dir()]))
  const revision = clusterRevisionBasis(app, image)
  const result = desiredState({ key: KEY, app, image, tree: tree(folders), sources: sources(), revision })
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.desired
}

/** mulberry32: small, and the same on every machine. */
function lot(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

class Play {
  readonly sim: ClusterSim
  readonly random: () => number
  desired: Desired
  uid: string
  memory: PreflightMemory | undefined
  writes = 0
  /** The controller is killed before this write; undefined: never. */
  crashBefore: number | undefined

  constructor(seed: number, version: Version, uid = APP_UID) {
    this.random = lot(seed)
    this.sim = new ClusterSim(this.random)
    this.uid = uid
    this.sim.liveApps.add(uid)
    this.desired = desiredOf(version, uid)
  }

  change(version: Version): void {
    this.desired = desiredOf(version, this.uid)
  }

  /** The resource is deleted and applied again: the same name, another uid. */
  reapply(version: Version, uid: string): void {
    this.sim.liveApps.delete(this.uid)
    this.sim.liveApps.add(uid)
    this.uid = uid
    this.memory = undefined
    this.change(version)
  }

  observe(): ClusterObserved {
    return frozen(
      clusterObserved({
        key: KEY,
        appUid: this.uid,
        children: this.sim.snapshot().flatMap((object) => observeChild(object) ?? []),
        claimNames: [],
        expandable: undefined,
        nowMs: this.sim.nowMs,
      }),
    )
  }

  pass(observed = this.observe()): ClusterPlan {
    const rendered = renderCluster(this.desired, OPTIONS)
    const input = { rendered, desired: this.desired, observed, appUid: this.uid, options: OPTIONS }
    const plan = planCluster({ ...input, nowMs: this.sim.nowMs, memory: this.memory })
    this.memory = plan.memory
    for (const step of plan.steps) {
      if (step.kind === 'keep') continue
      if (this.crashBefore === this.writes) {
        this.crashBefore = undefined
        this.memory = undefined
        return plan
      }
      this.writes += 1
      try {
        this.sim.execute(step)
      } catch {
        // Refused, as an API server refuses what is there already or has another uid: the next pass looks again.
        return plan
      }
    }
    return plan
  }

  deed(): boolean {
    const deeds = this.sim.deeds()
    const deed = deeds[Math.floor(this.random() * deeds.length)]
    deed?.run()
    this.sim.check()
    return deed !== undefined
  }

  /** Lets things happen in any order, with passes on what was seen now, or some time ago. */
  storm(turns: number, staleness = 0): void {
    let seen = this.observe()
    for (let turn = 0; turn < turns; turn += 1) {
      this.sim.nowMs += Math.floor(this.random() * 20_000)
      if (this.random() < 0.6) this.deed()
      else {
        if (this.random() >= staleness) seen = this.observe()
        this.pass(seen)
      }
    }
  }

  /** Until nothing happens any more; gives the steps of the last pass. */
  calm(): readonly string[] {
    this.sim.faults = {}
    for (let turn = 0; turn < 400; turn += 1) {
      this.sim.nowMs += 60_000
      const { steps, problem, waiting, wakeAtMs } = this.pass()
      const kinds = steps.map(({ kind }) => kind)
      const rests = problem === undefined && waiting === undefined && wakeAtMs === undefined
      if (!this.deed() && rests && kinds.every((kind) => kind === 'keep')) return kinds
    }
    throw new Error(
      `does not settle: ${JSON.stringify(this.pass())} ${this.sim
        .deeds()
        .map(({ name }) => name)
        .join()}`,
    )
  }

  /** What is left, without uids and counts. */
  get outcome() {
    const { sim } = this
    const revision = (object: { metadata: { labels: Record<string, string> } }) =>
      object.metadata.labels['fairlead.dev/revision']
    return {
      workloads: sim.snapshot().flatMap((object) => {
        const seen = observeChild(object)
        return seen !== undefined && 'specReplicas' in seen
          ? [`${seen.kind} ${seen.revision} ${seen.specReplicas}`]
          : []
      }),
      pods: sim.pods('app').map((pod) => `${revision(pod)} ${String(pod.status['phase'])}`),
      preflights: sim.pods('preflight').length,
      claims: sim
        .all('PersistentVolumeClaim')
        .map(({ metadata }) => metadata.name)
        .toSorted(),
      data: [...sim.data].map(([name, paths]) => [name, ...paths].join(' ')).toSorted(),
      services: sim.all('Service').length,
    }
  }
}

/** What is not as it should be once nothing moves any more. */
function faultsOf(play: Play): readonly string[] {
  const rest = play.calm().filter((kind) => kind !== 'keep')
  const { workloads, pods, preflights, services } = play.outcome
  const { revision } = play.desired
  const [workload, ...others] = workloads
  return [
    ...rest,
    ...play.sim.violations,
    ...(workload?.endsWith(` ${revision} 1`) === true && others.length === 0 ? [] : workloads),
    ...(pods.length === 1 && pods[0] === `${revision} Running` ? [] : [`pods: ${pods.join()}`]),
    ...(preflights === 0 && services === 1 ? [] : [`${preflights} preflights, ${services} Services`]),
  ]
}

const SEEDS = Array.from({ length: 15 }, (_, index) => index + 1)

describe('a cluster whose timing is drawn by lot', () => {
  test.each(SEEDS)('a new app, a new digest and volume, and back (seed %i)', (seed) => {
    const play = new Play(seed, A)
    play.sim.faults = { preflightFails: 0.4, crashes: 0.05, evictions: 0.05 }
    play.storm(60)
    play.change(B)
    play.storm(60)
    expect(faultsOf(play)).toEqual([])
    play.change(A)
    play.storm(20)
    expect(faultsOf(play)).toEqual([])
    expect(play.outcome.claims).toHaveLength(2)
  })

  test.each(SEEDS)('what was seen some time ago does no harm (seed %i)', (seed) => {
    const play = new Play(seed, A)
    play.storm(40, 0.8)
    play.change(B)
    play.storm(80, 0.8)
    expect(faultsOf(play)).toEqual([])
  })

  test.each(SEEDS)('a change of mind half way (seed %i)', (seed) => {
    const play = new Play(seed, A)
    for (let turn = 0; turn < 12; turn += 1) {
      play.change(MINDS[Math.floor(play.random() * MINDS.length)] ?? A)
      play.storm(Math.floor(play.random() * 14))
    }
    play.change(A)
    expect(faultsOf(play)).toEqual([])
  })

  test.each(SEEDS)('deleted and applied again (seed %i)', (seed) => {
    const play = new Play(seed, A)
    play.storm(50)
    const before = play.outcome.data
    play.reapply(B, 'app-uid-2')
    play.storm(60)
    expect(faultsOf(play)).toEqual([])
    expect(play.outcome.data).toEqual(
      expect.arrayContaining(before.filter((words) => words.includes('sha256:'))),
    )
  })

  test.each(SEEDS)('from one writer to many and back (seed %i)', (seed) => {
    const play = new Play(seed, A)
    play.storm(50)
    play.change(SHARED)
    play.storm(50)
    expect(faultsOf(play)).toEqual([])
    play.change(A)
    play.storm(30)
    expect(faultsOf(play)).toEqual([])
    expect(play.outcome.workloads[0]).toMatch(/^StatefulSet /)
  })
})

describe('killed before any write', () => {
  /** A whole way: made, changed, suspended, resumed. */
  function whole(seed: number, crashBefore: number | undefined): Play {
    const play = new Play(seed, A)
    play.crashBefore = crashBefore
    for (const version of [A, B, { ...B, spec: { suspend: true } }, B]) {
      play.change(version)
      play.calm()
    }
    return play
  }

  const undisturbed = whole(1, undefined)
  const crashes = Array.from({ length: undisturbed.writes }, (_, index) => index)

  test('there is something to be killed before', () => {
    expect(undisturbed.writes).toBeGreaterThan(12)
    expect(undisturbed.sim.violations).toEqual([])
  })

  test.each(crashes)('write %i: the same end', (crash) => {
    const play = whole(1, crash)
    expect(play.sim.violations).toEqual([])
    expect(play.outcome).toEqual(undisturbed.outcome)
  })
})

describe('storage that forbids programs', () => {
  test('the old revision goes on, the new one never starts, and it is tried again', () => {
    const play = new Play(3, A)
    expect(faultsOf(play)).toEqual([])
    play.change(B)
    for (let turn = 0; turn < 80; turn += 1) {
      play.sim.faults = { noexec: true }
      play.storm(5)
    }
    expect(play.sim.violations).toEqual([])
    expect(play.outcome.pods).toEqual([`${desiredOf(A, APP_UID).revision} Running`])
    expect(play.memory).toMatchObject({ error: { reason: 'VolumeNotExecutable' } })
    expect(faultsOf(play)).toEqual([])
  })

  test('a new app never starts, also when its seeding is written down', () => {
    const play = new Play(4, B)
    for (let turn = 0; turn < 60; turn += 1) {
      play.sim.faults = { noexec: true }
      play.storm(5)
    }
    expect(play.outcome).toMatchObject({ workloads: [], pods: [] })
    expect(faultsOf(play)).toEqual([])
  })
})

describe('at rest', () => {
  test('a converged app is settled: nothing but keep, without a rendering', () => {
    const play = new Play(5, B)
    expect(faultsOf(play)).toEqual([])
    const { app, image } = play.desired
    const plan = planSettled({ observed: play.observe(), app, appUid: play.uid, pin: image.digest })
    expect(plan?.steps).toEqual([{ kind: 'keep', id: 'StatefulSet/mattermost' }])
  })

  test('another version of Fairlead that renders otherwise restarts nothing', () => {
    const play = new Play(6, { ...A, spec: { user: '2000' } })
    expect(faultsOf(play)).toEqual([])
    const rendered = renderCluster(play.desired, {
      ...OPTIONS,
      podSecurity: 'restricted',
      imageVolumes: false,
    })
    const observed = play.observe()
    const before = observed.workloads[0]?.applied?.['spec'] as { template: unknown }
    const plan = planCluster({
      rendered,
      desired: play.desired,
      observed,
      appUid: play.uid,
      options: OPTIONS,
      nowMs: 0,
    })
    for (const step of plan.steps) {
      if (step.kind !== 'apply') continue
      expect((step.object['spec'] as { template: unknown }).template).toEqual(before.template)
    }
    expect(plan.steps.filter(({ kind }) => kind === 'delete' || kind === 'create')).toEqual([])
  })

  test('kubectl rollout restart is heeded, one pod at a time', () => {
    const play = new Play(7, A)
    expect(faultsOf(play)).toEqual([])
    const [set] = play.sim.all('StatefulSet')
    const template = set?.spec['template'] as { metadata: { annotations: Record<string, string> } }
    template.metadata.annotations['kubectl.kubernetes.io/restartedAt'] = '2026-03-01T12:00:00Z'
    if (set !== undefined) set.metadata.generation += 1
    const [old] = play.sim.pods('app').map(({ metadata }) => metadata.uid)
    expect(faultsOf(play)).toEqual([])
    expect(play.sim.pods('app').map(({ metadata }) => metadata.uid)).not.toContain(old)
  })
})
