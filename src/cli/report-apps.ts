/** The end of a command that waited: the result on stdout, failures and what is still open on stderr. */
import { LocalAppStore } from '../engine/local/app-store.ts'
import type { StatePaths } from '../engine/local/paths.ts'
import { findCondition, RENDERED, RENDERED_WITH_WARNINGS } from '../crd/conditions.ts'
import { printable } from '../errors.ts'
import type { AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import { appsTable, listOf, shortName, withStatus } from './app-view.ts'
import type { CommandCall } from './command-spec.ts'
import { PROGRAM } from './commands.ts'
import type { CliContext } from './context.ts'
import { lineWidth, outputFormat, writeAnswer, writeSentences } from './output.ts'
import { EXIT_FAILED } from './print-error.ts'
import { painter } from './styles.ts'
import type { WaitedApp } from './wait-apps.ts'

/** Prints `Reason: message` for every app that did not get there; returns the exit code. */
export function reportVerdicts(
  context: CliContext,
  apps: readonly WaitedApp[],
  interrupted: boolean,
  program: string = PROGRAM,
): number {
  let exitCode = 0
  for (const { expected, verdict } of apps) {
    if (verdict.kind === 'ready') continue
    exitCode = EXIT_FAILED
    const name = shortName(expected.key)
    const message = printable(verdict.message, 4000)
    if (verdict.kind === 'failed')
      writeSentences(context, [`${printable(verdict.reason)}: ${name}: ${message}`])
    else if (interrupted) context.stderr.write(`${name} goes on starting; see: ${program} status ${name}\n`)
    else
      writeSentences(context, [
        `TimedOut: ${name} is not ready yet: ${printable(verdict.reason)}: ${message}`,
      ])
  }
  return exitCode
}

/** What was left out or runs otherwise than somebody may think, of those that got there: nothing else tells it. */
export async function reportWarnings(
  context: CliContext,
  paths: StatePaths,
  apps: readonly WaitedApp[],
): Promise<void> {
  const store = new LocalAppStore(paths)
  for (const { expected, verdict } of apps) {
    if (verdict.kind !== 'ready') continue
    const conditions = (await store.read(expected.key))?.status?.conditions ?? []
    const rendered = findCondition(conditions, RENDERED)
    if (rendered?.reason !== RENDERED_WITH_WARNINGS) continue
    const message = printable(rendered.message, 4000)
    writeSentences(context, [`Warning: ${shortName(expected.key)}: ${message}`])
  }
}

/** The apps as they are now: a table, or data as `status` gives it. */
export async function printApps(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
  keys: readonly AppKey[],
): Promise<void> {
  const store = new LocalAppStore(paths)
  const found: StoredApp[] = []
  for (const key of keys) {
    const stored = await store.read(key)
    if (stored !== undefined) found.push(stored)
  }
  const [only] = found
  const value = only !== undefined && keys.length === 1 ? withStatus(only) : listOf(found)
  await writeAnswer(context, outputFormat(call), value, () =>
    appsTable(found, lineWidth(context), painter(context, context.stdout)),
  )
}
