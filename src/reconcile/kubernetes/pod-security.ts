/** Who the app's process is and what it may, as a pod says it. Nothing here is guessed: what the user did not say and
 * the namespace does not demand is left to the image. */
import type { Fields } from '../../crd/view.ts'
import type { Issue } from '../../errors.ts'
import type { Desired } from '../types.ts'
import type { ClusterOptions } from './types.ts'

type Level = ClusterOptions['podSecurity']

/** What Pod Security `baseline` lets a container add. */
const BASELINE_CAPABILITIES = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
])

export function containerSecurity(desired: Desired, level: Level): Fields {
  const { security, app } = desired
  const restricted = level === 'restricted'
  return {
    ...numericUser(desired, restricted),
    runAsNonRoot: app.spec.securityContext?.runAsNonRoot ?? (restricted ? true : undefined),
    privileged: security.privileged ? true : undefined,
    readOnlyRootFilesystem: security.readOnlyRootFilesystem ? true : undefined,
    allowPrivilegeEscalation: security.allowPrivilegeEscalation,
    capabilities: {
      add: security.capabilitiesAdd,
      drop: restricted ? ['ALL'] : security.capabilitiesDrop,
    },
  }
}

/**
 * `fsGroup` widens modes on every volume, which PostgreSQL refuses to start on: only by the user's word, or where the
 * preflight may not give files to their owner.
 */
export function podSecurity(desired: Desired, level: Level): Fields {
  const context = desired.app.spec.securityContext
  const fsGroup = context?.fsGroup ?? (level === 'restricted' ? desired.identity.gid : undefined)
  return {
    fsGroup,
    fsGroupChangePolicy: fsGroup === undefined ? undefined : 'OnRootMismatch',
    supplementalGroups: context?.supplementalGroups,
    seccompProfile: { type: desired.security.seccomp },
  }
}

/**
 * A number where the user named somebody, and where a kubelet must be able to tell that a name is not root; else the
 * image's own word goes.
 */
function numericUser({ app, identity, image }: Desired, restricted: boolean): Fields {
  const { user, securityContext } = app.spec
  const given =
    user !== undefined ||
    securityContext?.runAsUser !== undefined ||
    securityContext?.runAsGroup !== undefined
  const byName = image.config.user !== '' && !/^[0-9]+(:|$)/.test(image.config.user)
  const needsNumber = byName && (restricted || securityContext?.runAsNonRoot === true)
  return given || needsNumber ? { runAsUser: identity.uid, runAsGroup: identity.gid } : {}
}

interface Demand {
  readonly level: Exclude<Level, 'privileged'>
  readonly path: string
  readonly broken: (desired: Desired) => boolean
  readonly what: string
}

const DEMANDS: readonly Demand[] = [
  {
    level: 'baseline',
    path: 'spec.securityContext.privileged',
    broken: ({ security }) => security.privileged,
    what: 'forbids privileged containers',
  },
  {
    level: 'baseline',
    path: 'spec.ports',
    broken: ({ app }) => app.spec.ports?.some(({ hostPort }) => hostPort !== undefined) === true,
    what: 'forbids hostPort; use a Service',
  },
  {
    level: 'baseline',
    path: 'spec.volumes',
    broken: ({ volumes }) => volumes.some(({ storage }) => storage.kind === 'hostPath'),
    what: 'forbids hostPath; use a claim',
  },
  {
    level: 'baseline',
    path: 'spec.securityContext.seccompProfile',
    broken: ({ security }) => security.seccomp === 'Unconfined',
    what: 'forbids seccomp Unconfined',
  },
  {
    level: 'baseline',
    path: 'spec.securityContext.capabilities.add',
    broken: ({ security }) => security.capabilitiesAdd.some((name) => !BASELINE_CAPABILITIES.has(name)),
    what: `allows no capability to be added but ${[...BASELINE_CAPABILITIES].join(', ')}`,
  },
  {
    level: 'restricted',
    path: 'spec.securityContext.capabilities.add',
    broken: ({ security }) => security.capabilitiesAdd.some((name) => name !== 'NET_BIND_SERVICE'),
    what: 'allows no capability to be added but NET_BIND_SERVICE',
  },
  {
    level: 'restricted',
    path: 'spec.securityContext.allowPrivilegeEscalation',
    broken: ({ security }) => security.allowPrivilegeEscalation,
    what: 'forbids privilege escalation',
  },
  {
    level: 'restricted',
    path: 'spec.securityContext.runAsNonRoot',
    broken: ({ app }) => app.spec.securityContext?.runAsNonRoot === false,
    what: 'demands runAsNonRoot: true',
  },
  {
    level: 'restricted',
    path: 'spec.user',
    broken: ({ identity }) => identity.uid === 0,
    what: 'forbids to run as root; name another user in spec.user',
  },
]

/** What admission would refuse pod by pod, long after the workload was accepted. */
export function podSecurityIssues(desired: Desired, level: Level): readonly Issue[] {
  const held = level === 'restricted' ? ['baseline', 'restricted'] : [level]
  return DEMANDS.filter((demand) => held.includes(demand.level) && demand.broken(desired)).map(
    ({ path, what }) => ({
      severity: 'error',
      reason: 'PodSecurityRestricted',
      path,
      message: `the namespace enforces Pod Security ${level}, which ${what}`,
    }),
  )
}
