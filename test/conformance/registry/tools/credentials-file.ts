/** The file that all clients read their logins from: `~/.docker/config.json`. */
import type { Login } from '../case.ts'

export function credentialsFile(logins: readonly Login[]): string {
  return JSON.stringify({ auths: Object.fromEntries(logins.map((login) => [login.key, entryOf(login)])) })
}

function entryOf({ username, password, identityToken, registryToken }: Login): Record<string, string> {
  const pair = username === undefined ? undefined : `${username}:${password ?? ''}`
  return {
    ...(pair === undefined ? {} : { auth: Buffer.from(pair).toString('base64') }),
    ...(identityToken === undefined ? {} : { identitytoken: identityToken }),
    ...(registryToken === undefined ? {} : { registrytoken: registryToken }),
  }
}
