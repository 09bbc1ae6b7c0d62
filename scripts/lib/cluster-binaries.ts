/**
 * The programs of a real Kubernetes, built from Go modules into the cache: one folder per module of
 * test/cluster/modules, named by the hash of all that it is made from.
 */
import path from 'node:path'
import { cachedFolder, cacheKey } from './cache.ts'
import { goTool } from './go.ts'
import type { GoTool } from './go.ts'
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

interface Module {
  /** Folder below test/cluster/modules. */
  readonly name: string
  readonly arguments: readonly string[]
  /** Files besides go.mod and go.sum that the result depends on. */
  readonly sources?: readonly string[]
}

const MODULES = path.join(import.meta.dirname, '../../test/cluster/modules')
const COMMON_FLAGS = ['-trimpath', '-buildvcs=false']
const STRIP = '-s -w'

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

const KUBE: Module = {
  name: 'kube',
  arguments: ['-ldflags', `${STRIP} ${STAMP_FLAGS}`, '-o', 'kube', '.'],
  sources: ['main.go'],
}
const TOOLS: Module = { name: 'tools', arguments: ['-ldflags', STRIP, '-o', './', 'tool'] }
const COREDNS: Module = { name: 'coredns', arguments: ['-ldflags', STRIP, '-o', './', 'tool'] }
const ARGOCD: Module = {
  name: 'argocd',
  arguments: ['-ldflags', STRIP, '-o', 'argocd', 'github.com/argoproj/argo-cd/v3/cmd'],
}

/** Folder of the sources of Argo CD's Go module, with its CRDs in `manifests/crds`. */
export async function argocdSources(): Promise<string> {
  const go = await goTool()
  const result = await run(go.program, ['list', '-m', '-f', '{{.Dir}}', 'github.com/argoproj/argo-cd/v3'], {
    cwd: path.join(MODULES, ARGOCD.name),
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
  const kube = await moduleFolder(KUBE, go)
  const tools = await moduleFolder(TOOLS, go)
  const coredns = await moduleFolder(COREDNS, go)
  const argocd = await moduleFolder(ARGOCD, go)
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

async function moduleFolder(module: Module, go: GoTool): Promise<string> {
  const source = path.join(MODULES, module.name)
  const files = ['go.mod', 'go.sum', ...(module.sources ?? [])].map((name) => path.join(source, name))
  const flags = [...COMMON_FLAGS, ...module.arguments]
  return await cachedFolder(
    `cluster-${module.name}`,
    await cacheKey(files, [go.version, ...flags]),
    (staging) => compile(module, go, source, staging),
  )
}

/** Go writes what `-o` names; it is built inside the module, so the names are made absolute here. */
async function compile(module: Module, go: GoTool, source: string, staging: string): Promise<void> {
  console.log(`building ${module.name} of the test cluster with ${go.version}; the first time takes minutes`)
  const started = performance.now()
  const args = module.arguments.map((word, at) =>
    module.arguments[at - 1] === '-o' ? `${staging}/${word === './' ? '' : word}` : word,
  )
  const result = await run(go.program, ['build', ...COMMON_FLAGS, ...args], { cwd: source, env: go.env })
  if (result.code !== 0) throw new Error(`go build of ${source}:\n${result.stderr.trim().slice(-3000)}`)
  console.log(`built ${module.name} in ${Math.round((performance.now() - started) / 1000)} s`)
}
