/** The roles of `rbac.ts` as files: `manifests/rbac.yaml`, and the rule lists that the chart's templates include. */
import type { JsonSchema } from '../structural.ts'
import { toYaml } from '../to-yaml.ts'
import { ROLES } from './rbac.ts'
import type { RoleDescription, Rule } from './rbac.ts'

const APP = 'fairlead'
/** Namespace of `kubectl apply -k manifests`. */
const NAMESPACE = 'fairlead-system'
const RBAC_API = 'rbac.authorization.k8s.io/v1'
const LABELS = { 'app.kubernetes.io/name': APP, 'app.kubernetes.io/component': 'rbac' }
const HEADER = '# Generated from src/crd/publish/rbac.ts by "npm run generate". Do not edit.\n'

/** `manifests/rbac.yaml`: every role, and bindings for those that are the controller's own. */
export function rbacYaml(): string {
  const documents = ROLES.flatMap((role) => [
    `# ${role.purpose}\n${toYaml(roleHead(role))}rules:\n${rulesYaml(role.rules)}`,
    ...bindingsOf(role).map(toYaml),
  ])
  return `${HEADER}${documents.join('---\n')}`
}

/** `templates/_rules.tpl`: one named template a role, so that ClusterRoles and Roles have the same rules. */
export function chartRules(): string {
  const templates = ROLES.map(
    ({ name, rules }) => `{{- define "fairlead.rules.${name}" -}}\n${rulesYaml(rules)}{{- end }}\n`,
  )
  return `{{/* Generated from src/crd/publish/rbac.ts by "npm run generate". Do not edit. */}}\n${templates.join('\n')}`
}

function roleHead({ name, scope, labels }: RoleDescription): JsonSchema {
  return {
    apiVersion: RBAC_API,
    kind: scope === 'own' ? 'Role' : 'ClusterRole',
    metadata: { name: `${APP}-${name}`, ...placeOf(scope), labels: { ...LABELS, ...labels } },
  }
}

function bindingsOf({ name, scope }: RoleDescription): readonly JsonSchema[] {
  if (scope === 'asked' || scope === 'people') return []
  const kind = scope === 'own' ? 'Role' : 'ClusterRole'
  return [
    {
      apiVersion: RBAC_API,
      kind: `${kind}Binding`,
      metadata: { name: `${APP}-${name}`, ...placeOf(scope), labels: LABELS },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: `${APP}-${name}` },
      subjects: [{ kind: 'ServiceAccount', name: APP, namespace: NAMESPACE }],
    },
  ]
}

function placeOf(scope: RoleDescription['scope']): JsonSchema {
  return scope === 'own' ? { namespace: NAMESPACE } : {}
}

/** A list with the reason of each rule above it; lists in one line are JSON, which is YAML. */
function rulesYaml(rules: readonly Rule[]): string {
  return rules.map(ruleYaml).join('')
}

function ruleYaml({ why, ...fields }: Rule): string {
  const lines = Object.entries(fields).map(([name, values]) => `${name}: ${JSON.stringify(values)}`)
  return `# ${why}\n- ${lines.join('\n  ')}\n`
}
