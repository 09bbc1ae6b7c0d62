/** Takes away every trace of a run: after its end, or after its owner was killed. */
import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { run } from '../../../scripts/lib/run.ts'
import { BRIDGE_FILE } from './network.ts'
import { stopAllProcesses, stopProcess } from './processes.ts'
import { abandonedRoots, identityLine, removeRoot } from './root.ts'

const CGROUPS = '/sys/fs/cgroup'
/** Where containerd of the root keeps a folder per running container, named by its id. */
const TASKS = 'containerd-state/io.containerd.runtime.v2.task/k8s.io'

/**
 * Nodes first, at once: each is a process that is alone in its namespaces with everything it started, so its end takes
 * along all processes, mounts, links, and packet filter rules of the node.
 */
export async function cleanRoot(root: string): Promise<void> {
  const nodes = (await readdir(path.join(root, 'processes')).catch(() => [])).filter((name) =>
    name.startsWith('node'),
  )
  const containers = await containersOf(root)
  await Promise.all(nodes.map((name) => stopProcess(root, name, 'SIGKILL')))
  await removeCgroups(containers)
  await stopAllProcesses(root, 'SIGKILL')
  await removeBridge(root)
  await removeRoot(root)
}

/** Cleans up after owners that were killed. Two sweepers at once do each other no harm. */
export async function sweep(): Promise<void> {
  for (const root of await abandonedRoots()) {
    await writeFile(path.join(root, 'owner'), identityLine(process.pid) ?? '')
    await cleanRoot(root)
  }
}

async function containersOf(root: string): Promise<readonly string[]> {
  const found = []
  for (const node of await readdir(path.join(root, 'nodes')).catch(() => []))
    found.push(...(await readdir(path.join(root, 'nodes', node, TASKS)).catch(() => [])))
  return found
}

/** In each hierarchy (version 1) or in the one (version 2); folders of cgroups are removed by rmdir alone. */
async function removeCgroups(containers: readonly string[]): Promise<void> {
  const hierarchies = [CGROUPS, ...(await readdir(CGROUPS)).map((name) => path.join(CGROUPS, name))]
  for (const hierarchy of hierarchies) {
    const parent = path.join(hierarchy, 'k8s.io')
    const present = new Set(await readdir(parent).catch(() => []))
    for (const id of containers) if (present.has(id)) await removeCgroup(path.join(parent, id))
    // Another run may have its own in there: then this fails, which is right.
    await rmdir(parent).catch(() => undefined)
  }
}

async function removeCgroup(folder: string): Promise<void> {
  // The kernel reports a cgroup as busy for a moment after its last process ended.
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const gone = await rmdir(folder).then(
      () => true,
      (error: unknown) => (error as NodeJS.ErrnoException).code !== 'EBUSY',
    )
    if (gone) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function removeBridge(root: string): Promise<void> {
  const bridge = await readFile(path.join(root, BRIDGE_FILE), 'utf8').catch(() => '')
  if (/^fairlead\d{1,3}$/.test(bridge)) await run('ip', ['link', 'delete', bridge])
}
