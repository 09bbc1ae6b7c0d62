/** Quantities that parse but can't be meant: unknown resources, half bytes, requests over limits, volumes of nothing. */
import { finding, found, quoted } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { isWholeQuantity, parseMilliQuantity, parseQuantity } from '../quantity.ts'
import { nearest } from '../suggest.ts'
import { fieldsOf, itemsOf, quantityOf } from '../view.ts'
import type { Fields } from '../view.ts'

const RESOURCES = ['cpu', 'memory', 'ephemeral-storage']
const EXTENDED = /^(hugepages-[0-9A-Za-z.]+|[-a-z0-9.]+\/[-A-Za-z0-9_.]+)$/

export function checkResources(spec: Fields, base: FieldPath): readonly Finding[] {
  const resources = fieldsOf(spec['resources'])
  const requests = fieldsOf(resources['requests'])
  const limits = fieldsOf(resources['limits'])
  const path = [...base, 'resources']
  return [
    ...checkNamed(requests, [...path, 'requests']),
    ...checkNamed(limits, [...path, 'limits']),
    ...checkOrder(requests, limits, [...path, 'requests']),
    ...checkSize(fieldsOf(spec['volumeDefaults'])['size'], [...base, 'volumeDefaults', 'size']),
    ...itemsOf(spec['volumes']).flatMap((volume, index) =>
      checkSize(fieldsOf(volume)['size'], [...base, 'volumes', index, 'size']),
    ),
  ]
}

function checkNamed(quantities: Fields, base: FieldPath): readonly Finding[] {
  return Object.entries(quantities).flatMap(([name, value]) => {
    const path = [...base, name]
    if (!RESOURCES.includes(name) && !EXTENDED.test(name)) return [unknownResource(name, path)]
    return name === 'cpu' ? checkBounds(value, path) : checkWhole(value, path)
  })
}

function unknownResource(name: string, path: FieldPath): Finding {
  const meant = nearest(name, RESOURCES)
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  return finding(
    path,
    `unknown resource ${quoted(name)}: known are ${RESOURCES.join(', ')}, hugepages-SIZE and domain/name${hint}`,
  )
}

function checkBounds(value: unknown, path: FieldPath): readonly Finding[] {
  const text = quantityOf(value)
  // What is no quantity at all is the schema's to say.
  if (text === undefined || parseQuantity(text) !== undefined || parseQuantity(shortened(text)) === undefined)
    return []
  return [finding(path, `found ${found(value, path)}; must be less than 8Ei`)]
}

/** The same grammar with a small number: tells "too big" from "no quantity". */
function shortened(text: string | number): string {
  return String(text).replaceAll(/[0-9]+/g, '1')
}

function checkWhole(value: unknown, path: FieldPath): readonly Finding[] {
  const text = quantityOf(value)
  if (text === undefined || parseQuantity(text) === undefined) return checkBounds(value, path)
  if (isWholeQuantity(text)) return []
  const written = String(text)
  const meant = written.endsWith('m')
    ? `; "m" means thousandths, did you mean ${quoted(`${written.slice(0, -1)}Mi`)}?`
    : ''
  return [finding(path, `found ${found(value, path)}; must be a whole number of bytes or pieces${meant}`)]
}

function checkSize(value: unknown, path: FieldPath): readonly Finding[] {
  const text = quantityOf(value)
  if (text !== undefined && parseQuantity(text) === 0n)
    return [finding(path, `found ${found(value, path)}; must be more than zero`)]
  return checkWhole(value, path)
}

function checkOrder(requests: Fields, limits: Fields, base: FieldPath): readonly Finding[] {
  return Object.keys(requests).flatMap((name) => {
    const request = milli(requests[name])
    const limit = Object.hasOwn(limits, name) ? milli(limits[name]) : undefined
    if (request === undefined || limit === undefined || request <= limit) return []
    const path = [...base, name]
    return [
      finding(
        path,
        `found ${found(requests[name], path)}; must not be more than the limit, ${found(limits[name], path)}`,
      ),
    ]
  })
}

function milli(value: unknown): bigint | undefined {
  const text = quantityOf(value)
  return text === undefined ? undefined : parseMilliQuantity(text)
}
