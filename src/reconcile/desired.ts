/**
 * What an app should look like, engine-neutral: the resource, the image's config and the image's own tree together.
 * Pure: files are seen through `FileTree`, Secrets and ConfigMaps come in as values. Finds all problems at once.
 */
import type { App, ResourcesSpec } from '../crd/types.ts'
import { parseMilliQuantity, parseQuantity } from '../crd/quantity.ts'
import type {
  HookStage,
  HookWish,
  Identity,
  ProcessWish,
  ResourceLimits,
  SecurityWish,
} from '../bundle/types.ts'
import { resolveIdentity } from '../bundle/user.ts'
import { processArgs } from '../bundle/process.ts'
import { stopSignal } from '../bundle/stop-signal.ts'
import type { ResolvedImage } from '../image/types.ts'
import { declaredVolumes } from '../image/volumes.ts'
import type { FileTree } from '../rootfs/types.ts'
import { ExpectedError, type Issue } from '../errors.ts'
import { desiredEnv } from './env.ts'
import { expandReferences } from './expand.ts'
import type { AppKey } from './names.ts'
import type { Sources } from './ports.ts'
import { localSemantics } from './layer-issues.ts'
import { revisionOf } from './revision.ts'
import type { Desired, RevisionBasis } from './types.ts'
import { desiredVolumes } from './volumes.ts'
import { wantsToRun } from './wants-to-run.ts'

const DEFAULT_GRACE_SECONDS = 30
/** podman's default; Kubernetes leaves it to the node. */
const DEFAULT_PIDS = 2048
const DEFAULT_HOOK_TIMEOUT_SECONDS = 5
const CPU_PERIOD_US = 100_000

export interface DesiredInput {
  readonly key: AppKey
  readonly app: App
  readonly image: ResolvedImage
  readonly tree: FileTree
  readonly sources: Sources
  /** What the revision is taken from on this engine; by default the platform's manifest and what every engine renders. */
  readonly revision?: RevisionBasis
}

export type DesiredResult = { readonly desired: Desired } | { readonly issues: readonly Issue[] }

export function desiredState(input: DesiredInput): DesiredResult {
  const { key, app, image, tree, sources } = input
  const { spec } = app
  const issues: Issue[] = []
  const volumes = desiredVolumes(app, image.config, tree)
  const env = desiredEnv(app, sources)
  issues.push(...volumes.issues, ...env.issues)
  const process = processWish(app, env.env)
  const identity = attempt(issues, 'spec.user', () => resolveIdentity(userOf(app, image), tree))
  attempt(issues, 'spec.command', () => processArgs(image.config, process))
  if (identity !== undefined && spec.securityContext?.runAsNonRoot === true && identity.uid === 0) {
    issues.push({
      severity: 'error',
      reason: 'InvalidSpec',
      path: 'spec.securityContext.runAsNonRoot',
      message: 'the image runs as root; set spec.user or securityContext.runAsUser to another user',
    })
  }
  if (identity === undefined || issues.some((issue) => issue.severity === 'error')) return { issues }
  const stop = stopSignal(image.config.stopSignal)
  return {
    desired: {
      key,
      app,
      image,
      revision: revision(input),
      volumes: volumes.volumes,
      process,
      identity: withGroups(identity, app),
      hooks: hookWishes(app),
      limits: resourceLimits(spec.resources),
      security: securityWish(app),
      running: wantsToRun(spec),
      graceSeconds: spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
      stopSignal: stop.signal,
      warnings: [...issues, ...stop.warnings],
    },
  }
}

function revision({ app, image, sources, revision: basis }: DesiredInput): string {
  const declared = declaredVolumes(image.config).volumes
  return revisionOf(
    app,
    basis?.digest ?? image.manifestDigest,
    sources,
    declared,
    basis === undefined ? hostBasis(app) : basis.more,
  )
}

/** Where Fairlead unpacks, another way of merging gives another root; said only where it is not the usual one. */
function hostBasis(app: App): unknown {
  const layerSemantics = localSemantics(app)
  return layerSemantics === 'spec' ? undefined : { layerSemantics }
}

/** Kubernetes expands `$(NAME)` in command and args, too. */
function processWish(app: App, env: ProcessWish['env']): ProcessWish {
  const values = new Map(env.map(({ name, value }) => [name, value]))
  const expand = (words: readonly string[] | undefined) =>
    words?.map((word) => expandReferences(word, values))
  return {
    command: expand(app.spec.command),
    args: expand(app.spec.args),
    env,
    workingDir: app.spec.workingDir,
    user: app.spec.user,
  }
}

/** `securityContext.runAsUser`, then `user`, then the image. */
function userOf(app: App, image: ResolvedImage): string {
  const context = app.spec.securityContext
  if (context?.runAsUser === undefined) {
    const user = app.spec.user ?? image.config.user
    return context?.runAsGroup === undefined
      ? user
      : `${user.split(':')[0] === '' ? '0' : user.split(':')[0]}:${context.runAsGroup}`
  }
  return context.runAsGroup === undefined
    ? String(context.runAsUser)
    : `${context.runAsUser}:${context.runAsGroup}`
}

function withGroups(identity: Identity, app: App): Identity {
  const extra = app.spec.securityContext?.supplementalGroups ?? []
  return { ...identity, additionalGids: [...new Set([...identity.additionalGids, ...extra])] }
}

const STAGES: Readonly<Record<string, HookStage>> = {
  StartContainer: 'startContainer',
  CreateRuntime: 'createRuntime',
  CreateContainer: 'createContainer',
  Poststart: 'poststart',
  Poststop: 'poststop',
}

function hookWishes(app: App): HookWish[] {
  return (app.spec.hooks ?? []).map((hook, index) => ({
    stage: STAGES[hook.stage ?? 'StartContainer'] ?? 'startContainer',
    path: hook.path,
    args: hook.args ?? [],
    env: (hook.env ?? []).map(({ name, value }) => ({ name, value: value ?? '' })),
    timeoutSeconds: hook.timeoutSeconds ?? DEFAULT_HOOK_TIMEOUT_SECONDS,
    field: `spec.hooks[${index}]`,
  }))
}

/** Kubernetes' meaning: a limit is a hard bound; a CPU request is a share. */
export function resourceLimits(resources: ResourcesSpec | undefined): ResourceLimits {
  const bytes = (value: string | number | undefined) => {
    const parsed = value === undefined ? undefined : parseQuantity(String(value))
    return parsed === undefined ? undefined : Number(parsed)
  }
  const millis = (value: string | number | undefined) =>
    value === undefined ? undefined : Number(parseMilliQuantity(value) ?? 0n)
  const cpuLimit = millis(resources?.limits?.['cpu'])
  const cpuRequest = millis(resources?.requests?.['cpu'])
  return {
    memoryBytes: bytes(resources?.limits?.['memory']),
    memoryReservationBytes: bytes(resources?.requests?.['memory']),
    cpuQuotaUs:
      cpuLimit === undefined ? undefined : Math.max(Math.round((cpuLimit * CPU_PERIOD_US) / 1000), 1000),
    cpuShares: cpuRequest === undefined ? undefined : Math.max(Math.round((cpuRequest * 1024) / 1000), 2),
    pids: DEFAULT_PIDS,
  }
}

function securityWish(app: App): SecurityWish {
  const context = app.spec.securityContext
  return {
    readOnlyRootFilesystem: context?.readOnlyRootFilesystem ?? false,
    allowPrivilegeEscalation: context?.allowPrivilegeEscalation ?? context?.privileged ?? false,
    privileged: context?.privileged ?? false,
    capabilitiesAdd: context?.capabilities?.add ?? [],
    capabilitiesDrop: context?.capabilities?.drop ?? [],
    seccomp: context?.seccompProfile?.type ?? 'RuntimeDefault',
  }
}

/** Collects an expected failure as an issue instead of stopping at the first. */
function attempt<T>(issues: Issue[], path: string, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    issues.push({ severity: 'error', reason: error.reason, path: error.path ?? path, message: error.message })
    return undefined
  }
}
