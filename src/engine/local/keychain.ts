/**
 * Credentials that an app may use: its own pull secrets, from its own namespace only, then the operator's docker
 * config. All matches are tried, as the kubelet does.
 */
import type { App } from '../../crd/types.ts'
import { ExpectedError } from '../../errors.ts'
import {
  defaultConfigPaths,
  fileKeychain,
  pullSecretKeychain,
  type PullSecret,
} from '../../registry/docker-config.ts'
import { combineKeychains } from '../../registry/keychain.ts'
import type { Keychain } from '../../registry/types.ts'
import type { SourceStore } from './source-store.ts'

export async function appKeychain(app: App, sources: SourceStore): Promise<Keychain> {
  return combineKeychains(pullSecretKeychain(await pullSecrets(app, sources)), await operatorKeychain())
}

/** What `docker login` and its like left for this user. */
export async function operatorKeychain(): Promise<Keychain> {
  const env = process.env
  return combineKeychains(
    ...(await Promise.all(defaultConfigPaths(env).map((path) => fileKeychain(path, env)))),
  )
}

async function pullSecrets(app: App, sources: SourceStore): Promise<readonly PullSecret[]> {
  const secrets: PullSecret[] = []
  for (const [index, { name }] of (app.spec.pullSecrets ?? []).entries()) {
    const secret = await sources.read('Secret', app.metadata.namespace, name)
    if (secret === undefined) {
      throw new ExpectedError(
        'PullSecretInvalid',
        `there is no Secret ${name} in namespace ${app.metadata.namespace}; apply it beside the app`,
        {
          path: `spec.pullSecrets[${index}].name`,
        },
      )
    }
    const data = Object.fromEntries(
      Object.entries(secret.data).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
    )
    secrets.push({ name, type: secret.type, data })
  }
  return secrets
}
