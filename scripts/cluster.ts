/** `make cluster`: a real Kubernetes with one node on this machine, until Ctrl-C. Nothing is left behind. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { startBed } from '../test/cluster/bed/bed.ts'
import { clusterBinaries } from './lib/cluster-binaries.ts'

const bed = await startBed()
const folder = path.join(bed.plane.root, 'bin')
await mkdir(folder)
await writeFile(
  path.join(folder, 'kubectl'),
  `#!/bin/sh\nexec '${(await clusterBinaries()).kube}' kubectl "$@"\n`,
)
await chmod(path.join(folder, 'kubectl'), 0o755)

console.log(`export KUBECONFIG=${bed.plane.adminKubeconfig}`)
console.log(`export PATH=${folder}:$PATH`)
console.error(`# images: push to ${bed.registry.host}; the node pulls docker.io/… from there as well`)
console.error('# storage classes: kubectl get storageclass. Ctrl-C ends it all.')

let asked = 0
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    asked += 1
    if (asked === 1) void bed.stop().then(() => process.exit(0))
  })
}
// The bed's processes keep nobody alive; a person does.
setInterval(() => undefined, 60_000)
