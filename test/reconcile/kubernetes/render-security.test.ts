import { describe, expect, test } from 'vitest'
import { IssuesError } from '../../../src/errors.ts'
import type { ClusterOptions } from '../../../src/reconcile/kubernetes/types.ts'
import { fieldsOf } from '../../../src/crd/view.ts'
import { appOf, podSpecOf, rendered, type Case } from './rendering.ts'

type Level = ClusterOptions['podSecurity']

const security = (given: Case) => fieldsOf(appOf(given)['securityContext'])
const podSecurity = (given: Case) => fieldsOf(podSpecOf(given)['securityContext'])
const named = { user: 'mattermost' }
const restricted = { podSecurity: 'restricted' } as const

describe('the user', () => {
  test.each<[string, Case, unknown, unknown]>([
    ['is left to the image', { config: named }, undefined, undefined],
    ['by the user’s name is a number', { spec: { user: 'mattermost' } }, 2000, 2001],
    ['and group by the user’s word', { spec: { user: '7:8' } }, 7, 8],
    ['by runAsUser has its own group', { spec: { securityContext: { runAsUser: 2000 } } }, 2000, 2001],
    [
      'keeps the image’s user beside runAsGroup',
      { config: named, spec: { securityContext: { runAsGroup: 9 } } },
      2000,
      9,
    ],
    [
      'by the image’s name is a number for runAsNonRoot',
      { config: named, spec: { securityContext: { runAsNonRoot: true } } },
      2000,
      2001,
    ],
    ['by the image’s name is a number under restricted', { config: named, options: restricted }, 2000, 2001],
    [
      'by the image’s number stays the image’s under restricted',
      { config: { user: '2000' }, options: restricted },
      undefined,
      undefined,
    ],
  ])('%s', (_title, given, uid, gid) => {
    expect([security(given)['runAsUser'], security(given)['runAsGroup']]).toEqual([uid, gid])
  })
})

describe('groups of files', () => {
  test.each<[string, Case, unknown]>([
    ['none by default', { config: named }, undefined],
    ['by the user’s word', { spec: { securityContext: { fsGroup: 5 } } }, 5],
    ['the process’s under restricted', { config: named, options: restricted }, 2001],
    [
      'the user’s word under restricted',
      { config: named, options: restricted, spec: { securityContext: { fsGroup: 5 } } },
      5,
    ],
  ])('%s', (_title, given, fsGroup) => {
    expect(podSecurity(given)['fsGroup']).toBe(fsGroup)
    expect(podSecurity(given)['fsGroupChangePolicy']).toBe(
      fsGroup === undefined ? undefined : 'OnRootMismatch',
    )
  })

  test('supplemental ones by the user’s word only', () => {
    expect(podSecurity({ config: named })).not.toHaveProperty('supplementalGroups')
    expect(
      podSecurity({ spec: { securityContext: { supplementalGroups: [5] } } })['supplementalGroups'],
    ).toEqual([5])
  })
})

describe('rights', () => {
  test('are small by default', () => {
    expect(security({})).toEqual({ allowPrivilegeEscalation: false })
    expect(podSecurity({})).toEqual({ seccompProfile: { type: 'RuntimeDefault' } })
  })

  test('are what the user says', () => {
    const securityContext = {
      privileged: true,
      readOnlyRootFilesystem: true,
      capabilities: { add: ['SYS_ADMIN'], drop: ['CHOWN'] },
      seccompProfile: { type: 'Unconfined' },
    }
    const given: Case = { spec: { securityContext }, options: { podSecurity: 'privileged' } }
    expect(security(given)).toEqual({
      privileged: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: true,
      capabilities: { add: ['SYS_ADMIN'], drop: ['CHOWN'] },
    })
    expect(podSecurity(given)).toEqual({ seccompProfile: { type: 'Unconfined' } })
  })

  test('are what restricted demands', () => {
    expect(security({ config: { user: '2000' }, options: restricted })).toEqual({
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    })
  })
})

describe('what the namespace forbids is refused before anything is made', () => {
  const context = (securityContext: Record<string, unknown>): Case => ({
    spec: { securityContext },
    config: { user: '2000' },
  })
  test.each<[string, Case, Level, string]>([
    [
      'privileged',
      context({ privileged: true, seccompProfile: { type: 'RuntimeDefault' } }),
      'baseline',
      'spec.securityContext.privileged',
    ],
    ['a port of the node', { spec: { ports: [{ port: 1, hostPort: 1 }] } }, 'baseline', 'spec.ports'],
    [
      'a folder of the node',
      { spec: { volumes: [{ path: '/a', source: { hostPath: { path: '/b' } } }] } },
      'baseline',
      'spec.volumes',
    ],
    [
      'seccomp Unconfined',
      context({ seccompProfile: { type: 'Unconfined' } }),
      'baseline',
      'spec.securityContext.seccompProfile',
    ],
    [
      'a strong capability',
      context({ capabilities: { add: ['NET_ADMIN'] } }),
      'baseline',
      'spec.securityContext.capabilities.add',
    ],
    [
      'a mild capability',
      context({ capabilities: { add: ['CHOWN'] } }),
      'restricted',
      'spec.securityContext.capabilities.add',
    ],
    [
      'privilege escalation',
      context({ allowPrivilegeEscalation: true }),
      'restricted',
      'spec.securityContext.allowPrivilegeEscalation',
    ],
    [
      'runAsNonRoot: false',
      context({ runAsNonRoot: false }),
      'restricted',
      'spec.securityContext.runAsNonRoot',
    ],
    ['root', {}, 'restricted', 'spec.user'],
  ])('%s', (_title, given, level, path) => {
    const lower: Level = level === 'restricted' ? 'baseline' : 'privileged'
    expect(() => rendered({ ...given, options: { podSecurity: lower } })).not.toThrow()
    expect(pathsRefused({ ...given, options: { podSecurity: level } })).toContain(path)
    expect(pathsRefused({ ...given, options: { podSecurity: 'restricted' } })).toContain(path)
  })

  test('a mild capability is right under baseline, NET_BIND_SERVICE everywhere', () => {
    expect(
      pathsRefused({ ...context({ capabilities: { add: ['NET_BIND_SERVICE'] } }), options: restricted }),
    ).toEqual([])
  })
})

function pathsRefused(given: Case): readonly string[] {
  try {
    rendered(given)
  } catch (error) {
    if (!(error instanceof IssuesError)) throw error
    return error.issues.map(({ reason, path }) => (reason === 'PodSecurityRestricted' ? path : reason))
  }
  return []
}
