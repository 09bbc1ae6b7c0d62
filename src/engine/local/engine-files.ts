/**
 * /etc/hosts, /etc/hostname and /etc/resolv.conf as a container on the host's network sees them. Rewritten in place and
 * only when they differ: a bind mount follows the inode, so a rename would never be seen inside (oci.md §3.3).
 */
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AppKey } from '../../reconcile/names.ts'
import type { EngineFile } from '../../reconcile/to-local.ts'
import { isMissing } from './disk.ts'
import { readStateFile } from './state-file.ts'

/** Every app answers on loopback under the names that its Service has on Kubernetes. */
export function hostsFile(own: AppKey, apps: readonly AppKey[]): string {
  const lines = ['127.0.0.1 localhost', '::1 localhost ip6-localhost ip6-loopback']
  const known = apps.some((app) => app.namespace === own.namespace && app.name === own.name)
    ? apps
    : [own, ...apps]
  for (const { namespace, name } of known) {
    const full = `${name}.${namespace}`
    const short = namespace === own.namespace ? `${name} ` : ''
    lines.push(`127.0.0.1 ${short}${full} ${full}.svc ${full}.svc.cluster.local`)
  }
  return `${lines.join('\n')}\n`
}

export async function engineFileContents(
  own: AppKey,
  apps: readonly AppKey[],
): Promise<Readonly<Record<EngineFile, string>>> {
  return {
    hosts: hostsFile(own, apps),
    hostname: `${own.name}\n`,
    'resolv.conf': await hostResolvConf(),
  }
}

/** Writes what differs; returns whether anything did. */
export async function updateEngineFiles(
  dir: string,
  contents: Readonly<Record<EngineFile, string>>,
): Promise<boolean> {
  let changed = false
  for (const [name, content] of Object.entries(contents)) {
    const path = join(dir, name)
    if (await holds(path, content)) continue
    await writeFile(path, content, { mode: 0o644, flag: 'w' })
    // Every user of the container reads it, whatever the controller's umask is.
    await chmod(path, 0o644)
    changed = true
  }
  return changed
}

/** Looks at the size first: root in the container may have made the file any size, and it costs nothing there. */
async function holds(path: string, content: string): Promise<boolean> {
  try {
    if ((await stat(path)).size !== Buffer.byteLength(content)) return false
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
  return (await readStateFile(path)) === content
}

async function hostResolvConf(): Promise<string> {
  try {
    return await readFile('/etc/resolv.conf', 'utf8')
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}
