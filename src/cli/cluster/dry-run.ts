/** Asks the API server what an object would be after a change, without making it. */
import { APPLIED, FIELD_MANAGER, INPUTS } from '../../crd/labels.ts'
import { toYaml } from '../../crd/to-yaml.ts'
import type { KubeClient, ResourceType } from '../../engine/kubernetes/api/types.ts'
import { CHILD_TYPES, CONTAINER_APPS, isChildKind } from '../../engine/kubernetes/resources.ts'
import { invariant } from '../../errors.ts'
import type { ClusterStep, KubeObject } from '../../reconcile/kubernetes/types.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { unifiedDiff } from '../unified-diff.ts'
import { PLUGIN_FIELD_MANAGER } from './program-name.ts'

export interface ObjectChange {
  readonly change: 'added' | 'modified' | 'removed'
  readonly kind: string
  readonly namespace: string
  readonly name: string
  /** As `diff -u`, of YAML without what only the server or the controller's own books need. */
  readonly diff: string
}

/** What the step would change; undefined for nothing that anybody would see. Needs the rights to do it. */
export async function changeOfStep(
  client: KubeClient,
  namespace: string,
  step: ClusterStep,
): Promise<ObjectChange | undefined> {
  if (step.kind === 'keep') return undefined
  const { kind, name } =
    step.kind === 'delete' ? step.target : { kind: step.object.kind, name: step.object.metadata.name }
  invariant(isChildKind(kind), `${kind} is a child`)
  const type = CHILD_TYPES[kind]
  const before = step.kind === 'create' ? undefined : await client.get(type, namespace, name)
  return changeOf({ kind, namespace, name }, before, await after(client, type, step))
}

async function after(
  client: KubeClient,
  type: ResourceType,
  step: Exclude<ClusterStep, { readonly kind: 'keep' }>,
): Promise<KubeObject | undefined> {
  const options = { fieldManager: FIELD_MANAGER, dryRun: true }
  if (step.kind === 'delete') return undefined
  if (step.kind === 'create') return client.create(type, step.object, options)
  return client.apply(type, step.object, { ...options, force: true })
}

/** What applying the user's words would change of the resource itself, and the resource as it would be then. */
export async function changeOfApp(
  client: KubeClient,
  live: KubeObject | undefined,
  words: KubeObject,
): Promise<{ readonly change: ObjectChange | undefined; readonly next: KubeObject }> {
  const options = { fieldManager: PLUGIN_FIELD_MANAGER, dryRun: true }
  const { namespace = '', name, labels, annotations } = words.metadata
  const next =
    live === undefined
      ? await client.create(CONTAINER_APPS, words, options)
      : await client.replace(
          CONTAINER_APPS,
          {
            ...live,
            spec: words['spec'],
            metadata: {
              ...live.metadata,
              labels: { ...live.metadata.labels, ...labels },
              annotations: { ...live.metadata.annotations, ...annotations },
            },
          },
          options,
        )
  return { change: changeOf({ kind: words.kind, namespace, name }, live, next), next }
}

function changeOf(
  place: Pick<ObjectChange, 'kind' | 'namespace' | 'name'>,
  before: KubeObject | undefined,
  next: KubeObject | undefined,
): ObjectChange | undefined {
  const diff = unifiedDiff(textOf(before), textOf(next))
  if (diff === '') return undefined
  const change = before === undefined ? 'added' : next === undefined ? 'removed' : 'modified'
  return { change, ...place, diff }
}

const SERVER_FIELDS = [
  'managedFields',
  'resourceVersion',
  'generation',
  'uid',
  'creationTimestamp',
  'selfLink',
]
/** The same as what is shown already, once more. */
const BOOKS = [APPLIED, INPUTS, 'kubectl.kubernetes.io/last-applied-configuration']

function textOf(object: KubeObject | undefined): string {
  if (object === undefined) return ''
  const { status: _status, apiVersion, kind, metadata, ...rest } = object
  const { annotations, labels, ...known } = without(metadata, SERVER_FIELDS)
  const shown = {
    ...known,
    ...notEmpty('labels', (labels ?? {}) as Readonly<Record<string, unknown>>),
    ...notEmpty('annotations', without((annotations ?? {}) as Readonly<Record<string, unknown>>, BOOKS)),
  }
  return toYaml({ apiVersion, kind, metadata: sorted(shown), ...(sorted(rest) as object) })
}

function without(
  fields: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))
}

function notEmpty(
  name: string,
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.keys(fields).length === 0 ? {} : { [name]: fields }
}

/** One order of keys: servers and files have different ones. */
function sorted(value: unknown): unknown {
  return JSON.parse(canonicalJson(value)) as unknown
}
