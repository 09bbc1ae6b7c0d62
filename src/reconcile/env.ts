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
    const [kind, reference] =
      from.secretRef === undefined
        ? (['ConfigMap', from.configMapRef] as const)
        : (['Secret', from.secretRef] as const)
    if (reference === undefined) continue
    const data = kind === 'Secret' ? sources.secret(reference.name) : sources.configMap(reference.name)
    if (data === undefined) {
      if (reference.optional !== true && sources.deferred !== true)
        issues.push(missing(field, kind, reference.name))
      continue
    }
    for (const [key, value] of Object.entries(data))
      setIfName(values, `${from.prefix ?? ''}${key}`, value.toString('utf8'))
  }
  for (const [index, entry] of (app.spec.env ?? []).entries()) {
    // Only what is typed in the resource is expanded: a password may hold dollars and means them.
    const value =
      entry.valueFrom === undefined
        ? expandReferences(entry.value ?? '', values)
        : referredValue(entry.valueFrom, sources, `spec.env[${index}]`, issues)
    if (value !== undefined) values.set(entry.name, value)
  }
  return { env: [...values].map(([name, value]) => ({ name, value })), issues }
}

function referredValue(
  from: NonNullable<EnvVarSpec['valueFrom']>,
  sources: Sources,
  field: string,
  issues: Issue[],
): string | undefined {
  const { secretKeyRef, configMapKeyRef } = from
  const [kind, reference] =
    secretKeyRef === undefined
      ? (['ConfigMap', configMapKeyRef] as const)
      : (['Secret', secretKeyRef] as const)
  if (reference === undefined) return undefined
  const data = kind === 'Secret' ? sources.secret(reference.name) : sources.configMap(reference.name)
  // Own members only: no Secret has a key `constructor` because JavaScript's objects have one.
  const value = data !== undefined && Object.hasOwn(data, reference.key) ? data[reference.key] : undefined
  if (value !== undefined) return value.toString('utf8')
  if (reference.optional !== true && sources.deferred !== true) {
    issues.push(
      missing(
        `${field}.valueFrom`,
        kind,
        data === undefined ? reference.name : `${reference.name}, key ${reference.key}`,
      ),
    )
  }
  return undefined
}

function missing(path: string, kind: 'Secret' | 'ConfigMap', what: string): Issue {
  return {
    severity: 'error',
    reason: 'NotFound',
    path,
    message: `there is no ${kind} ${what} in this namespace; apply it, or set optional: true`,
  }
}

/** Keys that are no environment names are left out, as the kubelet does. */
function setIfName(values: Map<string, string>, name: string, value: string): void {
  if (/^[-._A-Za-z][-._A-Za-z0-9]*$/.test(name)) values.set(name, value)
}
