/**
 * Does the steps of a plan on the API server. Creation is a POST and every later write names the uid of what was seen:
 * an object of somebody else is never taken over, and one that was re-created since is left alone (DESIGN §6).
 */
import { FIELD_MANAGER, KIND } from '../../crd/labels.ts'
import { observedObject, ownerUidIn } from '../../reconcile/kubernetes/observe-fields.ts'
import type { ChildKind, ClusterStep, KubeObject } from '../../reconcile/kubernetes/types.ts'
import type { AppKey } from '../../reconcile/names.ts'
import { ExpectedError, invariant } from '../../errors.ts'
import { attemptOf, parseObject } from './api/client.ts'
import { objectPath } from './api/paths.ts'
import type { KubeClient, ResourceType } from './api/types.ts'
import type { Children } from './children.ts'
import { CHILD_TYPES, isChildKind } from './resources.ts'

export interface ExecuteOptions {
  readonly client: KubeClient
  readonly children: Pick<Children, 'observeWrite' | 'observeDelete'>
}

type ManagedField = Readonly<Record<string, unknown>>

export async function executeStep(options: ExecuteOptions, key: AppKey, step: ClusterStep): Promise<void> {
  switch (step.kind) {
    case 'keep':
      return undefined
    case 'create':
      return create(options, key, step.object)
    case 'apply':
      return apply(options, key, step.object, step.disown === true)
    case 'delete': {
      const { kind, name, uid } = step.target
      await options.client.delete(CHILD_TYPES[kind], key.namespace, name, {
        uid,
        propagation: step.propagation,
      })
      // A pod ends in its own time, and so does what waits for its dependants: the watch tells when it is gone.
      if (kind === 'Service') options.children.observeDelete(kind, { ...key, name }, uid)
    }
  }
}

async function create(options: ExecuteOptions, key: AppKey, object: KubeObject): Promise<void> {
  const { kind, type } = childOf(object)
  try {
    const made = await options.client.create(type, object, { fieldManager: FIELD_MANAGER })
    options.children.observeWrite(kind, made)
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.reason !== 'NameConflict') throw error
    await judgeExisting(options, key, object)
  }
}

/** What is there already: ours that the cache has not seen yet, ours of an app that is gone, or somebody else's. */
async function judgeExisting(options: ExecuteOptions, key: AppKey, object: KubeObject): Promise<void> {
  const { kind, type } = childOf(object)
  const { name } = object.metadata
  const there = await options.client.get(type, key.namespace, name)
  const seen = there === undefined ? undefined : observedObject(there, [kind])
  if (there === undefined || seen?.deleting === true) throw goingAway(kind, name)
  if (seen?.ours !== true || seen.app !== key.name) {
    throw new ExpectedError(
      'NameConflict',
      `there is a ${kind} ${name} already that Fairlead did not make; rename the app, or remove it if nobody needs it`,
    )
  }
  if (seen.ownerUid !== undefined && seen.ownerUid !== ownerUidIn(object)) throw goingAway(kind, name)
  options.children.observeWrite(kind, there)
}

function goingAway(kind: string, name: string): ExpectedError {
  const message = `${kind} ${name} of an app of this name that was deleted is still being removed; its place is taken when it is gone`
  return new ExpectedError('ClusterConflict', message, { retry: 'backoff' })
}

async function apply(
  options: ExecuteOptions,
  key: AppKey,
  object: KubeObject,
  disown: boolean,
): Promise<void> {
  const { kind, type } = childOf(object)
  invariant(object.metadata.namespace === key.namespace, `${kind} is in the namespace of its app`)
  invariant(object.metadata.uid !== undefined, `apply of ${kind} ${object.metadata.name} names a uid`)
  await handOverCreation(options.client, type, object)
  const written = await options.client.apply(type, object, { fieldManager: FIELD_MANAGER, force: true })
  options.children.observeWrite(kind, disown ? await disowned(options.client, type, written) : written)
}

/** Exactly what was just written, without the owners that others gave it. */
async function disowned(client: KubeClient, type: ResourceType, written: KubeObject): Promise<KubeObject> {
  const { namespace, name, uid, resourceVersion, ownerReferences: owners = [] } = written.metadata
  const others = owners.filter(({ kind }) => kind !== KIND)
  if (others.length === owners.length) return written
  const patch = { metadata: { uid, resourceVersion, ownerReferences: others } }
  return client.mergePatch(type, namespace, name, patch, { fieldManager: FIELD_MANAGER })
}

/**
 * A POST owns its fields as an update, and an apply of the same manager does not take over what that owns: fields that
 * are no longer rendered would stay for ever. So before the first apply the entry is made one of an apply, as kubectl
 * does for its own (KEP-555, upgrade from client-side apply).
 */
async function handOverCreation(client: KubeClient, type: ResourceType, object: KubeObject): Promise<void> {
  const { namespace, name, uid } = object.metadata
  const live = await readWhole(client, type, namespace, name)
  if (live === undefined || live.metadata.uid !== uid) return
  const fields = live.metadata['managedFields'] as readonly ManagedField[] | undefined
  if (fields?.some(isCreation) !== true) return
  const managedFields = fields.map((entry) => (isCreation(entry) ? { ...entry, operation: 'Apply' } : entry))
  await client.mergePatch(
    type,
    namespace,
    name,
    { metadata: { uid, resourceVersion: live.metadata.resourceVersion, managedFields } },
    { fieldManager: FIELD_MANAGER },
  )
}

/** With `managedFields`, which the client leaves out of everything else. */
async function readWhole(
  client: KubeClient,
  type: ResourceType,
  namespace: string | undefined,
  name: string,
): Promise<KubeObject | undefined> {
  try {
    const text = await client.read(objectPath(type, namespace, name))
    return parseObject(text, attemptOf('get', type, namespace, name))
  } catch (error) {
    // The apply that follows says what is wrong, in its own words.
    if (error instanceof ExpectedError) return undefined
    throw error
  }
}

function isCreation(entry: ManagedField): boolean {
  return (
    entry['manager'] === FIELD_MANAGER &&
    entry['operation'] === 'Update' &&
    (entry['subresource'] === undefined || entry['subresource'] === '')
  )
}

function childOf({ kind }: KubeObject): { readonly kind: ChildKind; readonly type: ResourceType } {
  invariant(isChildKind(kind), `${kind} is no kind that the engine makes`)
  return { kind, type: CHILD_TYPES[kind] }
}
