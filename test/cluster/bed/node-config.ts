/** Configuration files of a node's programs, as values: JSON is YAML, and TOML is written by hand. */
import path from 'node:path'
import type { BedNetwork } from './network.ts'

export const PAUSE_IMAGE = 'docker.io/local/pause:1'

export interface NodeFacts {
  readonly name: string
  /** Folder of the node, below the root. */
  readonly folder: string
  readonly address: string
  readonly podRange: string
  readonly network: BedNetwork
  readonly caFile: string
}

export function containerdConfig(node: NodeFacts, toolsFolder: string): string {
  const text = (...parts: readonly string[]) => JSON.stringify(path.join(node.folder, ...parts))
  return `version = 3
root = ${text('containerd-root')}
state = ${text('containerd-state')}

[grpc]
address = ${text('containerd.sock')}

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = ${JSON.stringify(PAUSE_IMAGE)}

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = ${text('registries')}

[plugins.'io.containerd.cri.v1.runtime']
# Without CAP_SYS_RESOURCE nobody may lower it, and runc dies of trying.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = [${JSON.stringify(toolsFolder)}]
conf_dir = ${text('cni')}

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
options = { SystemdCgroup = false }
`
}

export function cniConfig(node: NodeFacts): unknown {
  return {
    cniVersion: '1.0.0',
    name: 'bed',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods',
        isGateway: true,
        isDefaultGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: { type: 'host-local', ranges: [[{ subnet: node.podRange }]] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  }
}

export function kubeletConfig(node: NodeFacts): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: node.caFile },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: path.join(node.folder, 'kubelet.crt'),
    tlsPrivateKeyFile: path.join(node.folder, 'kubelet.key'),
    containerRuntimeEndpoint: `unix://${path.join(node.folder, 'containerd.sock')}`,
    clusterDNS: [node.network.dnsAddress],
    clusterDomain: 'cluster.local',
    // The machine under test is no place to manage: take it as it is.
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    evictionHard: { 'memory.available': '100Mi' },
    imageMinimumGCAge: '24h',
    podLogsDir: path.join(node.folder, 'pod-logs'),
    // For tests: many pods come and go in a moment.
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 500,
    kubeAPIBurst: 500,
    volumePluginDir: path.join(node.folder, 'volume-plugins'),
  }
}

export function proxyConfig(node: NodeFacts, kubeconfig: string): unknown {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig },
    mode: 'iptables',
    clusterCIDR: node.network.podRange,
    hostnameOverride: node.name,
    healthzBindAddress: `${node.address}:10256`,
    metricsBindAddress: '127.0.0.1:10249',
    // Zero leaves the kernel's settings alone: they may not be writable here.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { minSyncPeriod: '100ms' },
  }
}

export function corefile(address: string, kubeconfig: string): string {
  return `.:53 {
  bind ${address}
  errors
  health ${address}:8080
  ready ${address}:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig}
    ttl 5
  }
}
`
}

/** Where nodes find a registry: `name` is what images are called by, `url` who answers. */
export function hostsToml(url: string): string {
  return `server = ${JSON.stringify(url)}\n\n[host.${JSON.stringify(url)}]\ncapabilities = ["pull", "resolve"]\n`
}
