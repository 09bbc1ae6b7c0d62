/** Whether the bearer of a token may read metrics, asked of the API server as kube-rbac-proxy does. */
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'
import type { KubeClient, ResourceType } from './api/types.ts'

const TOKEN_REVIEWS: ResourceType = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
}
const ACCESS_REVIEWS: ResourceType = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
}

interface User {
  readonly username?: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** Reviews are no objects: they have no names, and nothing is stored. */
export function metricsAccess(client: Pick<KubeClient, 'create'>): (token: string) => Promise<boolean> {
  return async (token) => {
    const user = await userOf(client, token)
    return user !== undefined && (await mayGetMetrics(client, user))
  }
}

async function userOf(client: Pick<KubeClient, 'create'>, token: string): Promise<User | undefined> {
  const answer = await review(client, TOKEN_REVIEWS, { token })
  const status = answer['status'] as { authenticated?: unknown; user?: User } | undefined
  return status?.authenticated === true ? status.user : undefined
}

async function mayGetMetrics(client: Pick<KubeClient, 'create'>, user: User): Promise<boolean> {
  const answer = await review(client, ACCESS_REVIEWS, {
    user: user.username,
    uid: user.uid,
    groups: user.groups,
    extra: user.extra,
    nonResourceAttributes: { path: '/metrics', verb: 'get' },
  })
  return (answer['status'] as { allowed?: unknown } | undefined)?.allowed === true
}

function review(
  client: Pick<KubeClient, 'create'>,
  type: ResourceType,
  spec: Readonly<Record<string, unknown>>,
): Promise<KubeObject> {
  const object = {
    apiVersion: `${type.group}/${type.version}`,
    kind: type.kind,
    metadata: {} as KubeObject['metadata'],
    spec,
  }
  return client.create(type, object, { fieldManager: 'fairlead-metrics' })
}
