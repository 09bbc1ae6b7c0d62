/** The way of one controller's process to the server: it counts what the process writes, and ends it where a test says. */
import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ResourceType,
  WriteOptions,
} from '../../../src/engine/kubernetes/api/types.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'

/** Ends the controller's process between two requests: no code of ours may see it as an expected failure. */
export class Crash extends Error {}

/** What happens to a write: the process ends after it, its answer gets lost, or it is refused with an error. */
export type WriteFault = 'crash' | { readonly lost: Error } | { readonly refused: Error } | undefined

/** `number` counts the writes of the process from 1; `what` is as `create Pod/name` or `apply ContainerApp/name/status`. */
export type WriteFaults = (number: number, what: string) => WriteFault

export class ProcessClient implements KubeClient {
  /** What was written, in order. */
  readonly written: string[] = []
  readonly #server: KubeClient
  readonly #faults: WriteFaults
  #isDead = false

  constructor(server: KubeClient, faults: WriteFaults) {
    this.#server = server
    this.#faults = faults
  }

  /** Nothing that is still under way reaches the server. */
  kill(): void {
    this.#isDead = true
  }

  get(...args: Parameters<KubeClient['get']>): Promise<KubeObject | undefined> {
    return this.#ask(() => this.#server.get(...args))
  }

  list(type: ResourceType, options?: ListOptions): Promise<readonly KubeObject[]> {
    return this.#ask(() => this.#server.list(type, options))
  }

  read(path: string, signal?: AbortSignal): Promise<string> {
    return this.#ask(() => this.#server.read(path, signal))
  }

  create(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    return this.#write('create', type, object.metadata.name, options, () =>
      this.#server.create(type, object, options),
    )
  }

  apply(...[type, object, options]: Parameters<KubeClient['apply']>): Promise<KubeObject> {
    return this.#write('apply', type, object.metadata.name, options, () =>
      this.#server.apply(type, object, options),
    )
  }

  replace(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    return this.#write('replace', type, object.metadata.name, options, () =>
      this.#server.replace(type, object, options),
    )
  }

  mergePatch(
    ...[type, namespace, name, patch, options]: Parameters<KubeClient['mergePatch']>
  ): Promise<KubeObject> {
    return this.#write('patch', type, name, options, () =>
      this.#server.mergePatch(type, namespace, name, patch, options),
    )
  }

  delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options?: DeleteOptions,
  ): Promise<void> {
    return this.#write('delete', type, name, {}, () => this.#server.delete(type, namespace, name, options))
  }

  close(): void {
    this.kill()
  }

  #ask<T>(request: () => Promise<T>): Promise<T> {
    if (this.#isDead) return Promise.reject(new Crash('the process has ended'))
    return request()
  }

  async #write<T>(
    verb: string,
    type: ResourceType,
    name: string,
    { dryRun, subresource }: { readonly dryRun?: boolean; readonly subresource?: string },
    request: () => Promise<T>,
  ): Promise<T> {
    if (dryRun === true) return this.#ask(request)
    const what = `${verb} ${type.kind}/${name}${subresource === undefined ? '' : `/${subresource}`}`
    const fault = this.#isDead ? undefined : this.#faults(this.written.length + 1, what)
    if (typeof fault === 'object' && 'refused' in fault) throw fault.refused
    const answer = await this.#ask(request)
    this.written.push(what)
    if (typeof fault === 'object') throw fault.lost
    if (fault !== 'crash') return answer
    this.kill()
    throw new Crash(`after write ${this.written.length}: ${what}`)
  }
}
