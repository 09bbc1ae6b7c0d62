/** What `imagePolicy` demands of `image` and of its own fields. */
import { parseDuration } from '../duration.ts'
import { finding, found } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { fieldsOf, textOf } from '../view.ts'
import type { Fields } from '../view.ts'

const PINNED = /@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/
/** More often than this is a load on the registry, not a policy. */
const MIN_INTERVAL_MS = 60_000

export function checkImage(spec: Fields, base: FieldPath): readonly Finding[] {
  const policy = fieldsOf(spec['imagePolicy'])
  return [...checkPinned(spec, policy, base), ...checkInterval(policy, [...base, 'imagePolicy'])]
}

function checkPinned(spec: Fields, policy: Fields, base: FieldPath): readonly Finding[] {
  const image = textOf(spec['image'])
  if (policy['resolve'] !== 'Never' || image === undefined || PINNED.test(image)) return []
  const path = [...base, 'image']
  const right = 'must end with @sha256: and 64 hexadecimal digits, because imagePolicy.resolve is Never'
  return [finding(path, `found ${found(image, path)}; ${right}`, 'DigestRequired')]
}

function checkInterval(policy: Fields, base: FieldPath): readonly Finding[] {
  const interval = textOf(policy['interval'])
  if (interval === undefined) return []
  const path = [...base, 'interval']
  if (policy['resolve'] !== 'Interval')
    return [finding(path, 'has a meaning only with resolve: Interval; set that or remove it')]
  const ms = parseDuration(interval)
  return ms !== undefined && ms >= MIN_INTERVAL_MS
    ? []
    : [finding(path, `found ${found(interval, path)}; must be a duration of at least 1m, such as 12h`)]
}
