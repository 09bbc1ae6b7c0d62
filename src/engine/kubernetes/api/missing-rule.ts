/** The RBAC rule that a refused request wants, ready to paste into a Role. Pure. */
import { printable } from '../../../errors.ts'
import type { ResourceType } from './types.ts'

/** What was tried, for messages. */
export interface Attempt {
  /** RBAC's verb: get, list, watch, create, update, patch, delete. */
  readonly verb: string
  /** `Pod chat/mattermost-0`, or a path. */
  readonly what: string
  readonly type?: ResourceType
  readonly namespace?: string | undefined
  readonly subresource?: string | undefined
}

/** The authorizer's own words: an apply that would create is refused as `create`, for example. */
const SAID = /cannot ([a-z]+) resource "([^"]{1,100})" in API group "([^"]{0,253})"/
const SAID_NAMESPACE = / in the namespace "([^"]{1,253})"/
const SAID_PATH = /cannot ([a-z]+) path "([^"]{1,300})"/

export function missingRule(attempt: Attempt, message: string): string {
  const path = SAID_PATH.exec(message)
  if (path !== null) return rule({ nonResourceURLs: [path[2] ?? ''], verbs: [path[1] ?? ''] })
  const said = SAID.exec(message)
  const { type, subresource } = attempt
  const plural = type === undefined ? attempt.what : type.plural
  const shown = rule({
    apiGroups: [said?.[3] ?? type?.group ?? ''],
    resources: [said?.[2] ?? (subresource === undefined ? plural : `${plural}/${subresource}`)],
    verbs: [said?.[1] ?? attempt.verb],
  })
  const namespace = attempt.namespace ?? SAID_NAMESPACE.exec(message)?.[1]
  const scope = namespace === undefined ? 'in a ClusterRole' : `in namespace ${printable(namespace)}`
  return `${shown} ${scope}`
}

/** JSON in one line is YAML, too. */
function rule(fields: Readonly<Record<string, readonly string[]>>): string {
  const parts = Object.entries(fields).map(([name, values]) => `${name}: ${JSON.stringify(values)}`)
  return printable(`{${parts.join(', ')}}`, 500)
}
