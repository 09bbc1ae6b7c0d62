/**
 * A cluster of one's own with the controller's image in its registry, and what tests of an installed Fairlead ask: its pods,
 * its log, its writes, and the apps that it runs.
 */
import path from 'node:path'
import { controllerImage } from '../../../scripts/lib/controller-image.ts'
import { mustRun } from '../../../scripts/lib/run.ts'
import { API_VERSION, APP_LABEL, COMPONENT_LABEL, KIND } from '../../../src/crd/labels.ts'
import { eventually } from '../../support/sandbox.ts'
import { demoLayout } from '../../support/fixtures.ts'
import { readLayoutImage } from '../../support/layout.ts'
import { startBed, type Bed } from '../bed/bed.ts'
import type { AuditEvent } from '../bed/audit.ts'

type Fields = Readonly<Record<string, unknown>>

export const CHART = path.join(import.meta.dirname, '../../../charts/fairlead')
export const MANIFESTS = path.join(import.meta.dirname, '../../../manifests')
export const CONTROLLER = 'app.kubernetes.io/name=fairlead'
const FAILURE_TAIL = 4000

export interface SeenPod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string }
  readonly status: {
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}

export class InstallBed implements AsyncDisposable {
  readonly bed: Bed
  /** The controller's image without its tag, as nodes and pods name it; it is there as `first` and as `second`. */
  readonly repository: string
  /** The demo image: five volumes, a plugin, no shell. */
  readonly demo: string
  /** Logs of controllers that are gone. */
  readonly #logs: string[] = []

  private constructor(bed: Bed, repository: string, demo: string) {
    this.bed = bed
    this.repository = repository
    this.demo = demo
  }

  static async start(): Promise<InstallBed> {
    const { layout, tag } = await controllerImage()
    const bed = await startBed()
    for (const name of ['first', 'second']) {
      const to = `docker://${bed.registry.host}/fairlead/controller:${name}`
      const how = ['--insecure-policy', 'copy', '--quiet', '--dest-tls-verify=false']
      await mustRun('skopeo', [...how, `oci:${layout}:${tag}`, to])
    }
    await bed.registry.push('demo/mattermost', '10.12', await readLayoutImage(await demoLayout(), 'v1'))
    const host = bed.registry.nodeHost
    return new InstallBed(bed, `${host}/fairlead/controller`, `${host}/demo/mattermost:10.12`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bed.stop()
  }

  /** registries.yaml of the controller: the bed's registry speaks plain http. */
  get registries(): Fields {
    return { registries: { [this.bed.registry.nodeHost]: { plainHttp: true } } }
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.bed.plane.kubectl(args)
  }

  async apply(...objects: readonly Fields[]): Promise<void> {
    const input = { apiVersion: 'v1', kind: 'List', items: objects }
    await this.bed.plane.kubectl(['apply', '-f', '-'], { input })
  }

  /** With Pod Security as strict as it gets. */
  async restrictedNamespace(name: string): Promise<void> {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await this.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
  }

  /** `helm install` or `upgrade` of the chart, with the values that this bed needs. */
  async helm(
    verb: 'install' | 'upgrade',
    namespace: string,
    values: Fields,
    ...args: readonly string[]
  ): Promise<void> {
    await this.rememberLog(namespace)
    const image = { repository: this.repository, tag: 'first' }
    const all = { image, registriesConfig: this.registries, test: { timeoutSeconds: 120 }, ...values }
    const set = Object.entries(all).map(([key, value]) => `--set-json=${key}=${JSON.stringify(value)}`)
    const wait = ['--wait', '--timeout', '150s', '--namespace', namespace]
    await this.bed.helm([verb, 'fairlead', CHART, ...wait, ...set, ...args]).catch(async (error: unknown) => {
      throw new Error(await this.situation(namespace), { cause: error })
    })
  }

  async pods(namespace: string, selector: string): Promise<readonly SeenPod[]> {
    const text = await this.kubectl('get', 'pods', '-n', namespace, '-l', selector, '-o', 'json')
    const { items } = JSON.parse(text) as { readonly items: readonly SeenPod[] }
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  }

  /** Uids of an app's own pods. */
  async appPods(namespace: string, app: string): Promise<readonly string[]> {
    const pods = await this.pods(namespace, `${APP_LABEL}=${app},${COMPONENT_LABEL}=app`)
    return pods.map(({ metadata }) => metadata.uid)
  }

  async untilReady(namespace: string, app: string): Promise<void> {
    const wait = ['wait', '-n', namespace, '--for=condition=Ready', `capp/${app}`, '--timeout=120s']
    await this.kubectl(...wait).catch(async (error: unknown) => {
      const words = await this.kubectl('describe', 'capp', '-n', namespace, app).catch(String)
      throw new Error(`${words}\n${await this.situation('fairlead-system')}`, { cause: error })
    })
  }

  /** A change that only a working controller carries out, and that restarts nothing: an annotation of the Service. */
  async untilServed(namespace: string, app: string, word: string): Promise<void> {
    const spec = { service: { annotations: { 'example.com/word': word } } }
    await this.kubectl('patch', 'capp', '-n', namespace, app, '--type=merge', '-p', JSON.stringify({ spec }))
    const annotations = ['get', 'svc', '-n', namespace, app, '-o', 'jsonpath={.metadata.annotations}']
    await eventually(
      `the Service of ${app} has the word ${word}`,
      async () => (await this.kubectl(...annotations)).includes(`"${word}"`),
      60_000,
    )
  }

  async holder(namespace: string): Promise<string> {
    return await this.kubectl(
      'get',
      'lease',
      '-n',
      namespace,
      '-o',
      'jsonpath={.items[0].spec.holderIdentity}',
    )
  }

  /** Keeps what the controllers said: a pod's log goes with the pod. */
  async rememberLog(namespace: string): Promise<void> {
    for (const { metadata } of await this.pods(namespace, CONTROLLER).catch(() => []))
      this.#logs.push(await this.kubectl('logs', '-n', namespace, metadata.name).catch(() => ''))
  }

  /** What all controllers said until now. */
  async log(namespace: string): Promise<string> {
    await this.rememberLog(namespace)
    return this.#logs.join('')
  }

  /** What controllers did for an app, and what the cluster said of it: why something is not as expected. */
  async steps(namespace: string, app: string): Promise<string> {
    const lines = (await this.log(namespace)).split('\n')
    const done = lines.filter((line) => line.includes(`"app":"${app}"`) && !line.includes('"step":"keep"'))
    const events = await this.kubectl('events', '-n', app.slice(0, app.indexOf('/')))
    return `${[...new Set(done)].join('\n')}\n${events}`
  }

  /** What the controller of a namespace wrote, refused ones as well. */
  async writes(namespace: string): Promise<readonly AuditEvent[]> {
    const user = `system:serviceaccount:${namespace}:fairlead`
    return (await this.bed.plane.auditEvents()).filter((event) => event.user.username === user)
  }

  async situation(namespace: string): Promise<string> {
    const pods = await this.kubectl('describe', 'pods', '-n', namespace).catch(String)
    return `${pods.slice(-FAILURE_TAIL)}\n${(await this.log(namespace)).slice(-FAILURE_TAIL)}`
  }
}

export function anApp(namespace: string, name: string, spec: Fields): Fields {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace }, spec }
}
