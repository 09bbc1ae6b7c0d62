/**
 * The pull secrets of an app as its pods will have them: those that resource and overlay name, or else those of the
 * service account (the ServiceAccount admission plugin fills in only an empty list). Missing ones are passed over, as
 * the kubelet does, and remembered for the message when the registry then refuses.
 */
import type { App } from '../../../crd/types.ts'
import { pullSecretKeychain, type PullSecret } from '../../../registry/docker-config.ts'
import type { Keychain } from '../../../registry/types.ts'
import { ExpectedError, printable, type Issue } from '../../../errors.ts'
import { isObjectName, namesIn, type SecretReader } from './secret-reader.ts'

export interface AppCredentials {
  /** All entries of all secrets; its answers carry what went wrong as `problems`. */
  readonly keychain: Keychain
  /** Secrets that the app names and that are not there. */
  readonly warnings: readonly Issue[]
  /** Why a secret of the service account could not be read: the true reason when the registry refuses. */
  readonly forbidden: ExpectedError | undefined
}

/** A secret that somebody named. */
interface Wanted {
  readonly name: string
  /** Field of the resource; undefined for a service account's: it concerns only images that need it. */
  readonly field: string | undefined
}

/** Throws PullSecretForbidden and PullSecretInvalid for secrets that the resource names, or what the API client throws. */
export async function appCredentials(
  app: App,
  reader: SecretReader,
  signal: AbortSignal,
): Promise<AppCredentials> {
  const { namespace } = app.metadata
  const found = new Findings()
  const wanted = await wantedSecrets(app, reader, found, signal)
  const read = await Promise.all(
    wanted.map(async (each) => ({ ...each, secret: await readOne(namespace, each, reader, found, signal) })),
  )
  const secrets = read.flatMap(({ secret, ...each }) =>
    secret === undefined || !isUsable(secret, each, found) ? [] : [secret],
  )
  const keychain = pullSecretKeychain(secrets)
  return {
    keychain: {
      find: async (...question) => {
        const { credentials, problems } = await keychain.find(...question)
        return { credentials, problems: [...found.problems, ...problems] }
      },
    },
    warnings: found.warnings,
    forbidden: found.forbidden,
  }
}

class Findings {
  readonly problems: string[] = []
  readonly warnings: Issue[] = []
  forbidden: ExpectedError | undefined
}

async function wantedSecrets(
  app: App,
  reader: SecretReader,
  found: Findings,
  signal: AbortSignal,
): Promise<readonly Wanted[]> {
  const { pullSecrets = [], podTemplate } = app.spec
  const named = [
    ...pullSecrets.map(({ name }, index) => ({ name, field: `spec.pullSecrets[${index}].name` })),
    ...namesIn(podTemplate?.spec?.['imagePullSecrets']).map((name) => ({
      name,
      field: 'spec.podTemplate.spec.imagePullSecrets',
    })),
  ]
  if (named.length > 0)
    return [...new Map(named.toReversed().map((each) => [each.name, each])).values()].toReversed()
  const account = podTemplate?.spec?.['serviceAccountName']
  const name = typeof account === 'string' && isObjectName(account) ? account : 'default'
  try {
    const names = await reader.readServiceAccount(app.metadata.namespace, name, signal)
    return names.map((secret) => ({ name: secret, field: undefined }))
  } catch (error) {
    found.forbidden = ifForbidden(error)
    return []
  }
}

async function readOne(
  namespace: string,
  { name, field }: Wanted,
  reader: SecretReader,
  found: Findings,
  signal: AbortSignal,
): Promise<PullSecret | undefined> {
  try {
    const secret = await reader.readSecret(namespace, name, signal)
    if (secret === undefined) reportMissing(namespace, { name, field }, found)
    return secret
  } catch (error) {
    const forbidden = ifForbidden(error)
    if (field !== undefined) throw atField(forbidden, field)
    found.forbidden ??= forbidden
    return undefined
  }
}

function reportMissing(namespace: string, { name, field }: Wanted, found: Findings): void {
  const missing = `there is no Secret ${printable(name)} in namespace ${namespace}`
  found.problems.push(missing)
  if (field === undefined) return
  const message = `${missing}; nodes pull without it, as this controller does`
  found.warnings.push({ severity: 'warning', reason: 'PullSecretInvalid', path: field, message })
}

/** One broken secret must not spoil the others, unless the resource itself asks for it. */
function isUsable(secret: PullSecret, { field }: Wanted, found: Findings): boolean {
  try {
    pullSecretKeychain([secret])
    return true
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    if (field !== undefined) throw atField(error, field)
    found.problems.push(error.message)
    return false
  }
}

function ifForbidden(error: unknown): ExpectedError {
  if (error instanceof ExpectedError && error.reason === 'PullSecretForbidden') return error
  throw error
}

function atField(error: ExpectedError, path: string): ExpectedError {
  return new ExpectedError(error.reason, error.message, { path, retry: 'backoff', cause: error })
}
