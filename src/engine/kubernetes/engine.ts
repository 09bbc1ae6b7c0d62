/** The Kubernetes engine: implements the middle's `Engine` port over caches and an API client. */
import type { App } from '../../crd/types.ts'
import type { AppStatus } from '../../crd/status.ts'
import { fieldsOf } from '../../crd/view.ts'
import type { Issue } from '../../errors.ts'
import type { Digest, ResolvedImage } from '../../image/types.ts'
import type { RevisionBasis, Desired, Plan } from '../../reconcile/types.ts'
import { serviceAddresses } from '../../reconcile/kubernetes/addresses.ts'
import { broughtClaims } from '../../reconcile/kubernetes/brought-claims.ts'
import { claimsHeldBy, isToHavePods, workloadClaims } from '../../reconcile/kubernetes/claim-uses.ts'
import type {
  ClaimUse,
  ClusterObserved,
  ClusterOptions,
  ClusterStep,
  KubeObject,
  ObservedClaim,
  ObservedObject,
  RenderedCluster,
} from '../../reconcile/kubernetes/types.ts'
import {
  clusterObserved,
  currentWorkload,
  setWithoutPods,
  type ClusterObservedInput,
} from '../../reconcile/kubernetes/observe.ts'
import { observeClaim } from '../../reconcile/kubernetes/observe-claim.ts'
import { planCluster, type ClusterPlan } from '../../reconcile/kubernetes/plan.ts'
import type { PreflightMemory } from '../../reconcile/kubernetes/plan-context.ts'
import { planKeepLastCluster, planSettled } from '../../reconcile/kubernetes/plan-settled.ts'
import { renderCluster } from '../../reconcile/kubernetes/render.ts'
import { clusterRevisionBasis } from '../../reconcile/kubernetes/revision-basis.ts'
import type { ExecSeen } from '../../reconcile/kubernetes/seeded.ts'
import { clusterSupportIssues } from '../../reconcile/kubernetes/support.ts'
import { appId, instanceId, type AppKey } from '../../reconcile/names.ts'
import type { Engine, PlanInput, PreparedImage, Sources } from '../../reconcile/ports.ts'
import { wantsToRun } from '../../reconcile/wants-to-run.ts'
import type { KubeClient } from './api/types.ts'
import type { ClusterAppStore } from './app-store.ts'
import type { Children } from './children.ts'
import type { ClusterFacts } from './cluster-facts.ts'
import { DEFERRED_SOURCES } from './deferred-sources.ts'
import { executeStep } from './execute.ts'
import { checkCluster } from './images/check-cluster.ts'
import type { ClusterPreparedImage } from './images/cluster-images.ts'
import type { RefusedPods } from './refused-pods.ts'
import { CLAIMS } from './resources.ts'
import { ClaimGrants } from './claim-grants.ts'

export interface ClusterEngineParts {
  /** For what no cache holds: claims that the user brought. */
  readonly client: Pick<KubeClient, 'get'>
  readonly writer: KubeClient
  readonly apps: Pick<ClusterAppStore, 'item'>
  readonly children: Pick<Children, 'of' | 'usesByOthers' | 'observeWrite' | 'observeDelete'>
  readonly facts: Pick<ClusterFacts, 'imageVolumes' | 'podSecurity' | 'expandable'>
  readonly preflightImage: string
  readonly preflightPullSecrets: readonly string[]
  readonly defaultVolumeSize: string
  readonly refusedPods: Pick<RefusedPods, 'look' | 'forget'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export class ClusterEngine implements Engine<ClusterObserved, ClusterStep> {
  readonly #parts: ClusterEngineParts
  /** What `check` rendered and `planTowards` plans: the same objects, rendered once. */
  readonly #rendered = new WeakMap<Desired, RenderedCluster>()

  /** Failed preflights by app, for the backoff. */
  readonly #memory = new Map<string, PreflightMemory>()
  readonly #grants = new ClaimGrants()

  constructor(parts: ClusterEngineParts) {
    this.#parts = parts
  }

  /** Hooks are checked in the container's own view before they are refused, so that all problems are told at once. */
  support(app: App): readonly Issue[] {
    return clusterSupportIssues(app).filter(({ reason }) => reason !== 'HooksUnsupported')
  }

  sources(): Promise<Sources> {
    return Promise.resolve(DEFERRED_SOURCES)
  }

  revisionBasis(app: App, image: ResolvedImage): RevisionBasis {
    return clusterRevisionBasis(app, image)
  }

  async observe(key: AppKey): Promise<ClusterObserved> {
    const item = this.#parts.apps.item(appId(key))
    const resource = item?.resource
    const claimNames = broughtClaims(resource)
    const children = this.#parts.children.of(appId(key))
    return this.#withRefusal({
      key,
      appUid: this.#uidOf(key),
      children: [...children, ...(await this.#foreignClaims(key, claimNames, children))],
      claimNames,
      expandable: this.#parts.facts.expandable(),
      execBefore: execBefore(resource?.['status'] as AppStatus | undefined),
      nowMs: this.#parts.now(),
    })
  }

  async check(desired: Desired, prepared: PreparedImage): Promise<readonly Issue[]> {
    const observed = await this.observe(desired.key)
    const issues = checkCluster(desired, prepared as ClusterPreparedImage, {
      isPrepared: ({ path }) => observed.claims.some(({ seeded }) => Object.hasOwn(seeded, path)),
    })
    const hooks = clusterSupportIssues(desired.app).filter(({ reason }) => reason === 'HooksUnsupported')
    const found = [...issues, ...hooks]
    // What can't be rendered is thrown with all its issues; those of the image come first.
    if (found.some(({ severity }) => severity === 'error')) return found
    const rendered = renderCluster(desired, this.options(desired.key.namespace), claimModes(observed))
    this.#rendered.set(desired, rendered)
    return [...found, ...rendered.warnings]
  }

  planSettled(
    { key, observed }: PlanInput<ClusterObserved>,
    app: App,
    pin: Digest,
  ): Plan<ClusterStep> | undefined {
    const seen = this.#withClaimUses(key, observed)
    const plan = planSettled({ observed: seen, app, appUid: this.#uidOf(key), pin })
    if (plan === undefined) return undefined
    this.#grants.withdraw(key)
    return waking(plan, observed)
  }

  planTowards(input: PlanInput<ClusterObserved>, desired: Desired): Plan<ClusterStep> {
    const { key, observed, backoff, nowMs } = input
    const options = this.options(key.namespace)
    const rendered = this.#rendered.get(desired) ?? renderCluster(desired, options, claimModes(observed))
    const plan = planCluster({
      rendered,
      desired,
      observed: this.#withClaimUses(key, observed),
      appUid: this.#uidOf(key),
      options,
      backoff,
      nowMs,
      memory: this.#memory.get(appId(key)),
    })
    if (desired.running && plan.problem?.error.reason !== 'VolumeInUse')
      this.#grant(key, observed, rendered.workload, plan)
    else this.#grants.withdraw(key)
    if (plan.memory === undefined) this.#memory.delete(appId(key))
    else this.#memory.set(appId(key), plan.memory)
    return waking(plan, observed)
  }

  planKeepLast({ key, observed, nowMs }: PlanInput<ClusterObserved>, running: boolean): Plan<ClusterStep> {
    this.#grants.withdraw(key)
    const plan = planKeepLastCluster({ observed, running, appUid: this.#uidOf(key), nowMs })
    return waking(plan, observed)
  }

  /** A deleted resource takes its children along by their owner references; nobody has to plan it. */
  planRemoval(): readonly ClusterStep[] {
    return []
  }

  execute(key: AppKey, step: ClusterStep): Promise<void> {
    const { writer, children } = this.#parts
    return executeStep({ client: writer, children }, key, step)
  }

  targetId({ key, revision }: Desired): string {
    return instanceId(key, revision)
  }

  settledTargetId(key: AppKey, observed: ClusterObserved): string | undefined {
    const workload = currentWorkload(observed.workloads, this.#uidOf(key))
    return workload === undefined ? undefined : instanceId(key, workload.revision)
  }

  addresses(app: App, { service }: ClusterObserved): readonly string[] {
    return serviceAddresses(app, service)
  }

  /** The app is gone. */
  forget(key: AppKey): void {
    this.#grants.withdraw(key)
    this.#memory.delete(appId(key))
    this.#parts.refusedPods.forget(appId(key))
  }

  /** How apps of a namespace are rendered now. */
  options(namespace: string): ClusterOptions {
    const { facts, preflightImage, preflightPullSecrets, defaultVolumeSize } = this.#parts
    return {
      fairleadImage: preflightImage,
      fairleadPullSecrets: preflightPullSecrets,
      imageVolumes: facts.imageVolumes(),
      podSecurity: facts.podSecurity(namespace),
      defaultVolumeSize,
    }
  }

  /** A StatefulSet without pods is asked about: it says nowhere else why it can't make them. */
  async #withRefusal(input: ClusterObservedInput): Promise<ClusterObserved> {
    const { refusedPods } = this.#parts
    const { key, appUid } = input
    const observed = clusterObserved(input)
    const workload = setWithoutPods(observed, appUid)
    if (workload === undefined) {
      refusedPods.forget(appId(key))
      return observed
    }
    const { refusal, wakeAtMs } = await refusedPods.look(appId(key), key.namespace, workload)
    return waking(refusal === undefined ? observed : clusterObserved({ ...input, refusal }), { wakeAtMs })
  }

  #uidOf(key: AppKey): string {
    return this.#parts.apps.item(appId(key))?.uid ?? ''
  }

  /** Looked up when the plan is made: what was so when the app was observed may be over. */
  #withClaimUses(key: AppKey, observed: ClusterObserved): ClusterObserved {
    const names = observed.claims.map(({ name }) => name)
    const claimUses = [
      ...this.#parts.children.usesByOthers(key, names),
      ...this.#grants.ofOthers(key),
      ...observed.claims.flatMap((claim) => this.#ownersWish(key, claim)),
    ]
    return { ...observed, claimUses }
  }

  /** A claim with the label of an app that is to run and has no workload yet. One that runs without it has left it. */
  #ownersWish({ namespace, name }: AppKey, claim: ObservedClaim): readonly ClaimUse[] {
    const { apps, children } = this.#parts
    if (claim.app === undefined || claim.app === name) return []
    const owner = appId({ namespace, name: claim.app })
    const item = apps.item(owner)
    if (item === undefined || item.deleting || !wantsToRun(fieldsOf(item.resource['spec']))) return []
    if (children.of(owner).some(isToHavePods)) return []
    const by = `ContainerApp/${claim.app}`
    return [{ claim: claim.name, app: claim.app, by, readOnly: false, is: 'wants' }]
  }

  /** What the plan mounts is granted until the cache has a workload that says so. */
  #grant(key: AppKey, { workloads }: ClusterObserved, wanted: KubeObject, { steps }: ClusterPlan): void {
    const held = new Set(workloads.flatMap(claimsHeldBy).map(({ name }) => name))
    const claims = workloadClaims(wanted).filter(({ name }) => !held.has(name))
    if (claims.length === 0) this.#grants.withdraw(key)
    else if (steps.some(startsPods)) this.#grants.grant(key, claims)
  }

  /** Claims without our label are in no cache; they are asked for by name, where an app names some. */
  async #foreignClaims(
    { namespace }: AppKey,
    names: readonly string[],
    children: readonly ObservedObject[],
  ): Promise<readonly ObservedObject[]> {
    const known = new Set(
      children.filter(({ kind }) => kind === 'PersistentVolumeClaim').map(({ name }) => name),
    )
    const objects = await Promise.all(
      names.filter((name) => !known.has(name)).map((name) => this.#parts.client.get(CLAIMS, namespace, name)),
    )
    return objects.flatMap((object) => (object === undefined ? [] : (observeClaim(object) ?? [])))
  }
}

/** The same, looked at again no later than `other` wants it. */
function waking<Waker extends { readonly wakeAtMs?: number | undefined }>(
  waker: Waker,
  { wakeAtMs }: { readonly wakeAtMs?: number | undefined },
): Waker {
  if (wakeAtMs === undefined) return waker
  return { ...waker, wakeAtMs: Math.min(waker.wakeAtMs ?? Infinity, wakeAtMs) }
}

function startsPods(step: ClusterStep): boolean {
  return (
    (step.kind === 'create' || step.kind === 'apply') &&
    ['Pod', 'StatefulSet', 'Deployment'].includes(step.object.kind)
  )
}

function execBefore(status: AppStatus | undefined): ReadonlyMap<string, ExecSeen> {
  return new Map(
    (status?.volumes ?? []).flatMap(({ path, exec }): [string, ExecSeen][] =>
      exec === 'Allowed' ? [[path, 'exec']] : exec === 'Denied' ? [[path, 'noexec']] : [],
    ),
  )
}

function claimModes({ claims }: ClusterObserved): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(claims.map(({ name, accessModes }) => [name, accessModes]))
}
