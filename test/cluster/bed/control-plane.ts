/** A real API server on real etcd, with controller-manager and scheduler where asked: ready in a few seconds. */
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ApiClient } from './api-client.ts'
import type { ApiAccess } from './api-client.ts'
import { AUDIT_POLICY, readAudit } from './audit.ts'
import type { AuditEvent } from './audit.ts'
import { CertificateAuthority, makeKey } from './certificates.ts'
import type { Certificate } from './certificates.ts'
import { cleanRoot, sweep } from './clean.ts'
import { httpAnswers } from './health.ts'
import { freePorts } from '../../support/free-ports.ts'
import { runKubectl } from './kubectl.ts'
import type { KubectlOptions } from './kubectl.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { makeNetwork, networkOf } from './network.ts'
import type { BedNetwork } from './network.ts'
import { startProcess, stopProcess } from './processes.ts'
import { controlPlanePrograms } from './programs.ts'
import type { Command, ControlPlanePrograms } from './programs.ts'
import { makeRoot } from './root.ts'

export interface ControlPlaneOptions {
  /** Garbage collection, StatefulSets, Deployments, service accounts' defaults. Off by default. */
  readonly controllerManager?: boolean
  readonly scheduler?: boolean
  /** A bridge with room for nodes; the API server listens on it instead of on loopback. Needs root. Off by default. */
  readonly network?: boolean
  /** Further flags of kube-apiserver. */
  readonly apiServerFlags?: readonly string[]
}

/** What another process needs to know to use a control plane; written into its root. */
interface Description {
  readonly url: string
  readonly networkNumber?: number
  readonly apiServerCommand: Command
  readonly apiServerOnly: boolean
}

const DESCRIPTION = 'control-plane.json'
const ADMIN = { name: 'admin', commonName: 'admin', organization: 'system:masters' }

/** Starts one under a root folder of its own. What went wrong on the way is cleaned up before this rejects. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  await sweep()
  const root = await makeRoot()
  try {
    return await ControlPlane.start(root, options)
  } catch (error) {
    await cleanRoot(root)
    throw error
  }
}

export class ControlPlane implements AsyncDisposable {
  /** Folder of everything; gone after `stop`. */
  readonly root: string
  /** `https://ADDRESS:PORT` */
  readonly url: string
  readonly certificates: CertificateAuthority
  readonly network: BedNetwork | undefined
  /** Path of a kubeconfig file with all rights. */
  readonly adminKubeconfig: string
  /** All rights. */
  readonly api: ApiClient
  private readonly programs: ControlPlanePrograms
  private readonly admin: Certificate
  private readonly apiServerCommand: Command

  private constructor(parts: {
    readonly root: string
    readonly url: string
    readonly certificates: CertificateAuthority
    readonly network: BedNetwork | undefined
    readonly programs: ControlPlanePrograms
    readonly admin: Certificate
    readonly apiServerCommand: Command
  }) {
    this.root = parts.root
    this.url = parts.url
    this.certificates = parts.certificates
    this.network = parts.network
    this.programs = parts.programs
    this.admin = parts.admin
    this.apiServerCommand = parts.apiServerCommand
    this.adminKubeconfig = path.join(parts.root, 'admin.kubeconfig')
    this.api = new ApiClient(this.adminAccess)
  }

  static async start(root: string, options: ControlPlaneOptions): Promise<ControlPlane> {
    const withManagers = options.controllerManager === true || options.scheduler === true
    const apiServerOnly = !withManagers && options.network !== true
    const programs = await controlPlanePrograms(apiServerOnly)
    const network = options.network === true ? await makeNetwork(root) : undefined
    const address = network?.hostAddress ?? '127.0.0.1'
    const [apiPort, etcdPort, etcdPeerPort] = await freePorts(address, 3)
    const certificates = await CertificateAuthority.create(path.join(root, 'certificates'))
    const [admin] = await Promise.all([
      certificates.issue(ADMIN),
      certificates.issue(serverNames(address, network)),
      certificates.issue({ name: 'kubelet-client', commonName: 'apiserver', organization: 'system:masters' }),
      makeKey(path.join(root, 'certificates/service-accounts.key')),
      writeFile(path.join(root, 'audit-policy.json'), JSON.stringify(AUDIT_POLICY)),
      startEtcd(root, programs, etcdPort, etcdPeerPort),
    ])
    const flags = apiServerFlags(root, { address, apiPort, etcdPort, network })
    const plane = new ControlPlane({
      root,
      certificates,
      network,
      programs,
      admin,
      url: `https://${address}:${apiPort}`,
      apiServerCommand: [...programs.apiServer, ...flags, ...(options.apiServerFlags ?? [])],
    })
    await writeKubeconfig(plane.adminKubeconfig, plane.adminAccess)
    await plane.describe(apiServerOnly)
    await plane.startApiServer()
    await Promise.all([
      options.controllerManager === true ? plane.startControllerManager() : undefined,
      options.scheduler === true ? plane.startScheduler() : undefined,
    ])
    return plane
  }

  /** The running control plane below `root`, started by another process, which alone stops it. */
  static async attach(root: string): Promise<ControlPlane> {
    const text = await readFile(path.join(root, DESCRIPTION), 'utf8')
    const { url, networkNumber, apiServerCommand, apiServerOnly } = JSON.parse(text) as Description
    const certificates = await CertificateAuthority.open(path.join(root, 'certificates'))
    return new ControlPlane({
      root,
      url,
      certificates,
      network: networkNumber === undefined ? undefined : networkOf(networkNumber),
      programs: await controlPlanePrograms(apiServerOnly),
      admin: await certificates.read(ADMIN.name),
      apiServerCommand,
    })
  }

  private async describe(apiServerOnly: boolean): Promise<void> {
    const description: Description = {
      url: this.url,
      ...(this.network === undefined ? {} : { networkNumber: this.network.number }),
      apiServerCommand: this.apiServerCommand,
      apiServerOnly,
    }
    await writeFile(path.join(this.root, DESCRIPTION), JSON.stringify(description))
  }

  /** PEM of the authority that signed the server's and all clients' certificates. */
  get ca(): string {
    return this.certificates.own.cert
  }

  get adminCert(): string {
    return this.admin.cert
  }

  get adminKey(): string {
    return this.admin.key
  }

  get adminAccess(): ApiAccess {
    return { url: this.url, ca: this.ca, cert: this.adminCert, key: this.adminKey }
  }

  /** Runs kubectl 1.36 as admin; returns its stdout, throws with its stderr. */
  kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    return runKubectl(this.programs.kubectl, this.adminKubeconfig, args, options)
  }

  /** A token of a service account, `NAME` or `NAMESPACE/NAME`, which must exist. */
  async tokenFor(serviceAccount: string, expirationSeconds = 3600): Promise<string> {
    const [name, namespace = 'default'] = serviceAccount.split('/').toReversed()
    const answer = await this.api.json<{ readonly status: { readonly token: string } }>(
      'POST',
      `/api/v1/namespaces/${namespace}/serviceaccounts/${name ?? ''}/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds } },
    )
    return answer.status.token
  }

  /** Path of a kubeconfig file that acts as a service account. */
  async kubeconfigFor(serviceAccount: string): Promise<string> {
    const token = await this.tokenFor(serviceAccount)
    const file = path.join(this.root, `${serviceAccount.replace('/', '_')}.kubeconfig`)
    return await writeKubeconfig(file, { url: this.url, ca: this.ca, token })
  }

  /** Every write since the start with who made it, in the order in which they were answered. */
  auditEvents(): Promise<readonly AuditEvent[]> {
    return readAudit(path.join(this.root, 'audit.log'))
  }

  /** The API server again, after `stopApiServer`: same address, same data. */
  async startApiServer(): Promise<void> {
    await startProcess(this.root, {
      name: 'kube-apiserver',
      command: this.apiServerCommand,
      ready: async () => (await this.api.send('GET', '/readyz')).status === 200,
    })
  }

  async stopApiServer(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await stopProcess(this.root, 'kube-apiserver', signal)
  }

  /** Kubeconfig of a component of Kubernetes, with the certificate that its role is bound to. */
  async componentKubeconfig(name: string, commonName: string, organization?: string): Promise<string> {
    const { cert, key } = await this.certificates.issue({
      name,
      commonName,
      ...(organization === undefined ? {} : { organization }),
    })
    return await writeKubeconfig(path.join(this.root, `${name}.kubeconfig`), {
      url: this.url,
      ca: this.ca,
      cert,
      key,
    })
  }

  private async startControllerManager(): Promise<void> {
    if (this.programs.controllerManager === undefined) throw new Error('no kube-controller-manager here')
    await startProcess(this.root, {
      name: 'kube-controller-manager',
      command: [
        ...this.programs.controllerManager,
        `--kubeconfig=${await this.componentKubeconfig('controller-manager', 'system:kube-controller-manager')}`,
        `--root-ca-file=${this.certificates.own.certFile}`,
        `--service-account-private-key-file=${this.root}/certificates/service-accounts.key`,
        '--use-service-account-credentials',
        '--leader-elect=false',
        '--allocate-node-cidrs=false',
        // Its own limit of 20 calls a second is for clusters that others use as well.
        '--kube-api-qps=500',
        '--kube-api-burst=500',
        '--secure-port=0',
      ],
      ready: async () =>
        (await this.api.send('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200,
    })
  }

  private async startScheduler(): Promise<void> {
    if (this.programs.scheduler === undefined) throw new Error('no kube-scheduler here')
    const address = this.network?.hostAddress ?? '127.0.0.1'
    const [port] = await freePorts(address, 1)
    const kubeconfig = await this.componentKubeconfig('scheduler', 'system:kube-scheduler')
    await startProcess(this.root, {
      name: 'kube-scheduler',
      command: [
        ...this.programs.scheduler,
        `--kubeconfig=${kubeconfig}`,
        `--authentication-kubeconfig=${kubeconfig}`,
        `--authorization-kubeconfig=${kubeconfig}`,
        '--leader-elect=false',
        `--bind-address=${address}`,
        `--secure-port=${port}`,
        `--cert-dir=${this.root}/scheduler`,
      ],
      ready: () => httpAnswers(`https://${address}:${port}/healthz`),
    })
  }

  /** Stops everything and removes every trace. Fine to call twice. */
  async stop(): Promise<void> {
    this.api.close()
    await cleanRoot(this.root)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

function serverNames(address: string, network: BedNetwork | undefined) {
  const addresses = ['127.0.0.1', address, ...(network === undefined ? [] : [network.apiServiceAddress])]
  const names = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ]
  return {
    name: 'apiserver',
    commonName: 'kube-apiserver',
    altNames: [
      ...new Set(addresses.map((one) => `IP:${one}`)),
      ...['localhost', ...names].map((one) => `DNS:${one}`),
    ],
  }
}

async function startEtcd(
  root: string,
  programs: ControlPlanePrograms,
  port: number,
  peer: number,
): Promise<void> {
  await startProcess(root, {
    name: 'etcd',
    command: [
      ...programs.etcd,
      `--data-dir=${root}/etcd`,
      // The data dies with the bed: waiting for the disk would only cost time.
      '--unsafe-no-fsync',
      `--listen-client-urls=http://127.0.0.1:${port}`,
      `--advertise-client-urls=http://127.0.0.1:${port}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      '--log-level=warn',
    ],
    ready: () => httpAnswers(`http://127.0.0.1:${port}/health`),
  })
}

interface ApiServerPlace {
  readonly address: string
  readonly apiPort: number
  readonly etcdPort: number
  readonly network: BedNetwork | undefined
}

function apiServerFlags(root: string, place: ApiServerPlace): readonly string[] {
  const certificates = `${root}/certificates`
  return [
    `--etcd-servers=http://127.0.0.1:${place.etcdPort}`,
    `--bind-address=${place.address}`,
    `--secure-port=${place.apiPort}`,
    `--service-cluster-ip-range=${place.network?.serviceRange ?? '10.215.0.0/24'}`,
    `--tls-cert-file=${certificates}/apiserver.crt`,
    `--tls-private-key-file=${certificates}/apiserver.key`,
    `--client-ca-file=${certificates}/ca.crt`,
    `--kubelet-client-certificate=${certificates}/kubelet-client.crt`,
    `--kubelet-client-key=${certificates}/kubelet-client.key`,
    '--kubelet-preferred-address-types=InternalIP',
    `--service-account-key-file=${certificates}/service-accounts.key`,
    `--service-account-signing-key-file=${certificates}/service-accounts.key`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    ...endpointFlags(place),
    `--audit-policy-file=${root}/audit-policy.json`,
    `--audit-log-path=${root}/audit.log`,
    '--audit-log-maxsize=1000',
    '--profiling=false',
  ]
}

/** Nobody reaches a loopback address from a pod, and the API server refuses to advertise one. */
function endpointFlags(place: ApiServerPlace): readonly string[] {
  return place.network === undefined
    ? ['--endpoint-reconciler-type=none', '--advertise-address=192.0.2.1']
    : ['--endpoint-reconciler-type=lease', `--advertise-address=${place.address}`]
}
