/**
 * Credentials that an app may use: its own pull secrets, from its own namespace only, then the operator's docker
 * config. All matches are tried, as the kubelet does.
 */
import type { App } from '../../crd/types.ts'
import { ExpectedError } from '../../errors.ts'
import {
  defaultConfigPaths,
  fileKeychain,
  pullSecretEntries,
  type PullSecret,
} from '../../registry/docker-config.ts'
import { combineKeychains, entriesKeychain, type AuthEntry } from '../../registry/keychain.ts'
import type { Keychain } from '../../registry/types.ts'
import type { SourceStore } from './source-store.ts'

/** `onRefused` is told of each pull secret that can't be used, and the others are taken; without it the first is thrown. */
export async function appKeychain(
  app: App,
  sources: SourceStore,
  onRefused?: (problem: ExpectedError) => void,
): Promise<Keychain> {
  // In one list: a key that fits better goes first, whichever secret has it.
  const entries: AuthEntry[] = []
  for (const [index, { name }] of (app.spec.pullSecrets ?? []).entries()) {
    try {
      const path = `spec.pullSecrets[${index}].name`
      entries.push(...pullSecretEntries(await pullSecret({ app, sources, name, path })))
    } catch (error) {
      if (onRefused === undefined || !(error instanceof ExpectedError)) throw error
      onRefused(error)
    }
  }
  return combineKeychains(entriesKeychain(entries), await operatorKeychain())
}

/** What `docker login` and its like left for this user. */
export async function operatorKeychain(): Promise<Keychain> {
  const env = process.env
  return combineKeychains(
    ...(await Promise.all(defaultConfigPaths(env).map((path) => fileKeychain(path, env)))),
  )
}

interface NamedSecret {
  readonly app: App
  readonly sources: SourceStore
  readonly name: string
  /** Where the app names it. */
  readonly path: string
}

async function pullSecret({ app, sources, name, path }: NamedSecret): Promise<PullSecret> {
  const { namespace } = app.metadata
  const secret = await sources.read('Secret', namespace, name)
  if (secret === undefined) {
    const message = `there is no Secret ${name} in namespace ${namespace}; apply it beside the app`
    throw new ExpectedError('PullSecretInvalid', message, { path })
  }
  const data = Object.fromEntries(
    Object.entries(secret.data).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
  )
  return { name, type: secret.type, data }
}
