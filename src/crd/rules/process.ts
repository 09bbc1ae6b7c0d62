/** Choices and contradictions in `env`, `envFrom`, `hooks` and `user`. */
import { finding, formatPath, quoted } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { fieldsOf, itemsOf, presentOf, textOf } from '../view.ts'
import type { Fields } from '../view.ts'
import { exactlyOne, unique } from './unions.ts'

export function checkProcess(spec: Fields, base: FieldPath): readonly Finding[] {
  return [
    ...checkEnv(spec['env'], [...base, 'env']),
    ...itemsOf(spec['envFrom']).flatMap((source, index) =>
      exactlyOne(source, ['secretRef', 'configMapRef'], [...base, 'envFrom', index]),
    ),
    ...itemsOf(spec['hooks']).flatMap((hook, index) =>
      checkEnv(fieldsOf(hook)['env'], [...base, 'hooks', index, 'env']),
    ),
    ...checkUser(spec, base),
    ...checkPullSecrets(spec, [...base, 'pullSecrets']),
  ]
}

function checkEnv(env: unknown, base: FieldPath): readonly Finding[] {
  const items = itemsOf(env)
  return [
    ...items.flatMap((item, index) => checkVariable(fieldsOf(item), [...base, index])),
    ...checkNames(items, base),
  ]
}

function checkVariable(variable: Fields, base: FieldPath): readonly Finding[] {
  const path = [...base, 'valueFrom']
  if (variable['value'] !== undefined && variable['valueFrom'] !== undefined) {
    return [finding(path, 'excludes value: keep one of the two')]
  }
  return exactlyOne(variable['valueFrom'], ['secretKeyRef', 'configMapKeyRef'], path)
}

function checkPullSecrets(spec: Fields, base: FieldPath): readonly Finding[] {
  return checkNames(itemsOf(spec['pullSecrets']), base)
}

function checkNames(items: readonly unknown[], base: FieldPath): readonly Finding[] {
  const names = items.map((item) => textOf(fieldsOf(item)['name']))
  return unique(
    names,
    (index) => [...base, index, 'name'],
    (before) =>
      `${quoted((names[before] ?? '').split('=')[0] ?? '')} is already in ${formatPath([...base, before])}: keep one of them`,
  )
}

function checkUser(spec: Fields, base: FieldPath): readonly Finding[] {
  const security = fieldsOf(spec['securityContext'])
  const [other] = presentOf(security, ['runAsUser', 'runAsGroup'])
  if (spec['user'] === undefined || other === undefined) return []
  return [
    finding([...base, 'user'], `excludes securityContext.${other}: both name the user, keep one of the two`),
  ]
}
