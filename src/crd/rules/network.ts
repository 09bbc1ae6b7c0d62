/** Ports, the service in front of them, and the probes that name them. */
import { finding, found, formatPath, quoted } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { nearest } from '../suggest.ts'
import { fieldsOf, isFields, itemsOf, presentOf, textOf } from '../view.ts'
import type { Fields } from '../view.ts'
import { exactlyOne, unique } from './unions.ts'

const HANDLERS = ['exec', 'httpGet', 'tcpSocket']
const PROBES = ['startup', 'liveness', 'readiness']

export function checkNetwork(spec: Fields, base: FieldPath): readonly Finding[] {
  const ports = itemsOf(spec['ports']).map(fieldsOf)
  const probes = fieldsOf(spec['probes'])
  return [
    ...checkPorts(ports, [...base, 'ports']),
    ...checkService(spec, ports, [...base, 'service']),
    ...PROBES.flatMap((name) => checkProbe(probes[name], name, ports, [...base, 'probes', name])),
  ]
}

function checkPorts(ports: readonly Fields[], base: FieldPath): readonly Finding[] {
  const same = (field: string) => (before: number) =>
    `is the same ${field} as that of ${formatPath([...base, before])}`
  return [
    ...ports.flatMap((port, index) => checkPortName(port, ports.length, [...base, index, 'name'])),
    ...unique(
      ports.map((port) => textOf(port['name'])),
      (index) => [...base, index, 'name'],
      same('name'),
    ),
    ...unique(
      ports.map((port) => socketKey(port, 'port')),
      (index) => [...base, index, 'port'],
      same('port and protocol'),
    ),
    ...unique(
      ports.map((port) => socketKey(port, 'hostPort')),
      (index) => [...base, index, 'hostPort'],
      same('hostPort and protocol'),
    ),
  ]
}

/** A Service wants a name for each of several ports, and a name must differ from a number by a letter. */
function checkPortName(port: Fields, count: number, path: FieldPath): readonly Finding[] {
  const name = port['name']
  if (name === undefined)
    return count > 1 ? [finding(path, 'is missing: where there is more than one port each needs a name')] : []
  if (typeof name !== 'string') return []
  if (!/[a-z]/.test(name)) return [finding(path, `found ${found(name, path)}; must contain a letter`)]
  return name.includes('--') ? [finding(path, `found ${found(name, path)}; must not contain "--"`)] : []
}

function socketKey(port: Fields, field: 'port' | 'hostPort'): string | undefined {
  const number = port[field]
  const protocol = port['protocol'] ?? 'TCP'
  return typeof number === 'number' && typeof protocol === 'string' ? `${number}/${protocol}` : undefined
}

function checkService(spec: Fields, ports: readonly Fields[], base: FieldPath): readonly Finding[] {
  if (!isFields(spec['service'])) return []
  const service = spec['service']
  const shaping = presentOf(service, ['type', 'loadBalancerClass', 'annotations'])
  if (service['enabled'] === false) {
    return shaping.map((field) =>
      finding([...base, field], 'means nothing with enabled: false: remove one of the two'),
    )
  }
  const findings: Finding[] = []
  if (ports.length === 0 && (shaping.length > 0 || service['enabled'] === true)) {
    findings.push(finding(base, 'needs at least one entry in spec.ports'))
  }
  if (service['loadBalancerClass'] !== undefined && service['type'] !== 'LoadBalancer') {
    findings.push(finding([...base, 'loadBalancerClass'], 'has a meaning only with type: LoadBalancer'))
  }
  return findings
}

function checkProbe(
  value: unknown,
  name: string,
  ports: readonly Fields[],
  base: FieldPath,
): readonly Finding[] {
  if (!isFields(value)) return []
  const good = value['successThreshold']
  return [
    ...exactlyOne(value, HANDLERS, base),
    ...(name !== 'readiness' && typeof good === 'number' && good > 1
      ? [finding([...base, 'successThreshold'], `found ${good}; must be 1 for ${name}`)]
      : []),
    ...['httpGet', 'tcpSocket'].flatMap((handler) =>
      checkNamedPort(fieldsOf(value[handler])['port'], ports, [...base, handler, 'port']),
    ),
  ]
}

function checkNamedPort(port: unknown, ports: readonly Fields[], path: FieldPath): readonly Finding[] {
  if (typeof port !== 'string') return []
  const names = ports.map((entry) => textOf(entry['name'])).filter((name) => name !== undefined)
  if (names.includes(port)) return []
  const meant = nearest(port, names)
  const hint = meant === undefined ? 'name one of spec.ports or give a number' : `did you mean ${meant}?`
  return [finding(path, `no port in spec.ports is called ${quoted(port)}; ${hint}`)]
}
