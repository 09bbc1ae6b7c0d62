/** Kubeconfig files: JSON, which is YAML. */
import { writeFile } from 'node:fs/promises'
import type { ApiAccess } from './api-client.ts'

/** Writes FILE, readable by its owner alone. */
export async function writeKubeconfig(
  file: string,
  access: ApiAccess,
  namespace = 'default',
): Promise<string> {
  const user =
    access.token === undefined
      ? { 'client-certificate-data': base64(access.cert ?? ''), 'client-key-data': base64(access.key ?? '') }
      : { token: access.token }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'bed', cluster: { server: access.url, 'certificate-authority-data': base64(access.ca) } },
    ],
    users: [{ name: 'bed', user }],
    contexts: [{ name: 'bed', context: { cluster: 'bed', user: 'bed', namespace } }],
    'current-context': 'bed',
  }
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
  return file
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
