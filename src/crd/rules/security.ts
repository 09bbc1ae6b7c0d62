/** Contradictions in `securityContext`. */
import { finding, quoted } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { fieldsOf, itemsOf } from '../view.ts'
import type { Fields } from '../view.ts'

const ROOT = /^0+(:|$)/

export function checkSecurity(spec: Fields, base: FieldPath): readonly Finding[] {
  const security = fieldsOf(spec['securityContext'])
  const path = [...base, 'securityContext']
  return [
    ...checkRoot(spec, security, path),
    ...(security['privileged'] === true && security['allowPrivilegeEscalation'] === false
      ? [
          finding(
            [...path, 'allowPrivilegeEscalation'],
            'must not be false with privileged: true, which includes it',
          ),
        ]
      : []),
    ...checkCapabilities(fieldsOf(security['capabilities']), [...path, 'capabilities']),
  ]
}

function checkRoot(spec: Fields, security: Fields, base: FieldPath): readonly Finding[] {
  const user = spec['user']
  const isRoot = security['runAsUser'] === 0 || (typeof user === 'string' && ROOT.test(user))
  if (security['runAsNonRoot'] !== true || !isRoot) return []
  const field = security['runAsUser'] === 0 ? 'runAsUser: 0' : 'spec.user'
  return [finding([...base, 'runAsNonRoot'], `contradicts ${field}, which is root: change one of the two`)]
}

function checkCapabilities(capabilities: Fields, base: FieldPath): readonly Finding[] {
  const drop = itemsOf(capabilities['drop'])
  return itemsOf(capabilities['add']).flatMap((name, index) =>
    typeof name === 'string' && drop.includes(name)
      ? [finding([...base, 'add', index], `${quoted(name)} is also in drop: keep one of the two`)]
      : [],
  )
}
