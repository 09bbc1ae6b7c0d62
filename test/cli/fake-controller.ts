/**
 * Stands in for a controller that `up` starts in the background: does what FAKE_CONTROLLER says, with the real stores
 * and the real lock, so that what waits for it can be tested without containers.
 */
import { once } from 'node:events'
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { LocalAppStore } from '../../src/engine/local/app-store.ts'
import { writeJson } from '../../src/engine/local/disk.ts'
import { takeLock } from '../../src/engine/local/lock.ts'
import { appPaths, statePaths } from '../../src/engine/local/paths.ts'
import { currentBootId, startTicksOf } from '../../src/engine/local/process-facts.ts'
import { RESOLVE_REQUESTED_AT } from '../../src/crd/labels.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import type { AppKey } from '../../src/reconcile/names.ts'

const [, , ...args] = process.argv
const paths = statePaths(args[args.indexOf('--state') + 1] ?? '')
const apps = new LocalAppStore(paths)
const behaviour = process.env['FAKE_CONTROLLER'] ?? ''
const starts = `${paths.root}/fake-starts`
appendFileSync(starts, `${args.join(' ')}\n`)

const DONE = `${paths.root}/fake-done`
const CONDITIONS: Readonly<Record<string, readonly (readonly [string, 'True' | 'False', string, string])[]>> =
  {
    ready: [['Ready', 'True', 'Suspended', 'suspended']],
    warning: [
      ['Ready', 'True', 'Suspended', 'suspended'],
      ['Rendered', 'True', 'RenderedWithWarnings', 'LayersDiverge: spec.image: nodes show something else'],
    ],
    refused: [
      ['Ready', 'False', 'ExecNotFound', 'spec.command[0]: /none is not there'],
      ['Stalled', 'True', 'ExecNotFound', 'spec.command[0]: /none is not there'],
    ],
    crashing: [['Ready', 'False', 'CrashLoopBackOff', 'ended with exit code 7']],
  }

if (behaviour === 'dies') process.stderr.write('{"msg":"cannot go on"}\n')
process.exitCode = behaviour === 'dies' ? 1 : await control()

/** Takes the lock, does what it is told once, and stays until SIGTERM; returns the exit code. */
async function control(): Promise<number> {
  const ended = once(process, 'SIGTERM')
  const lock = await takeLock(paths.controllerLock, { wait: false })
  if (lock === undefined) return 1
  await writeJson(paths.controllerInfo, {
    pid: process.pid,
    startTicks: startTicksOf(process.pid),
    bootId: currentBootId(),
    runtime: 'runc',
    version: 'test',
    startedAt: '',
  })
  const firstTime = !existsSync(DONE)
  writeFileSync(DONE, '')
  for (const key of await apps.list()) {
    if (behaviour === 'dies once' && firstTime) process.kill(process.pid, 'SIGKILL')
    await look(key)
  }
  // Whoever started this ends it; a test that forgot must not leave it for ever.
  const timer = setTimeout(() => process.kill(process.pid, 'SIGTERM'), 60_000)
  await ended
  clearTimeout(timer)
  await lock.release()
  return 0
}

async function look(key: AppKey): Promise<void> {
  const stored = await apps.read(key)
  if (stored === undefined) return
  if (behaviour === 'removes' && stored.deletion !== undefined) await apps.remove(key)
  const conditions = CONDITIONS[behaviour === 'dies once' ? 'ready' : behaviour]
  if (conditions === undefined) return
  writeFileSync(appPaths(paths, key).progress, '{"phase":"Pulling","done":1048576,"total":4194304}')
  const { annotations } = (stored.resource as { metadata: { annotations?: Record<string, string> } }).metadata
  const request = annotations?.[RESOLVE_REQUESTED_AT]
  const status: AppStatus = {
    ...stored.status,
    observedGeneration: stored.generation,
    ...(request === undefined ? {} : { lastHandledRequest: request }),
    conditions: conditions.map(([type, value, reason, message]) => ({
      type,
      status: value,
      reason,
      message,
      lastTransitionTime: '2026-01-01T12:00:00Z',
      observedGeneration: stored.generation,
    })),
  }
  await apps.writeStatus(key, status)
}
