/** What nodes tell of themselves: platforms to prepare for, and whether they can mount images as volumes. Pure. */
import { parsePlatform } from '../../image/platform.ts'
import type { Platform } from '../../image/types.ts'
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'

export interface NodeFacts {
  readonly ready: boolean
  /** `linux/amd64`. */
  readonly platform: string
  readonly imageVolumes: boolean
}

interface NodeInfo {
  readonly operatingSystem?: unknown
  readonly architecture?: unknown
  readonly kubeletVersion?: unknown
  readonly containerRuntimeVersion?: unknown
}

export function nodeFacts(node: KubeObject): NodeFacts {
  const status = (node['status'] ?? {}) as { nodeInfo?: NodeInfo; conditions?: unknown }
  const info = status.nodeInfo ?? {}
  const conditions = Array.isArray(status.conditions)
    ? (status.conditions as { type?: unknown; status?: unknown }[])
    : []
  return {
    ready: conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    platform: `${word(info.operatingSystem, 'linux')}/${word(info.architecture, 'amd64')}`,
    imageVolumes:
      kubeletMounts(word(info.kubeletVersion, '')) && runtimeMounts(word(info.containerRuntimeVersion, '')),
  }
}

/** Distinct platforms of ready Linux nodes, the most common first; of all nodes when none is ready. */
export function nodePlatforms(nodes: Iterable<NodeFacts>): readonly Platform[] {
  const all = [...nodes].filter(({ platform }) => platform.startsWith('linux/'))
  const counts = new Map<string, number>()
  const ready = all.filter((node) => node.ready)
  for (const { platform } of ready.length === 0 ? all : ready)
    counts.set(platform, (counts.get(platform) ?? 0) + 1)
  return [...counts]
    .toSorted(([a, many], [b, more]) => more - many || (a < b ? -1 : 1))
    .map(([platform]) => parsePlatform(platform))
}

/** Every ready node: a preflight pod may land on any of them. */
export function nodesMountImages(nodes: Iterable<NodeFacts>): boolean {
  const ready = [...nodes].filter((node) => node.ready)
  return ready.length > 0 && ready.every(({ imageVolumes }) => imageVolumes)
}

/** On by default from 1.35 on (KEP-4639); before that a node's gate can't be seen from outside. */
function kubeletMounts(version: string): boolean {
  const [major = 0, minor = 0] = numbers(version)
  return major > 1 || (major === 1 && minor >= 35)
}

/** containerd from 2.1, CRI-O from 1.31. */
function runtimeMounts(version: string): boolean {
  const [name = '', number = ''] = version.split('://')
  const [major = 0, minor = 0] = numbers(number)
  if (name === 'containerd') return major > 2 || (major === 2 && minor >= 1)
  return name === 'cri-o' && (major > 1 || (major === 1 && minor >= 31))
}

function numbers(version: string): readonly number[] {
  return (/^v?(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number)
}

function word(value: unknown, otherwise: string): string {
  return typeof value === 'string' && /^[A-Za-z0-9:/.+_~-]{1,128}$/.test(value) ? value : otherwise
}
