/** How Kubernetes tells the items of its lists apart: for laying a user's pod template over ours, and for drift. */
import { fieldsOf } from '../../crd/view.ts'
import { normalizePath } from '../../crd/path.ts'

const KEY_FIELDS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  resourceClaims: ['name'],
  schedulingGates: ['name'],
  sysctls: ['name'],
  hostAliases: ['ip'],
  volumeDevices: ['devicePath'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  ownerReferences: ['uid'],
}

/** Whether items of the list called `field` have a key at all. */
export function isKeyedList(field: string): boolean {
  return field === 'volumeMounts' || field === 'ports' || Object.hasOwn(KEY_FIELDS, field)
}

/** The key of one item of the list called `field`; undefined when it has none. */
export function listKey(field: string, item: unknown): string | undefined {
  const fields = fieldsOf(item)
  if (field === 'volumeMounts') {
    const path = fields['mountPath']
    return typeof path === 'string' ? normalizePath(path) : undefined
  }
  // A container has containerPort, a Service has port; the protocol is part of the key and TCP by default.
  if (field === 'ports')
    return joined([fields['containerPort'] ?? fields['port'], fields['protocol'] ?? 'TCP'])
  return Object.hasOwn(KEY_FIELDS, field)
    ? joined((KEY_FIELDS[field] ?? []).map((name) => fields[name]))
    : undefined
}

function joined(parts: readonly unknown[]): string | undefined {
  const words = parts.filter((part) => typeof part === 'string' || typeof part === 'number')
  return words.length === parts.length ? words.join('/') : undefined
}
