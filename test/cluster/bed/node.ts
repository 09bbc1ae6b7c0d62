/** A real node: containerd, kubelet, kube-proxy, a bridge for pods, and (the first one) CoreDNS. */
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { readFileSync } from 'node:fs'
import { clusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'
import type { ClusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'
import { buildImage } from '../../../scripts/lib/oci-image.ts'
import type { BuiltImage } from '../../../scripts/lib/oci-image.ts'
import { writeArchive } from '../../../scripts/lib/oci-layout.ts'
import { mustRun } from '../../../scripts/lib/run.ts'
import { file, layer } from '../../support/layer.ts'
import type { ControlPlane } from './control-plane.ts'
import { httpAnswers } from './health.ts'
import {
  cniConfig,
  containerdConfig,
  corefile,
  hostsToml,
  kubeletConfig,
  PAUSE_IMAGE,
  proxyConfig,
} from './node-config.ts'
import type { NodeFacts } from './node-config.ts'
import { makeRoom, roomOf } from './node-room.ts'
import type { NodeRoom } from './node-room.ts'
import { pidOf, startProcess } from './processes.ts'
import type { ProcessSpec } from './processes.ts'
import type { BedRegistry } from './registry.ts'

export interface NodeOptions {
  /** 0–3; the first node also answers DNS. */
  readonly index?: number
  /** Where `docker.io/…`, `127.0.0.1:PORT/…` and `10.213.N.1:PORT/…` are pulled from. */
  readonly registry?: BedRegistry
}

/** Starts one and waits until it is Ready. It ends with the control plane. */
export async function addNode(plane: ControlPlane, options: NodeOptions = {}): Promise<ClusterNode> {
  const index = options.index ?? 0
  const facts = factsOf(plane, index)
  const node = new ClusterNode(
    plane,
    facts,
    await makeRoom(plane.root, facts, index),
    await clusterBinaries(),
  )
  await node.start(index === 0, options.registry)
  return node
}

/** The nodes of a control plane, started by another process. */
export async function attachNodes(plane: ControlPlane): Promise<readonly ClusterNode[]> {
  const nodes = []
  for (const index of (await readdir(path.join(plane.root, 'nodes'))).map(Number).toSorted((a, b) => a - b)) {
    const pid = await pidOf(plane.root, `node${index}-init`)
    if (pid === undefined) throw new Error(`node ${index} has ended`)
    nodes.push(new ClusterNode(plane, factsOf(plane, index), roomOf(pid), await clusterBinaries()))
  }
  return nodes
}

function factsOf(plane: ControlPlane, index: number): NodeFacts {
  const { network } = plane
  if (network === undefined) throw new Error('nodes need a control plane with { network: true }')
  return {
    ...network.node(index),
    network,
    name: `node${index}`,
    folder: path.join(plane.root, 'nodes', String(index)),
    caFile: plane.certificates.own.certFile,
  }
}

export class ClusterNode {
  readonly name: string
  readonly address: string
  private readonly plane: ControlPlane
  private readonly facts: NodeFacts
  private readonly room: NodeRoom
  private readonly programs: ClusterBinaries

  constructor(plane: ControlPlane, facts: NodeFacts, room: NodeRoom, programs: ClusterBinaries) {
    this.name = facts.name
    this.address = facts.address
    this.plane = plane
    this.facts = facts
    this.room = room
    this.programs = programs
  }

  async start(withDns: boolean, registry: BedRegistry | undefined): Promise<void> {
    await mkdir(path.join(this.facts.folder, 'cni'), { recursive: true })
    if (registry !== undefined) {
      for (const name of ['docker.io', registry.host, registry.nodeHost])
        await this.mapRegistry(name, `http://${registry.nodeHost}`)
    }
    await Promise.all([
      this.startContainerd(),
      this.startProxy(),
      withDns ? this.startDns() : undefined,
      this.writeKubeletFiles(),
    ])
    await this.startKubelet()
  }

  /** From the next pull on, images called NAME/… come from `url`, as in `http://10.213.0.1:5000`. */
  async mapRegistry(name: string, url: string): Promise<void> {
    const folder = path.join(this.facts.folder, 'registries', name)
    await mkdir(folder, { recursive: true })
    await writeFile(path.join(folder, 'hosts.toml'), hostsToml(url))
  }

  /** Runs a program inside the node: its mounts, its network, its processes. Returns stdout. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const [first, ...words] = this.room.inside([program, ...args])
    return await mustRun(first, words)
  }

  /** Where this machine sees a path of the node, for looking into mounts that exist only there. */
  pathOf(inside: string): string {
    return path.join(`/proc/${this.room.pid}/root`, inside)
  }

  /** Puts an image into the node's store under a full name, as in `docker.io/local/app:1`. */
  async importImage(name: string, image: BuiltImage): Promise<void> {
    const archive = path.join(this.facts.folder, `import-${image.digest.slice(7, 23)}.tar`)
    await writeArchive(archive, [{ image, tag: name }])
    await this.ctr('images', 'import', archive)
    await rm(archive)
  }

  /** containerd's own command line, in Kubernetes' namespace. */
  ctr(...args: readonly string[]): Promise<string> {
    const socket = path.join(this.facts.folder, 'containerd.sock')
    return this.run(this.programs.ctr, '--address', socket, '--namespace', 'k8s.io', ...args)
  }

  private async launch(spec: Omit<ProcessSpec, 'name'> & { readonly part: string }): Promise<void> {
    await startProcess(this.plane.root, {
      ...spec,
      name: `${this.name}-${spec.part}`,
      command: this.room.inside(spec.command),
      env: { PATH: `${this.programs.tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin` },
    })
  }

  private async startContainerd(): Promise<void> {
    const config = path.join(this.facts.folder, 'containerd.toml')
    await writeFile(config, containerdConfig(this.facts, this.programs.tools))
    await this.writeJson('cni/10-bed.conflist', cniConfig(this.facts))
    await this.launch({
      part: 'containerd',
      command: [this.programs.containerd, '--config', config],
      ready: async () => (await this.ctr('version')).includes('Server'),
    })
    await this.importImage(PAUSE_IMAGE, pauseImage())
  }

  private async writeKubeletFiles(): Promise<void> {
    const { folder, name, address } = this.facts
    const serving = await this.plane.certificates.issue({
      name: `${name}-kubelet`,
      commonName: name,
      altNames: [`IP:${address}`, `DNS:${name}`],
    })
    await copyFile(serving.certFile, path.join(folder, 'kubelet.crt'))
    await copyFile(serving.keyFile, path.join(folder, 'kubelet.key'))
    await this.writeJson('kubelet.json', kubeletConfig(this.facts))
  }

  private async startKubelet(): Promise<void> {
    const { folder, name, address } = this.facts
    const kubeconfig = await this.plane.componentKubeconfig(name, `system:node:${name}`, 'system:nodes')
    await this.launch({
      part: 'kubelet',
      command: [
        this.programs.kube,
        'kubelet',
        `--config=${folder}/kubelet.json`,
        `--kubeconfig=${kubeconfig}`,
        `--root-dir=${folder}/kubelet`,
        `--hostname-override=${name}`,
        `--node-ip=${address}`,
      ],
      ready: () => this.isReady(),
    })
  }

  private async isReady(): Promise<boolean> {
    const answer = await this.plane.api.json<NodeObject>('GET', `/api/v1/nodes/${this.name}`)
    return (
      answer.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
    )
  }

  private async startProxy(): Promise<void> {
    const kubeconfig = await this.plane.componentKubeconfig(`${this.name}-proxy`, 'system:kube-proxy')
    await this.writeJson('proxy.json', proxyConfig(this.facts, kubeconfig))
    await this.launch({
      part: 'kube-proxy',
      command: [this.programs.kube, 'kube-proxy', `--config=${this.facts.folder}/proxy.json`],
      // No waiting here: it is healthy only when there is a node object, which comes later.
    })
  }

  private async startDns(): Promise<void> {
    const { address, folder } = this.facts
    const kubeconfig = await this.plane.componentKubeconfig('coredns', 'coredns', 'system:masters')
    await writeFile(path.join(folder, 'Corefile'), corefile(address, kubeconfig))
    await Promise.all([
      this.declareDns(),
      this.launch({
        part: 'coredns',
        command: [this.programs.coredns, '-conf', path.join(folder, 'Corefile')],
        ready: () => httpAnswers(`http://${address}:8181/ready`),
      }),
    ])
  }

  /** CoreDNS runs beside the pods, so its service gets its endpoint by hand. */
  private async declareDns(): Promise<void> {
    const metadata = {
      name: 'kube-dns',
      namespace: 'kube-system',
      labels: { 'kubernetes.io/service-name': 'kube-dns' },
    }
    const ports = ['UDP', 'TCP'].map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 53 }))
    await this.plane.api.json('POST', '/api/v1/namespaces/kube-system/services', {
      metadata,
      spec: { clusterIP: this.facts.network.dnsAddress, ports },
    })
    await this.plane.api.json('POST', '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices', {
      metadata,
      addressType: 'IPv4',
      endpoints: [{ addresses: [this.address], conditions: { ready: true } }],
      ports,
    })
  }

  private async writeJson(name: string, value: unknown): Promise<void> {
    await writeFile(path.join(this.facts.folder, name), JSON.stringify(value))
  }
}

interface NodeObject {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

/** Holds a pod's namespaces: busybox picks the applet by the name it is called. */
function pauseImage(): BuiltImage {
  return buildImage({
    layers: [layer([file('sleep', readFileSync('/bin/busybox'), { mode: 0o755 })])],
    config: { Entrypoint: ['/sleep', '1000000000'] },
  })
}
