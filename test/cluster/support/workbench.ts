/**
 * A namespace of its own with a controller that serves only it, and the words in which the end-to-end tests speak:
 * apply an app, wait for a condition, look into its pod and its claims. Everything goes by kubectl, as a user's would.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Artifact } from '../../../scripts/lib/oci-image.ts'
import { findCondition, type Condition } from '../../../src/crd/conditions.ts'
import { API_VERSION, APP_LABEL, COMPONENT_LABEL, KIND } from '../../../src/crd/labels.ts'
import type { AppStatus } from '../../../src/crd/status.ts'
import { fieldsOf } from '../../../src/crd/view.ts'
import { documentsOf, ROOT } from '../../delivery/tools.ts'
import { eventually } from '../../support/sandbox.ts'
import { bedFromEnvironment, type TestCluster } from '../bed/test-cluster.ts'
import { preflightImage, startController, type RunningController } from './controller.ts'

const PATIENCE_MS = 120_000
const LOG_TAIL = 3000

type Fields = Readonly<Record<string, unknown>>

/** What the tests read of any object. */
export interface SeenObject {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly resourceVersion: string
    readonly generation?: number
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[]
    readonly managedFields?: readonly {
      readonly manager: string
      readonly subresource?: string
      readonly fieldsV1: Fields
    }[]
    readonly deletionTimestamp?: string
  }
  readonly spec: Fields
  readonly status?: Fields
}

export interface SeenPod extends SeenObject {
  readonly spec: {
    readonly containers: readonly { readonly name: string; readonly image: string }[]
    readonly nodeName?: string
  }
  readonly status: {
    readonly phase: string
    readonly podIP?: string
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly imageID: string }[]
  }
}

/** What a condition is expected to be; fields that are left out may be anything. */
export interface Wanted {
  readonly type: string
  readonly status: Condition['status']
  readonly reason?: string
  readonly message?: RegExp
}

export interface BenchOptions {
  /** Of the namespace, as Pod Security wants them. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * The controller may do in its namespace what the manifests allow, and in the cluster nothing, or read namespaces and
   * with them their labels: about nodes and image volumes it knows nothing.
   */
  readonly namespaced?: boolean | 'reads namespaces'
}

export class Workbench implements AsyncDisposable {
  readonly cluster: TestCluster
  readonly namespace: string
  readonly #namespaced: NonNullable<BenchOptions['namespaced']>
  #controller: RunningController | undefined

  private constructor(
    cluster: TestCluster,
    namespace: string,
    namespaced: NonNullable<BenchOptions['namespaced']>,
  ) {
    this.cluster = cluster
    this.namespace = namespace
    this.#namespaced = namespaced
  }

  /** Makes CRD and namespace, starts the controller. */
  static async create(namespace: string, options: BenchOptions = {}): Promise<Workbench> {
    const cluster = await bedFromEnvironment()
    const crd = path.join(ROOT, 'manifests/crd.yaml')
    await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', crd])
    await cluster.kubectl(['wait', '--for=create', 'crd/containerapps.fairlead.dev'])
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd/containerapps.fairlead.dev'])
    const metadata = { name: namespace, labels: options.labels ?? {} }
    await cluster.kubectl(['create', '-f', '-'], {
      input: { apiVersion: 'v1', kind: 'Namespace', metadata },
    })
    const bench = new Workbench(cluster, namespace, options.namespaced ?? false)
    await bench.#start()
    return bench
  }

  get log(): string {
    return this.#controller?.log ?? ''
  }

  /** As admin, in the bench's namespace. */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.cluster.kubectl(['--namespace', this.namespace, ...args])
  }

  /** Any object, as a user applies it. */
  async applyObject(object: Fields): Promise<void> {
    await this.cluster.kubectl(['--namespace', this.namespace, 'apply', '-f', '-'], { input: object })
  }

  async apply(name: string, image: string, spec: Fields = {}): Promise<void> {
    await this.applyObject({
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name },
      spec: { image, terminationGracePeriodSeconds: 5, ...spec },
    })
  }

  /** Fields by the dotted names of `kubectl explain`: a merge patch of the spec. */
  async patch(name: string, spec: Fields): Promise<void> {
    await this.kubectl('patch', 'capp', name, '--type=merge', '-p', JSON.stringify({ spec }))
  }

  push(repository: string, tag: string, image: Artifact): Promise<string> {
    return this.cluster.push(`${this.namespace}/${repository}`, tag, image)
  }

  async object<T extends SeenObject = SeenObject>(kind: string, name: string): Promise<T> {
    return JSON.parse(await this.kubectl('get', kind, name, '-o', 'json', '--show-managed-fields')) as T
  }

  async objects<T extends SeenObject = SeenObject>(kind: string, selector: string): Promise<readonly T[]> {
    const text = await this.kubectl('get', kind, '-l', selector, '-o', 'json')
    return (JSON.parse(text) as { readonly items: readonly T[] }).items
  }

  async status(name: string): Promise<AppStatus> {
    return (await this.object('capp', name)).status ?? {}
  }

  async condition(name: string, type: string): Promise<Condition | undefined> {
    return findCondition((await this.status(name)).conditions ?? [], type)
  }

  /** By `kubectl wait`, which believes a condition only of the current generation. */
  async untilReady(name: string): Promise<void> {
    await this.kubectl('wait', '--for=condition=Ready', `capp/${name}`, '--timeout=150s').catch(
      async (error: unknown) => {
        throw new Error(await this.#situation(name), { cause: error })
      },
    )
  }

  /** Until all of them hold at once, of the current generation. */
  async untilConditions(name: string, wanted: readonly Wanted[]): Promise<void> {
    let seen = ''
    await eventually(
      `${name} has ${wanted.map(({ type, status, reason }) => `${type}=${status} ${reason ?? ''}`).join(', ')}`,
      async () => {
        const { metadata, status } = await this.object('capp', name)
        const { observedGeneration, conditions = [] } = (status ?? {}) as AppStatus
        seen = JSON.stringify(conditions, undefined, 1)
        return observedGeneration === metadata.generation && wanted.every((each) => isMet(conditions, each))
      },
      PATIENCE_MS,
      () => seen + this.log.slice(-LOG_TAIL),
    )
  }

  async until(what: string, check: () => Promise<boolean>, timeoutMs = PATIENCE_MS): Promise<void> {
    await eventually(what, check, timeoutMs, () => this.log.slice(-LOG_TAIL))
  }

  /** Pods of the app itself, without those that prepare volumes; those that end are left out. */
  async pods(name: string): Promise<readonly SeenPod[]> {
    const pods = await this.objects<SeenPod>('pod', `${APP_LABEL}=${name},${COMPONENT_LABEL}=app`)
    return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  }

  async pod(name: string): Promise<SeenPod> {
    const [pod, ...others] = await this.pods(name)
    if (pod === undefined || others.length > 0) throw new Error(`${name} has ${others.length} pods too many`)
    return pod
  }

  /** Runs a program in the app's container; its output. */
  async exec(name: string, ...command: readonly string[]): Promise<string> {
    const pod = await this.pod(name)
    return await this.kubectl('exec', pod.metadata.name, '-c', 'app', '--', ...command)
  }

  sh(name: string, script: string): Promise<string> {
    return this.exec(name, '/bin/sh', '-c', script)
  }

  claims(name: string): Promise<readonly SeenObject[]> {
    return this.objects('pvc', `${APP_LABEL}=${name}`)
  }

  /** Where this machine sees what is on the claim of a path. */
  async folderOf(name: string, volumePath: string): Promise<string> {
    const claim = (await this.status(name)).volumes?.find((volume) => volume.path === volumePath)?.claimName
    if (claim === undefined || this.cluster.bed === undefined)
      throw new Error(`no claim for ${volumePath} of ${name}`)
    return await this.cluster.bed.volumes.contentOf(this.namespace, claim)
  }

  /** Pods that prepared volumes and were not removed yet. */
  preflights(name: string): Promise<readonly SeenPod[]> {
    return this.objects<SeenPod>('pod', `${APP_LABEL}=${name},${COMPONENT_LABEL}=preflight`)
  }

  async deleteApp(name: string): Promise<void> {
    await this.kubectl('delete', 'capp', name, '--timeout=60s')
    await this.kubectl('wait', '--for=delete', 'pod', '-l', `${APP_LABEL}=${name}`, '--timeout=120s')
  }

  /** As a node that loses power would end it. */
  async killController(): Promise<void> {
    await this.#controller?.stop('SIGKILL')
  }

  async restartController(): Promise<void> {
    await this.killController()
    await this.#start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controller?.stop()
    await this.cluster.kubectl(['delete', 'namespace', this.namespace, '--wait=false'])
  }

  /** FAIRLEAD_TEST_PREFLIGHT_IMAGE names one that is in the registry already: building it takes minutes. */
  async #start(): Promise<void> {
    const given = process.env['FAIRLEAD_TEST_PREFLIGHT_IMAGE'] ?? ''
    this.#controller = await startController(this.cluster, {
      namespaces: [this.namespace],
      preflightImage: given === '' ? await preflightImage(this.cluster) : given,
      ...(this.#namespaced === false
        ? {}
        : { kubeconfig: await namespacedAccount(this.cluster, this.namespace, this.#namespaced) }),
    })
  }

  async #situation(name: string): Promise<string> {
    const words = await this.kubectl('describe', 'capp', name).catch(String)
    const pods = await this.kubectl('get', 'pod,pvc', '-o', 'wide').catch(String)
    return `${name} did not become ready\n${words}\n${pods}\n${this.log.slice(-LOG_TAIL)}`
  }
}

/** An account with the rights of a manager in its namespace, and (almost) none in the cluster: nodes are hidden. */
async function namespacedAccount(
  cluster: TestCluster,
  namespace: string,
  rights: true | 'reads namespaces',
): Promise<string> {
  const rbac = documentsOf(await readFile(path.join(ROOT, 'manifests/rbac.yaml'), 'utf8'))
  const manager = rbac.find((object) => fieldsOf(object['metadata'])['name'] === 'fairlead-manager')
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const metadata = { name: 'fairlead', namespace }
  const items = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { apiVersion, kind: 'Role', metadata, rules: manager?.['rules'] },
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'fairlead' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
  ]
  await cluster.kubectl(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } })
  if (rights === 'reads namespaces') await letReadNamespaces(cluster, namespace)
  if (cluster.bed === undefined) throw new Error('only the own bed writes a kubeconfig for an account')
  return await cluster.bed.plane.kubeconfigFor(`${namespace}/fairlead`)
}

async function letReadNamespaces(cluster: TestCluster, namespace: string): Promise<void> {
  const name = `${namespace}-reads-namespaces`
  const verbs = '--verb=get,list,watch'
  const apply = async (...args: readonly string[]) => {
    const object = await cluster.kubectl(['create', ...args, '--dry-run=client', '-o', 'json'])
    await cluster.kubectl(['apply', '-f', '-'], { input: JSON.parse(object) as Fields })
  }
  await apply('clusterrole', name, verbs, '--resource=namespaces')
  await apply('clusterrolebinding', name, `--clusterrole=${name}`, `--serviceaccount=${namespace}:fairlead`)
}

function isMet(conditions: readonly Condition[], wanted: Wanted): boolean {
  const found = findCondition(conditions, wanted.type)
  return (
    found !== undefined &&
    found.status === wanted.status &&
    (wanted.reason === undefined || found.reason === wanted.reason) &&
    (wanted.message === undefined || wanted.message.test(found.message))
  )
}
