/**
 * Errors that a user can act on. Every expected failure carries a reason from one closed set (equal to the reason
 * of the condition it ends up in), a retry policy, and a sentence that says what was found and what would be right.
 * Anything else that is thrown is a bug and becomes `InternalError` at the outermost boundary.
 */

/** The closed set of reasons. `docs/troubleshooting.md` has one section for each; a test compares the two. */
export const REASONS = [
  // The resource
  'InvalidSpec',
  'UnsupportedField',
  'NameConflict',
  'NotFound',
  // References, registries, layouts
  'InvalidReference',
  'ImageNotFound',
  'ImageNotPullable',
  'PinnedImageGone',
  'PullSecretInvalid',
  'RegistryUnauthorized',
  'RegistryUnavailable',
  'RegistryInvalid',
  'LayoutInvalid',
  'PlatformNotFound',
  'DigestMismatch',
  'DigestRequired',
  'UnsupportedMediaType',
  'InvalidManifest',
  'InvalidConfig',
  // Layers
  'InvalidLayer',
  'InvalidWhiteout',
  'PathEscape',
  'LimitExceeded',
  'LayersDiverge',
  // The container's own view
  'UserNotFound',
  'CommandMissing',
  'WorkingDirInvalid',
  'MountConflict',
  'UnsafeRootfs',
  'ExecNotFound',
  'ExecNotAbsolute',
  'ExecNotRegularFile',
  'ExecNotExecutable',
  'ExecNotSearchable',
  'ExecDanglingSymlink',
  'ExecHiddenByMount',
  'ExecOnNoexecMount',
  'ExecFormatUnknown',
  'ExecWrongArchitecture',
  'ExecInterpreterMissing',
  'ExecLoaderMissing',
  'ExecLibraryMissing',
  'HookOnHostOnly',
  'HookNotAllowed',
  'HooksUnsupported',
  'LabelIgnored',
  // Volumes
  'VolumePathInvalid',
  'VolumeNotDirectory',
  'VolumeNotExecutable',
  'VolumeInUse',
  'VolumeNotFound',
  'VolumeSourceMissing',
  'SeedFailed',
  'VolumePending',
  'VolumeNotExpandable',
  'VolumeLost',
  // The cluster
  'ClusterUnavailable',
  'ClusterForbidden',
  'ClusterRejected',
  'ClusterConflict',
  'QuotaExceeded',
  'PullSecretForbidden',
  'PreflightFailed',
  'Unschedulable',
  'PodSecurityRestricted',
  'ChecksNotMade',
  // Running
  'RuntimeMissing',
  'RuntimeFailed',
  'LimitUnsupported',
  'HookFailed',
  'CrashLoopBackOff',
  'Exited',
  'OutOfMemory',
  'StateCorrupt',
  'ControllerRunning',
  'ControllerUnavailable',
  'TimedOut',
  'PermissionDenied',
  'DiskFull',
  'InternalError',
] as const

export type Reason = (typeof REASONS)[number]

/** `terminal`: only an edit helps. `backoff`: try again later. */
export type Retry = 'terminal' | 'backoff'

export interface ErrorDetails {
  readonly retry?: Retry
  /** Field path (`spec.hooks[0].path`), layer and entry, or file: where the problem is. */
  readonly path?: string
  readonly cause?: unknown
}

/** An expected failure. `message` is one plain sentence; never put secrets or raw control characters in it. */
export class ExpectedError extends Error {
  override readonly name = 'ExpectedError'
  readonly reason: Reason
  readonly retry: Retry
  readonly path: string | undefined

  constructor(reason: Reason, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.reason = reason
    this.retry = details.retry ?? 'terminal'
    this.path = details.path
  }
}

/** One finding of a check that reports all its findings at once. */
export interface Issue {
  readonly severity: 'error' | 'warning'
  readonly reason: Reason
  /** Field path in the resource (`spec.hooks[0].path`) or, for findings in an image, its path. */
  readonly path: string
  readonly message: string
  /** File and line that the user can open, where known: `app.yaml:12`. */
  readonly location?: string
}

/** A check's findings as one error: `issues` has at least one member with severity `error`. */
export class IssuesError extends ExpectedError {
  readonly issues: readonly Issue[]

  constructor(issues: readonly Issue[]) {
    const first = issues.find((issue) => issue.severity === 'error') ?? issues[0]
    const more = issues.filter((issue) => issue.severity === 'error').length - 1
    super(
      first?.reason ?? 'InvalidSpec',
      `${first === undefined ? 'invalid' : formatIssue(first)}${more > 0 ? ` (and ${more} more)` : ''}`,
      first === undefined ? {} : { path: first.path },
    )
    this.issues = issues
  }
}

/** One line for people: `app.yaml:12: spec.volumes[1].path: found …; must be …`. */
export function formatIssue(issue: Issue): string {
  return [issue.location ?? '', issue.path, issue.message].filter((part) => part !== '').join(': ')
}

/** Throws all of them as one error when any is an error; returns them when they are warnings only. */
export function refuseErrors(issues: readonly Issue[]): readonly Issue[] {
  if (issues.some(({ severity }) => severity === 'error')) throw new IssuesError(issues)
  return issues
}

/** Marks a branch that the types say can't be reached. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}

/** A broken assumption of ours: a bug, never the user's fault. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`)
}

// oxlint-disable-next-line no-control-regex -- control characters are exactly what must not reach a terminal
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Text from an image, registry or file made safe to print: control characters are escaped, length is bounded. */
export function printable(text: string, maxChars = 200): string {
  const escaped = text.replaceAll(
    UNPRINTABLE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return escaped.length > maxChars ? `${escaped.slice(0, maxChars)}…` : escaped
}
