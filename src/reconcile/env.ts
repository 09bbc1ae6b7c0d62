/** The environment the user asked for: `envFrom`, `env`, references to Secrets and ConfigMaps, `$(NAME)`. Pure. */
import type { App, EnvVarSpec } from '../crd/types.ts'
import type { EnvVar } from '../bundle/types.ts'
import type { Issue } from '../errors.ts'
import { expandReferences } from './expand.ts'
import type { Sources } from './ports.ts'

export interface EnvResult {
  readonly env: readonly EnvVar[]
  readonly issues: readonly Issue[]
}

/** Later entries win over earlier ones, `env` over `envFrom`, as in Kubernetes. */
export function desiredEnv(app: App, sources: Sources): EnvResult {
  const issues: Issue[] = []
  const values = new Map<string, string>()
  for (const [index, from] of (app.spec.envFrom ?? []).entries()) {
    const field = `spec.envFrom[${index}]`
    const [kind, reference] = from.secretRef === undefined ? (['ConfigMap', from.configMapRef] as const) : (['Secret', from.secretRef] as const)
    if (reference === undefined) continue
    const data = kind === 'Secret' ? sources.secret(reference.name) : sources.configMap(reference.name)
    if (data === undefined) {
      if (reference.optional !== true) issues.push(missing(field, kind, reference.name))
      continue
    }
    for (const [key, value] of Object.entries(data)) setIfName(values, `${from.prefix ?? ''}${key}`, value.toString('utf8'))
  }
  for (const [index, entry] of (app.spec.env ?? []).entries()) {
    const value = valueOf(entry, sources, `spec.env[${index}]`, issues)
    if (value !== undefined) values.set(entry.name, expandReferences(value, values))
  }
  return { env: [...values].map(([name, value]) => ({ name, value })), issues }
}

function valueOf(entry: EnvVarSpec, sources: Sources, field: string, issues: Issue[]): string | undefined {
  if (entry.valueFrom === undefined) return entry.value ?? ''
  const { secretKeyRef, configMapKeyRef } = entry.valueFrom
  const [kind, reference] = secretKeyRef === undefined ? (['ConfigMap', configMapKeyRef] as const) : (['Secret', secretKeyRef] as const)
  if (reference === undefined) return undefined
  const data = kind === 'Secret' ? sources.secret(reference.name) : sources.configMap(reference.name)
  const value = data?.[reference.key]
  if (value !== undefined) return value.toString('utf8')
  if (reference.optional !== true) {
    issues.push(missing(`${field}.valueFrom`, kind, data === undefined ? reference.name : `${reference.name}, key ${reference.key}`))
  }
  return undefined
}

function missing(path: string, kind: 'Secret' | 'ConfigMap', what: string): Issue {
  return { severity: 'error', reason: 'NotFound', path, message: `there is no ${kind} ${what} in this namespace; apply it, or set optional: true` }
}

/** Keys that are no environment names are left out, as the kubelet does. */
function setIfName(values: Map<string, string>, name: string, value: string): void {
  if (/^[-._A-Za-z][-._A-Za-z0-9]*$/.test(name)) values.set(name, value)
}
