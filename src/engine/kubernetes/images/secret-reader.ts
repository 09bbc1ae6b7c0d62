/** The only Secrets that are ever read: by name, in the namespace of the app that needs them. */
import type { PullSecret } from '../../../registry/docker-config.ts'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import { ExpectedError, printable } from '../../../errors.ts'
import type { KubeClient, ResourceType } from '../api/types.ts'
import { SECRETS, SERVICE_ACCOUNTS } from '../resources.ts'

export interface SecretReader {
  /** Undefined when there is none. Throws PullSecretForbidden, or what the API server's client throws. */
  readSecret(namespace: string, name: string, signal: AbortSignal): Promise<PullSecret | undefined>
  /** Names of the pull secrets that pods of the account get; none when there is no such account. Throws alike. */
  readServiceAccount(namespace: string, name: string, signal: AbortSignal): Promise<readonly string[]>
}

/** Who asks: the subject of the rule that is missing when the answer is no. */
export interface ControllerIdentity {
  readonly namespace: string
  readonly serviceAccount: string
}

export function clusterSecretReader(
  client: Pick<KubeClient, 'get'>,
  identity: ControllerIdentity,
): SecretReader {
  const get = async (type: ResourceType, namespace: string, name: string, signal: AbortSignal) => {
    try {
      return await client.get(type, namespace, name, signal)
    } catch (error) {
      if (error instanceof ExpectedError && error.reason === 'ClusterForbidden')
        throw forbidden(type, namespace, name, identity, error)
      throw error
    }
  }
  return {
    async readSecret(namespace, name, signal) {
      const secret = await get(SECRETS, namespace, name, signal)
      return secret === undefined ? undefined : pullSecretOf(secret, name)
    },
    async readServiceAccount(namespace, name, signal) {
      const account = await get(SERVICE_ACCOUNTS, namespace, name, signal)
      return namesIn(account?.['imagePullSecrets'])
    },
  }
}

/** The names in a pod's or an account's `imagePullSecrets`; whatever else is in there is left out. */
export function namesIn(references: unknown): readonly string[] {
  if (!Array.isArray(references)) return []
  const names = (references as readonly { readonly name?: unknown }[]).map((each) => each?.name)
  return names.filter((name): name is string => typeof name === 'string' && isObjectName(name))
}

/** Overlays are not checked by a schema: what can be no object's name is not asked for. */
export function isObjectName(name: string): boolean {
  return /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)
}

function pullSecretOf(secret: KubeObject, name: string): PullSecret {
  const data = secret['data']
  const entries = typeof data === 'object' && data !== null ? Object.entries(data) : []
  return {
    name,
    type: typeof secret['type'] === 'string' ? secret['type'] : 'Opaque',
    data: Object.fromEntries(
      entries.flatMap(([key, value]) =>
        typeof value === 'string' ? [[key, Buffer.from(value, 'base64')]] : [],
      ),
    ),
  }
}

/** The commands end the sentence, so that they can be copied as they stand. */
function forbidden(
  type: ResourceType,
  namespace: string,
  name: string,
  identity: ControllerIdentity,
  cause: ExpectedError,
): ExpectedError {
  const what = type === SECRETS ? 'pull secret' : 'service account'
  const message = `the controller may not read the ${what} ${printable(name)} in namespace ${namespace}; allow it with: ${grantOf(type, namespace, name, identity)}`
  return new ExpectedError('PullSecretForbidden', message, { retry: 'backoff', cause })
}

/**
 * Works wherever the controller came from: the ClusterRole of the manifests has another name, or none, with some values
 * of the chart. One secret is granted by its name; which secrets an account has nobody knows yet.
 */
function grantOf(
  type: ResourceType,
  namespace: string,
  name: string,
  { namespace: own, serviceAccount }: ControllerIdentity,
): string {
  const isSecret = type === SECRETS
  const role = isSecret ? `fairlead-pull-${shellWord(name)}` : 'fairlead-pull-secrets'
  const rule = isSecret
    ? `--resource=secrets --resource-name=${shellWord(name)}`
    : '--resource=serviceaccounts,secrets'
  const where = `-n ${shellWord(namespace)}`
  const subject = `--serviceaccount=${shellWord(own)}:${shellWord(serviceAccount)}`
  return `kubectl create role ${role} --verb=get ${rule} ${where} && kubectl create rolebinding ${role} --role=${role} ${subject} ${where}`
}

/** The API server has checked such names; whatever else it may be does not become a part of a command. */
function shellWord(name: string): string {
  return isObjectName(name) ? name : 'NAME'
}
