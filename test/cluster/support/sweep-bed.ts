/**
 * Where controllers are killed, blinded and misled: a real control plane with the stubs of `stubbed-cluster.ts`, and a
 * proxy that does harm between it and controllers with the rights of the manifests.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { AppStatus } from '../../../src/crd/status.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { writeImages } from '../../engine/kubernetes/world-images.ts'
import { startFaultProxy, type FaultProxy, type ProxiedRequest } from '../../support/fault-proxy.ts'
import { eventually } from '../../support/sandbox.ts'
import { startControlPlane, type ControlPlane } from '../bed/control-plane.ts'
import { writeKubeconfig } from '../bed/kubeconfig.ts'
import { startController, type RunningController } from './controller.ts'
import { makeStorageClass, StubbedCluster } from './stubbed-cluster.ts'

type Fields = Readonly<Record<string, unknown>>

const ROOT = path.join(import.meta.dirname, '../../..')
const APPS = '/apis/fairlead.dev/v1alpha1/namespaces'
const NAMESPACE = 'fairlead-system'
export const ACCOUNT = 'fairlead'
/** Slow machines, many tests: what takes longer hangs. */
const REST_MS = 90_000
const CHILDREN = [
  '/apis/apps/v1/statefulsets',
  '/apis/apps/v1/deployments',
  '/api/v1/services',
  '/api/v1/persistentvolumeclaims',
  '/api/v1/pods',
]

export interface StartOptions {
  /** Names the address at the proxy; faults and hooks can be for one identity. */
  readonly identity?: string
  readonly account?: string
  readonly args?: readonly string[]
}

export class SweepBed implements AsyncDisposable {
  readonly plane: ControlPlane
  readonly stub: StubbedCluster
  readonly proxy: FaultProxy
  readonly #folder: string
  readonly #images: string
  #identities = 0
  #namespaces = 0

  private constructor(plane: ControlPlane, proxy: FaultProxy, folder: string, images: string) {
    this.plane = plane
    this.stub = new StubbedCluster(plane)
    this.proxy = proxy
    this.#folder = folder
    this.#images = images
  }

  static async start(): Promise<SweepBed> {
    const plane = await startControlPlane({ controllerManager: true })
    await plane.kubectl(['apply', '--server-side', '-f', path.join(ROOT, 'manifests/crd.yaml')])
    await eventually('ContainerApps are served', async () => {
      return (await plane.api.send('GET', '/apis/fairlead.dev/v1alpha1/containerapps')).status === 200
    })
    await plane.kubectl(['create', 'namespace', NAMESPACE])
    await plane.kubectl(['create', 'serviceaccount', ACCOUNT, '-n', NAMESPACE])
    await plane.kubectl(['apply', '-f', path.join(ROOT, 'manifests/rbac.yaml')])
    await makeStorageClass(plane)
    const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-sweep-'))
    const images = await writeImages()
    const layouts = [{ prefix: 'registry.test/apps/', path: images }]
    await writeFile(path.join(folder, 'images.json'), JSON.stringify({ layouts }))
    return new SweepBed(plane, await startFaultProxy(plane.adminAccess), folder, images)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stub[Symbol.asyncDispose]()
    await this.proxy.close()
    await this.plane.stop()
    for (const folder of [this.#folder, this.#images]) await rm(folder, { recursive: true, force: true })
  }

  /** A controller of the whole cluster, behind the proxy, with the rights of the service account. */
  async startController(
    options: StartOptions = {},
  ): Promise<RunningController & { readonly identity: string }> {
    const identity = options.identity ?? `life-${(this.#identities += 1)}`
    const token = await this.plane.tokenFor(`${NAMESPACE}/${options.account ?? ACCOUNT}`)
    const url = await this.proxy.endpoint(identity, { token })
    const file = path.join(this.#folder, `${identity}.kubeconfig`)
    await writeKubeconfig(file, { url, ca: '', token: 'the-proxy-knows' }, NAMESPACE)
    const controller = await startController(this.plane, {
      namespaces: [],
      preflightImage: 'registry.test/fairlead:1',
      kubeconfig: file,
      args: ['--registries-config', path.join(this.#folder, 'images.json'), ...(options.args ?? [])],
      env: { POD_NAME: identity },
    })
    return Object.assign(controller, { identity })
  }

  /** Another service account with the same rights, so that the audit log tells two controllers apart. */
  async admit(account: string): Promise<void> {
    await this.plane.kubectl(['create', 'serviceaccount', account, '-n', NAMESPACE])
    const subject = `--serviceaccount=${NAMESPACE}:${account}`
    for (const role of ['manager', 'cluster-reader'])
      await this.plane.kubectl([
        'create',
        'clusterrolebinding',
        `${account}-${role}`,
        `--clusterrole=fairlead-${role}`,
        subject,
      ])
    await this.plane.kubectl([
      'create',
      'rolebinding',
      account,
      '--role=fairlead-leader-election',
      subject,
      '-n',
      NAMESPACE,
    ])
  }

  /** Calls `hook` when the server has done the n-th write of the controller from now on, Events and Leases not counted. */
  afterObjectWrite(n: number, identity: string, hook: (request: ProxiedRequest) => unknown): void {
    const from = this.proxy.writes(identity)
    let seen = 0
    for (let number = from + 1; number <= from + 10 * (n + 20); number += 1)
      this.proxy.afterWrite(
        number,
        (request) => {
          if (!isObjectWrite(request)) return undefined
          seen += 1
          return seen === n ? hook(request) : undefined
        },
        identity,
      )
  }

  objectWrites(identity: string): number {
    return this.proxy.log.filter((request) => request.identity === identity && isObjectWrite(request)).length
  }

  /** A namespace that nobody used before. */
  async namespace(): Promise<string> {
    const name = `sweep-${(this.#namespaces += 1)}`
    await this.plane.kubectl(['create', 'namespace', name])
    return name
  }

  async submit(namespace: string, spec: Fields): Promise<void> {
    await this.plane.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], {
      input: {
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { name: 'app', namespace },
        spec,
      },
    })
  }

  async remove(namespace: string): Promise<void> {
    await this.plane.kubectl(['delete', 'capp', 'app', '-n', namespace, '--wait=false'])
  }

  async app(namespace: string): Promise<KubeObject | undefined> {
    const { status, text } = await this.plane.api.send('GET', `${APPS}/${namespace}/containerapps/app`)
    return status === 200 ? (JSON.parse(text) as KubeObject) : undefined
  }

  /** Resolves when the app is as `isThere` wants it, and its picture has stayed the same for a while. */
  async atRest(
    namespace: string,
    isThere: (app: KubeObject | undefined) => boolean,
    log: () => string,
  ): Promise<string> {
    let last = ''
    let since = performance.now()
    await eventually(
      `${namespace}/app is at rest`,
      async () => {
        const picture = await this.picture(namespace)
        if (picture !== last) since = performance.now()
        last = picture
        const isQuiet = performance.now() - since > 700 && !picture.includes('preflight')
        return isQuiet && isThere(await this.app(namespace))
      },
      REST_MS,
      () => `${last}\n${log().slice(-3000)}`,
    )
    return last
  }

  /** Everything that matters at the end, as text that is the same for two namespaces. */
  async picture(namespace: string): Promise<string> {
    const children = await Promise.all(
      CHILDREN.map(async (collection) => {
        const slash = collection.lastIndexOf('/')
        const place = `${collection.slice(0, slash)}/namespaces/${namespace}${collection.slice(slash)}`
        const { items } = await this.plane.api.json<{ items: readonly KubeObject[] }>('GET', place)
        return items
          .filter(({ metadata }) => metadata.labels?.['fairlead.dev/app'] === 'app')
          .map((object) => `${collection.slice(slash + 1)} ${essence(object)}`)
      }),
    )
    const status = (await this.app(namespace))?.['status'] as AppStatus | undefined
    const words = {
      digest: status?.image?.digest,
      volumes: status?.volumes,
      conditions: status?.conditions?.map(({ type, status: is, reason }) => `${type}=${is} ${reason}`),
    }
    return [...children.flat(), JSON.stringify(words, null, 1)].join('\n').replaceAll(namespace, 'NAMESPACE')
  }

  /** Throws when a container ran on an empty claim, two ran on one, or a claim was deleted. */
  async mustBeUnharmed(): Promise<void> {
    const harm = [...this.stub.violations, ...(await this.#claimDeletions())]
    if (harm.length > 0) throw new Error(harm.join('\n'))
  }

  async #claimDeletions(): Promise<readonly string[]> {
    return (await this.plane.auditEvents())
      .filter(
        ({ verb, objectRef }) =>
          verb.startsWith('delete') && objectRef?.resource === 'persistentvolumeclaims',
      )
      .map(({ user, requestURI }) => `${user.username} ${requestURI}`)
  }
}

export function isObjectWrite({ isWrite, url }: ProxiedRequest): boolean {
  return isWrite && !/\/(events|leases|selfsubject\w+|tokenreviews)\b|dryRun=/.test(url)
}

/** The controller has looked at the newest spec, and is content. */
export function isReady(app: KubeObject | undefined): boolean {
  const status = app?.['status'] as AppStatus | undefined
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  return status?.observedGeneration === app?.metadata.generation && ready?.status === 'True'
}

/** Without what no two runs have in common. */
function essence({ metadata, ...object }: KubeObject): string {
  const spec = object['spec'] as Fields
  const { clusterIP: _ip, clusterIPs: _ips, volumeName: _volume, nodeName: _node, ...rest } = spec
  const { name, labels, annotations = {}, ownerReferences = [] } = metadata
  const { 'pv.kubernetes.io/bind-completed': _bound, ...own } = annotations
  const owners = ownerReferences.map((owner) => `${owner.kind}/${owner.name}`)
  return JSON.stringify({ name, labels, own, owners, rest })
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
    .replaceAll(/kube-api-access-\w+/g, 'kube-api-access')
}
