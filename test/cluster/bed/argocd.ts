/**
 * A real Argo CD, headless: cache, repository server and application controller as processes beside the cluster, with
 * a git repository in a folder.
 */
import { readFile, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { argocdSources, clusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'
import { mustRun } from '../../../scripts/lib/run.ts'
import type { ControlPlane } from './control-plane.ts'
import { httpAnswers } from './health.ts'
import { freePorts } from '../../support/free-ports.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { startProcess } from './processes.ts'

export interface ArgoCdOptions {
  /** Entries of the ConfigMap argocd-cm, such as `resource.customizations.health.GROUP_KIND`. */
  readonly config?: Readonly<Record<string, string>>
}

export interface ApplicationOptions {
  /** Where its objects go; made when missing. By default the application's name. */
  readonly namespace?: string
  /** Sync by itself, prune, heal. On by default. */
  readonly automated?: boolean
  /** Merged over `spec`. */
  readonly spec?: Readonly<Record<string, unknown>>
}

export interface ApplicationStatus {
  /** `Synced`, `OutOfSync`, `Unknown`; undefined before the first comparison. */
  readonly sync?: string
  /** `Healthy`, `Progressing`, `Degraded`, `Missing`, … */
  readonly health?: string
  /** Commit that the comparison was made with. */
  readonly revision?: string
  /** What the last operation and the conditions say. */
  readonly messages: readonly string[]
  readonly resources: readonly {
    readonly kind: string
    readonly name: string
    readonly status?: string
    readonly health?: { readonly status: string; readonly message?: string }
  }[]
}

const NAMESPACE = 'argocd'
const APPLICATIONS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applications`
const PART_OF = { 'app.kubernetes.io/part-of': 'argocd' }
const GIT_IDENTITY = ['-c', 'user.name=bed', '-c', 'user.email=bed@example.com', '-c', 'commit.gpgSign=false']

/** Installs its CRDs and settings, and starts it. It ends with the control plane. */
export async function startArgoCd(plane: ControlPlane, options: ArgoCdOptions = {}): Promise<ArgoCd> {
  const argo = new ArgoCd(plane)
  await argo.start(options)
  return argo
}

export class ArgoCd {
  /** Folder of the git repository that applications are read from; change it with `commit`. */
  readonly repository: string
  private readonly plane: ControlPlane
  private readonly folder: string

  constructor(plane: ControlPlane) {
    this.plane = plane
    this.folder = path.join(plane.root, 'argocd')
    this.repository = path.join(this.folder, 'repository')
  }

  async start(options: ArgoCdOptions): Promise<void> {
    await mkdir(this.repository, { recursive: true })
    await this.git('init', '--quiet', '--initial-branch=main')
    await this.commit({ README: 'What the applications of this cluster are made of.\n' })
    await this.install(options.config ?? {})
    const [redis, repoServer, metrics] = await freePorts('127.0.0.1', 3)
    const [controllerMetrics] = await freePorts('127.0.0.1', 1)
    await Promise.all([this.startRedis(redis), this.startRepoServer(redis, repoServer, metrics)])
    await this.startController(redis, repoServer, controllerMetrics)
  }

  /** Writes files (undefined removes one) and commits them; returns the commit. */
  async commit(files: Readonly<Record<string, string | undefined>>, message = 'change'): Promise<string> {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(this.repository, name)
      await mkdir(path.dirname(file), { recursive: true })
      await (content === undefined ? rm(file) : writeFile(file, content))
    }
    await this.git('add', '--all')
    await this.git(...GIT_IDENTITY, 'commit', '--quiet', `--message=${message}`)
    return (await this.git('rev-parse', 'HEAD')).trim()
  }

  /** An Application that syncs the folder `source` of the repository. */
  async application(name: string, source: string, options: ApplicationOptions = {}): Promise<void> {
    const automated = options.automated === false ? {} : { automated: { prune: true, selfHeal: true } }
    await this.plane.api.json('POST', APPLICATIONS, {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Application',
      metadata: { name, namespace: NAMESPACE },
      spec: {
        project: 'default',
        source: { repoURL: `file://${this.repository}`, path: source, targetRevision: 'HEAD' },
        destination: { server: this.plane.url, namespace: options.namespace ?? name },
        syncPolicy: { ...automated, syncOptions: ['CreateNamespace=true'] },
        ...options.spec,
      },
    })
  }

  /** Looks at the repository now and not in its own time. */
  async refresh(name: string): Promise<void> {
    const annotations = { 'argocd.argoproj.io/refresh': 'normal' }
    const type = 'application/merge-patch+json'
    await this.plane.api.json('PATCH', `${APPLICATIONS}/${name}`, { metadata: { annotations } }, type)
  }

  async status(name: string): Promise<ApplicationStatus> {
    const { status = {} } = await this.plane.api.json<ApplicationObject>('GET', `${APPLICATIONS}/${name}`)
    const { sync, health, operationState, conditions = [], resources = [] } = status
    const texts = [operationState?.message, ...conditions.map(({ message }) => message)]
    return {
      ...(sync?.status === undefined ? {} : { sync: sync.status }),
      ...(health?.status === undefined ? {} : { health: health.status }),
      ...(sync?.revision === undefined ? {} : { revision: sync.revision }),
      messages: texts.filter((text) => text !== undefined),
      resources,
    }
  }

  /** Waits until sync and health are as wanted; fails with what they were. */
  async untilStatus(
    name: string,
    wanted: { readonly sync?: string; readonly health?: string; readonly revision?: string },
    timeoutMs = 60_000,
  ): Promise<ApplicationStatus> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const status = await this.status(name)
      if (fits(status, wanted)) return status
      if (performance.now() > deadline)
        throw new Error(`application ${name} is not ${JSON.stringify(wanted)}: ${JSON.stringify(status)}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  private async install(config: Readonly<Record<string, string>>): Promise<void> {
    const crds = path.join(await argocdSources(), 'manifests/crds')
    for (const name of ['application', 'appproject']) {
      const text = await readFile(path.join(crds, `${name}-crd.yaml`), 'utf8')
      await this.plane.kubectl(['apply', '--server-side', '-f', '-'], { input: text })
    }
    const items = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
      ...this.settings(config),
    ]
    await this.plane.kubectl(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } })
    const established = ['wait', '--for=condition=Established', '--timeout=30s']
    const kinds = ['applications', 'appprojects'].map((plural) => `crd/${plural}.argoproj.io`)
    await this.plane.kubectl([...established, ...kinds])
    await this.plane.kubectl(['apply', '-f', '-'], { input: DEFAULT_PROJECT })
  }

  private settings(config: Readonly<Record<string, string>>): readonly unknown[] {
    const map = (name: string, data: Readonly<Record<string, string>>) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: NAMESPACE, labels: PART_OF },
      data,
    })
    return [
      map('argocd-cm', config),
      map('argocd-rbac-cm', {}),
      map('argocd-cmd-params-cm', {}),
      secret('argocd-secret', PART_OF, { 'server.secretkey': 'only for the test bed' }),
      secret('bed', { ...PART_OF, 'argocd.argoproj.io/secret-type': 'cluster' }, this.clusterSecret()),
    ]
  }

  /** Outside of a pod the cluster has no name of its own, so Argo CD is told of it as of a foreign one. */
  private clusterSecret(): Readonly<Record<string, string>> {
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const { ca, adminCert, adminKey, url } = this.plane
    const tlsClientConfig = { caData: base64(ca), certData: base64(adminCert), keyData: base64(adminKey) }
    return { name: 'bed', server: url, config: JSON.stringify({ tlsClientConfig }) }
  }

  private async startRedis(port: number): Promise<void> {
    await startProcess(this.plane.root, {
      name: 'argocd-redis',
      command: [
        'redis-server',
        '--bind',
        '127.0.0.1',
        '--port',
        String(port),
        '--save',
        '',
        '--appendonly',
        'no',
      ],
      cwd: this.folder,
    })
  }

  private async startRepoServer(redis: number, port: number, metrics: number): Promise<void> {
    await this.startPart('argocd-repo-server', metrics, [
      '--address=127.0.0.1',
      `--port=${port}`,
      '--metrics-address=127.0.0.1',
      `--metrics-port=${metrics}`,
      `--redis=127.0.0.1:${redis}`,
      '--disable-tls',
    ])
  }

  private async startController(redis: number, repoServer: number, metrics: number): Promise<void> {
    await this.startPart('argocd-application-controller', metrics, [
      `--repo-server=127.0.0.1:${repoServer}`,
      '--repo-server-plaintext',
      `--redis=127.0.0.1:${redis}`,
      `--metrics-port=${metrics}`,
      `--namespace=${NAMESPACE}`,
      '--app-resync=10',
      '--persist-resource-health',
    ])
  }

  private async startPart(name: string, metrics: number, flags: readonly string[]): Promise<void> {
    const { adminAccess, root } = this.plane
    const kubeconfig = await writeKubeconfig(path.join(this.folder, 'kubeconfig'), adminAccess, NAMESPACE)
    const folder = (inside: string) => path.join(this.folder, inside)
    await startProcess(root, {
      name,
      command: [(await clusterBinaries()).argocd, ...flags],
      env: {
        // One binary; this variable picks the part.
        ARGOCD_BINARY_NAME: name,
        KUBECONFIG: kubeconfig,
        ARGOCD_GPG_ENABLED: 'false',
        ARGOCD_GNUPGHOME: folder('gnupg'),
        ARGOCD_TLS_DATA_PATH: folder('tls'),
        ARGOCD_SSH_DATA_PATH: folder('ssh'),
      },
      ready: () => httpAnswers(`http://127.0.0.1:${metrics}/metrics`),
    })
  }

  private git(...args: readonly string[]): Promise<string> {
    return mustRun('git', ['-C', this.repository, ...args])
  }
}

interface ApplicationObject {
  readonly status?: {
    readonly sync?: { readonly status?: string; readonly revision?: string }
    readonly health?: { readonly status?: string }
    readonly operationState?: { readonly message?: string }
    readonly conditions?: readonly { readonly message: string }[]
    readonly resources?: ApplicationStatus['resources']
  }
}

const DEFAULT_PROJECT = {
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'AppProject',
  metadata: { name: 'default', namespace: NAMESPACE },
  spec: {
    sourceRepos: ['*'],
    destinations: [{ server: '*', namespace: '*' }],
    clusterResourceWhitelist: [{ group: '*', kind: '*' }],
  },
}

function secret(
  name: string,
  labels: Readonly<Record<string, string>>,
  stringData: Readonly<Record<string, string>>,
): unknown {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: NAMESPACE, labels }, stringData }
}

function fits(
  status: ApplicationStatus,
  wanted: { readonly sync?: string; readonly health?: string; readonly revision?: string },
): boolean {
  return (['sync', 'health', 'revision'] as const).every(
    (key) => wanted[key] === undefined || status[key] === wanted[key],
  )
}
