/**
 * What a user's pod template may not say: what has a field of its own that is checked before anything starts (image,
 * command, user), and what Fairlead leans on (its labels, mounts and volumes). Everything is found at once.
 */
import { formatPath, quoted, type FieldPath } from '../../crd/findings.ts'
import { GROUP, MANAGED_BY_LABEL } from '../../crd/labels.ts'
import { normalizePath } from '../../crd/path.ts'
import type { App } from '../../crd/types.ts'
import { fieldsOf, isFields, itemsOf, textOf, type Fields } from '../../crd/view.ts'
import type { Issue } from '../../errors.ts'
import { APP_CONTAINER } from './container.ts'
import { isKeyedList, listKey } from './list-keys.ts'
import { NAME_LABEL } from './metadata.ts'

/** What is taken in the rendered pod template. */
export interface Taken {
  /** Mount paths of the app's volumes. */
  readonly mountPaths: readonly string[]
  /** Names of the pod's volumes. */
  readonly volumeNames: readonly string[]
}

const BASE: FieldPath = ['spec', 'podTemplate']
const META_FIELDS = ['labels', 'annotations']
/** Fields of the app's container that the resource has, with where they belong. */
const OWN_FIELDS: Readonly<Record<string, string>> = {
  image: 'spec.image',
  command: 'spec.command',
  args: 'spec.args',
  workingDir: 'spec.workingDir',
}
const USER_FIELDS = ['runAsUser', 'runAsGroup']

export function overlayIssues(app: App, taken: Taken): readonly Issue[] {
  const { metadata, spec } = fieldsOf(app.spec.podTemplate)
  const podSpec = fieldsOf(spec)
  return [
    ...metadataIssues(fieldsOf(metadata), [...BASE, 'metadata']),
    ...keyIssues(podSpec, [...BASE, 'spec']),
    ...podIssues(podSpec, taken, [...BASE, 'spec']),
    ...appContainerIssues(podSpec, taken, [...BASE, 'spec', 'containers']),
  ]
}

function metadataIssues(metadata: Fields, base: FieldPath): readonly Issue[] {
  return Object.entries(metadata).flatMap(([field, value]) => {
    const path = [...base, field]
    if (!META_FIELDS.includes(field))
      return [refused(path, 'pods have labels and annotations from here only')]
    if (!isFields(value)) return [refused(path, 'must be an object of texts')]
    return Object.entries(value).flatMap(([key, text]) => {
      if (isOurs(key)) return [refused([...path, key], 'belongs to Fairlead, which finds its pods by it')]
      return typeof text === 'string'
        ? []
        : [refused([...path, key], 'must be text; numbers and true or false need quotes')]
    })
  })
}

function isOurs(key: string): boolean {
  return key.startsWith(`${GROUP}/`) || key === MANAGED_BY_LABEL || key === NAME_LABEL
}

/** Items of lists that are told apart by a key must have one, wherever they are. */
function keyIssues(value: unknown, path: FieldPath): readonly Issue[] {
  if (Array.isArray(value)) {
    const field = path.at(-1)
    const keyed = typeof field === 'string' && isKeyedList(field)
    return (value as readonly unknown[]).flatMap((item, index) =>
      keyed && listKey(field, item) === undefined
        ? [
            refused(
              [...path, index],
              'lacks the field that tells it from the others of its list, such as name',
            ),
          ]
        : keyIssues(item, [...path, index]),
    )
  }
  return Object.entries(fieldsOf(value)).flatMap(([field, member]) => {
    const below = [...path, field]
    return LISTS.has(field) && path.length === LIST_DEPTH && member !== null && !Array.isArray(member)
      ? [refused(below, 'must be a list')]
      : keyIssues(member, below)
  })
}

const LISTS = new Set(['containers', 'initContainers', 'volumes', 'tolerations', 'imagePullSecrets'])
const LIST_DEPTH = 3

function podIssues(spec: Fields, { volumeNames }: Taken, base: FieldPath): readonly Issue[] {
  const issues: Issue[] = []
  // A pod that is put onto a node past the scheduler never makes a claim that waits for its first consumer.
  if (spec['nodeName'] !== undefined)
    issues.push(refused([...base, 'nodeName'], 'goes past the scheduler; use nodeSelector'))
  for (const field of ['containers', 'volumes']) {
    if (spec[field] === null) issues.push(refused([...base, field], 'would remove what the app needs'))
  }
  for (const [index, volume] of itemsOf(spec['volumes']).entries()) {
    const name = textOf(fieldsOf(volume)['name'])
    if (name !== undefined && volumeNames.includes(name))
      issues.push(refused([...base, 'volumes', index], `is a volume of the app; name it otherwise`))
  }
  return [...issues, ...userIssues(spec, base)]
}

function appContainerIssues(spec: Fields, { mountPaths }: Taken, base: FieldPath): readonly Issue[] {
  return itemsOf(spec['containers']).flatMap((item, index): readonly Issue[] => {
    const container = fieldsOf(item)
    if (container['name'] !== APP_CONTAINER) return []
    const path = [...base, index]
    return [
      ...Object.keys(OWN_FIELDS)
        .filter((field) => container[field] !== undefined)
        .map((field) => refused([...path, field], `is said by ${OWN_FIELDS[field] ?? ''}`)),
      ...(container['volumeMounts'] === null
        ? [refused([...path, 'volumeMounts'], "would remove the mounts of the app's volumes")]
        : []),
      ...itemsOf(container['volumeMounts']).flatMap((mount, at) =>
        mountIssue(mount, mountPaths, [...path, 'volumeMounts', at]),
      ),
      ...userIssues(container, path),
    ]
  })
}

function mountIssue(mount: unknown, mountPaths: readonly string[], path: FieldPath): readonly Issue[] {
  const target = textOf(fieldsOf(mount)['mountPath'])
  if (target === undefined || !mountPaths.includes(normalizePath(target))) return []
  return [
    refused(
      path,
      `is the mount of the app's volume ${quoted(normalizePath(target))}; say it in spec.volumes`,
    ),
  ]
}

/** The user decides who owns the volumes, so there is one place to name it. */
function userIssues(fields: Fields, base: FieldPath): readonly Issue[] {
  const context = fieldsOf(fields['securityContext'])
  return USER_FIELDS.filter((field) => context[field] !== undefined).map((field) =>
    refused([...base, 'securityContext', field], `is said by spec.securityContext.${field} or spec.user`),
  )
}

function refused(path: FieldPath, message: string): Issue {
  return { severity: 'error', reason: 'InvalidSpec', path: formatPath(path), message }
}
