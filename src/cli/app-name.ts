/** Names of apps as users type them. */
import { printable } from '../errors.ts'
import { parseAppKey, type AppKey } from '../reconcile/names.ts'
import type { CommandCall } from './command-spec.ts'
import { UsageError } from './usage-error.ts'

export const DEFAULT_NAMESPACE = 'default'

/** The namespace of what names none: `-n`, else `default`. */
export function namespaceOf(call: CommandCall): string {
  const namespace = call.options.text('namespace') ?? DEFAULT_NAMESPACE
  if (parseAppKey('x', namespace) === undefined) {
    throw new UsageError(
      `found ${JSON.stringify(printable(namespace))}; must be lower-case letters, digits and dashes`,
      '--namespace',
    )
  }
  return namespace
}

/** `name` or `namespace/name`; UsageError for anything else. */
export function appKeyOf(call: CommandCall, text: string): AppKey {
  const key = parseAppKey(text, namespaceOf(call))
  if (key === undefined) {
    throw new UsageError(
      `found ${JSON.stringify(printable(text))}; must be name or namespace/name in lower-case letters, digits and dashes`,
      'name',
    )
  }
  return key
}

/** The first argument as an app; for commands that require it. */
export function namedApp(call: CommandCall): AppKey {
  return appKeyOf(call, call.args[0] ?? '')
}
