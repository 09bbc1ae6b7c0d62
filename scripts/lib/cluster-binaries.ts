/** The programs of a real Kubernetes, built from the Go modules of test/cluster/modules into the cache. */
import path from 'node:path'
import { goModuleFolder, STRIP } from './go-module.ts'
import type { GoModule } from './go-module.ts'
import { goTool } from './go.ts'
import { run } from './run.ts'

/** Absolute paths. */
export interface ClusterBinaries {
  /** kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy and kubectl, by first argument. */
  readonly kube: string
  readonly etcd: string
  readonly containerd: string
  readonly ctr: string
  readonly helm: string
  /** Folder with the CNI plugins bridge, host-local, loopback and portmap; the containerd shim lies there as well. */
  readonly tools: string
  readonly coredns: string
  readonly argocd: string
}

const MODULES = path.join(import.meta.dirname, '../../test/cluster/modules')

/** kubectl and the version endpoint need a version that can be parsed; the date is fixed so that builds repeat. */
const STAMP = {
  gitVersion: 'v1.36.3',
  gitMajor: '1',
  gitMinor: '36',
  gitTreeState: 'clean',
  gitCommit: '0'.repeat(40),
  buildDate: '1970-01-01T00:00:00Z',
}
const STAMP_FLAGS = Object.entries(STAMP)
  .flatMap(([name, value]) =>
    ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].map(
      (at) => `-X ${at}.${name}=${value}`,
    ),
  )
  .join(' ')

const KUBE = clusterModule('kube', ['-ldflags', `${STRIP} ${STAMP_FLAGS}`, '-o', 'kube', '.'], ['main.go'])
const TOOLS = clusterModule('tools', ['-ldflags', STRIP, '-o', './', 'tool'])
const COREDNS = clusterModule('coredns', ['-ldflags', STRIP, '-o', './', 'tool'])
const ARGOCD = clusterModule('argocd', [
  '-ldflags',
  STRIP,
  '-o',
  'argocd',
  'github.com/argoproj/argo-cd/v3/cmd',
])

/** Folder of the sources of Argo CD's Go module, with its CRDs in `manifests/crds`. */
export async function argocdSources(): Promise<string> {
  const go = await goTool()
  const result = await run(go.program, ['list', '-m', '-f', '{{.Dir}}', 'github.com/argoproj/argo-cd/v3'], {
    cwd: ARGOCD.folder,
    env: go.env,
  })
  if (result.code !== 0) throw new Error(`go list of Argo CD: ${result.stderr.trim()}`)
  return result.stdout.trim()
}

let built: Promise<ClusterBinaries> | undefined

/** Builds what the cache lacks (about 12 minutes when it lacks all), one module after the other. */
export function clusterBinaries(): Promise<ClusterBinaries> {
  built ??= build()
  return built
}

async function build(): Promise<ClusterBinaries> {
  const go = await goTool()
  const kube = await goModuleFolder(KUBE, go)
  const tools = await goModuleFolder(TOOLS, go)
  const coredns = await goModuleFolder(COREDNS, go)
  const argocd = await goModuleFolder(ARGOCD, go)
  return {
    kube: path.join(kube, 'kube'),
    // The module's folder is called so.
    etcd: path.join(tools, 'server'),
    containerd: path.join(tools, 'containerd'),
    ctr: path.join(tools, 'ctr'),
    helm: path.join(tools, 'helm'),
    tools,
    coredns: path.join(coredns, 'coredns'),
    argocd: path.join(argocd, 'argocd'),
  }
}

/** Folders and names as below test/cluster/modules. */
function clusterModule(name: string, args: readonly string[], sources: readonly string[] = []): GoModule {
  return { name: `cluster-${name}`, folder: path.join(MODULES, name), arguments: args, sources }
}
