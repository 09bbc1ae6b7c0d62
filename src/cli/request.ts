/** Commands that ask something of an app by an annotation: rebuild, rollback, restart. */
import { randomBytes } from 'node:crypto'
import { LocalAppStore } from '../engine/local/app-store.ts'
import type { StatePaths } from '../engine/local/paths.ts'
import { printable } from '../errors.ts'
import type { AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { ensureController } from './controller-process.ts'
import type { Expectation } from './expectation.ts'
import { printApps, reportVerdicts } from './report-apps.ts'
import { outputFormat } from './output.ts'
import { requireApp } from './require-app.ts'
import { DEFAULT_WAIT_MS, waitForApps } from './wait-apps.ts'

/** Annotations to set; undefined removes one. */
export type AnnotationChange = Readonly<Record<string, string | undefined>>

export interface AppRequest {
  readonly paths: StatePaths
  readonly key: AppKey
  readonly annotations: AnnotationChange
  /** What must be true in the end, given how the app was before. */
  readonly expect: (before: StoredApp) => Partial<Expectation>
  /** One line about the result, for people. */
  readonly say: (before: StoredApp, after: StoredApp) => string
  /** For standard error, as soon as it is asked. */
  readonly note?: string | undefined
  /** false: it is done as soon as it is asked. */
  readonly waits?: boolean
}

/** Sets the annotations, waits unless told not to, prints the result; returns the exit code. */
export async function requestOfApp(
  context: CliContext,
  call: CommandCall,
  request: AppRequest,
): Promise<number> {
  const { paths, key } = request
  const format = outputFormat(call)
  call.options.durationMs('waitTimeout', DEFAULT_WAIT_MS)
  const apps = new LocalAppStore(paths)
  const before = await requireApp(apps, key)
  await apps.change(key, (resource) => withAnnotations(resource, request.annotations))
  if (request.note !== undefined) context.stderr.write(`${request.note}\n`)
  const { waits = true } = request
  const isOver = !waits || !call.options.flag('wait')
  if (isOver) await ensureController(context, call, paths)
  if (isOver && waits) return 0
  const expected = { key, generation: before.generation, before: before.status, ...request.expect(before) }
  const exitCode = waits ? await awaited(context, call, paths, expected) : 0
  const after = await requireApp(apps, key)
  if (format !== 'table') await printApps(context, call, paths, [key])
  else if (exitCode === 0) context.stdout.write(`${request.say(before, after)}\n`)
  return exitCode
}

async function awaited(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
  expected: Expectation,
): Promise<number> {
  const { apps, interrupted } = await waitForApps(context, call, paths, [expected])
  return reportVerdicts(context, apps, interrupted)
}

/** RFC 3339 with nine digits, the last ones random: two requests in one millisecond differ. */
export function freshRequest(nowMs: number): string {
  const random = (randomBytes(4).readUInt32BE() % 1_000_000).toString().padStart(6, '0')
  return `${new Date(nowMs).toISOString().slice(0, -1)}${random}Z`
}

function withAnnotations(
  resource: Record<string, unknown>,
  change: AnnotationChange,
): Record<string, unknown> {
  const { annotations, ...metadata } = resource['metadata'] as Record<string, unknown>
  const merged = Object.entries({ ...(annotations as Record<string, string> | undefined), ...change }).filter(
    ([, value]) => value !== undefined,
  )
  return {
    ...resource,
    metadata: { ...metadata, ...(merged.length === 0 ? {} : { annotations: Object.fromEntries(merged) }) },
  }
}

/** `chat/mattermost: sha256:… → sha256:…`, or that nothing changed. */
export function digestChange(name: string, before: StoredApp, after: StoredApp): string {
  const [from, to] = [before.status?.image?.digest, after.status?.image?.digest]
  if (from === to) return `${name}: unchanged, ${to ?? 'no digest'}`
  return `${name}: ${from ?? 'no digest'} -> ${to ?? 'no digest'}`
}

/**
 * The change of a rollback. It looks at no tag, so it says nothing of where that is by now: also when a registry could
 * have been asked.
 */
export function rollbackChange(name: string, before: StoredApp, after: StoredApp): string {
  const change = digestChange(name, before, after)
  const reference = after.status?.image?.reference
  if (after.status?.image?.rollback === undefined || reference?.includes('@') !== false) return change
  return `${change}\nwhat ${printable(reference, 500)} names now was not asked; a rebuild asks and takes it`
}
