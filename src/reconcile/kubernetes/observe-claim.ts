/** What planning needs to know of a PersistentVolumeClaim. Pure; tolerant of any shape. */
import { normalizePath } from '../../crd/path.ts'
import { SEEDED_FROM, VOLUME_PATH } from '../../crd/labels.ts'
import { parseQuantity } from '../../crd/quantity.ts'
import { fieldsOf, itemsOf, quantityOf, type Fields } from '../../crd/view.ts'
import {
  conditionOf,
  jsonIn,
  metadataOf,
  observedObject,
  sentenceAt,
  textsOf,
  timeAt,
  wordAt,
} from './observe-fields.ts'
import { isMadeToStay } from './pruning.ts'
import { execIn, lostIn } from './seeded.ts'
import type { KubeObject, ObservedClaim } from './types.ts'

/** As many volumes as an app may have, with room to spare. */
const MAX_PATHS = 512
const MAX_MODES = 8

/** undefined for any other kind, and for an object without name or uid. */
export function observeClaim(object: KubeObject): ObservedClaim | undefined {
  const common = observedObject(object, ['PersistentVolumeClaim'])
  if (common === undefined) return undefined
  const spec = fieldsOf(object['spec'])
  const status = fieldsOf(object['status'])
  const { annotations } = metadataOf(object)
  return {
    ...common,
    paths: pathsIn(annotations[VOLUME_PATH]),
    phase: phaseOf(status['phase']),
    requestBytes: bytesOf(fieldsOf(fieldsOf(spec['resources'])['requests'])['storage']),
    capacityBytes: bytesOf(fieldsOf(status['capacity'])['storage']),
    storageClassName: wordAt(spec, 'storageClassName'),
    accessModes: itemsOf(spec['accessModes'])
      .filter((mode) => typeof mode === 'string')
      .slice(0, MAX_MODES),
    seeded: textsOf(jsonIn(annotations[SEEDED_FROM])),
    exec: execIn(annotations),
    lost: lostIn(annotations),
    dataSourceRef: spec['dataSourceRef'],
    retain: common.ownerUid === undefined ? 'Retain' : 'Delete',
    ...(common.ownerUid !== undefined && isMadeToStay(annotations) ? { ownedByHand: true } : {}),
    resize: resizeOf(status),
    volumeName: wordAt(spec, 'volumeName'),
    createdAtMs: timeAt(fieldsOf(object.metadata), 'creationTimestamp'),
  }
}

/** A JSON list of paths; a lone path is understood, too, since people write annotations by hand. */
function pathsIn(annotation: string | undefined): readonly string[] {
  const listed = jsonIn(annotation)
  const items = Array.isArray(listed) ? (listed as unknown[]) : [annotation]
  return items
    .flatMap((item) => (typeof item === 'string' && item.startsWith('/') ? normalizePath(item) : []))
    .slice(0, MAX_PATHS)
}

function phaseOf(phase: unknown): ObservedClaim['phase'] {
  return phase === 'Bound' || phase === 'Lost' ? phase : 'Pending'
}

function bytesOf(value: unknown): bigint | undefined {
  const quantity = quantityOf(value)
  return quantity === undefined ? undefined : parseQuantity(quantity)
}

/** What keeps the claim from growing: what the resizer gave up on, else what it waits for. */
function resizeOf(status: Fields): ObservedClaim['resize'] {
  for (const type of RESIZE_CONDITIONS) {
    const condition = conditionOf(status, type)
    if (condition['status'] !== 'True') continue
    return { reason: type, message: sentenceAt(condition, 'message') ?? RESIZE_WORDS[type] }
  }
  return undefined
}

const RESIZE_WORDS = {
  ControllerResizeError: 'the storage driver could not grow the volume',
  NodeResizeError: 'the node could not grow the file system',
  FileSystemResizePending: 'the file system grows when a pod mounts the claim next',
  Resizing: 'the volume is growing',
} as const
const RESIZE_CONDITIONS = [
  'ControllerResizeError',
  'NodeResizeError',
  'FileSystemResizePending',
  'Resizing',
] as const
