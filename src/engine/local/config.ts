/**
 * The operator's settings: `/etc/fairlead/config.yaml`, or the file that FAIRLEAD_CONFIG names. Everything has a
 * default, so the file may be absent; an unknown key or a wrong value is an error that names it, never ignored.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { parseDuration } from '../../crd/duration.ts'
import { KUBERNETES_BACKOFF, type BackoffPolicy } from '../../reconcile/backoff.ts'
import type { RegistriesConfig } from '../../registry/types.ts'
import { parseRegistriesConfig } from '../../registry/registries-config.ts'
import { DEFAULT_LIMITS } from '../../rootfs/limits.ts'
import type { LayerLimits } from '../../rootfs/types.ts'
import { ExpectedError, printable } from '../../errors.ts'
import { isMissing } from './disk.ts'
import { RUNTIMES, type RuntimeName } from './runtime.ts'

export interface FairleadConfig {
  readonly runtime: RuntimeName
  readonly registries: RegistriesConfig
  /** Read layouts of other versions as well (rule L3). */
  readonly lenientLayouts: boolean
  /** Host programs that hooks outside the container may run (rule H3). */
  readonly hostHooks: readonly string[]
  readonly limits: LayerLimits
  readonly backoff: BackoffPolicy
  /** How often a moved tag is looked for; jittered by a tenth. */
  readonly outdatedCheckMs: number
  /** How often it is asked whether pinned digests are still there; jittered by a tenth. */
  readonly goneCheckMs: number
}

const DEFAULT_FILE = '/etc/fairlead/config.yaml'
const DEFAULT_OUTDATED_CHECK_MS = 3_600_000
const DEFAULT_GONE_CHECK_MS = 6 * 3_600_000
const KEYS = [
  'runtime',
  'registries',
  'lenientLayouts',
  'hostHooks',
  'limits',
  'backoff',
  'outdatedCheckInterval',
  'goneCheckInterval',
]

export function readConfig(file = process.env['FAIRLEAD_CONFIG']): FairleadConfig {
  const path = file ?? DEFAULT_FILE
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error) && file === undefined) return parseConfig({}, path)
    throw new ExpectedError(
      'InvalidSpec',
      `cannot read the configuration ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}`,
      { path },
    )
  }
  return parseConfig(parseYaml(text, path) ?? {}, path)
}

export function parseConfig(value: unknown, path: string): FairleadConfig {
  const config = objectOf(value, path)
  for (const key of Object.keys(config)) {
    if (!KEYS.includes(key)) throw invalid(path, key, `is not a setting; there are ${KEYS.join(', ')}`)
  }
  return {
    runtime: runtimeOf(config['runtime'], path),
    registries: parseRegistriesConfig(config['registries'] ?? {}),
    lenientLayouts: lenientLayoutsOf(config['lenientLayouts'], path),
    hostHooks: hostHooksOf(config['hostHooks'], path),
    limits: { ...DEFAULT_LIMITS, ...limitsOf(config['limits'], path) },
    backoff: backoffOf(config['backoff'], path),
    outdatedCheckMs: durationOf(
      config['outdatedCheckInterval'],
      'outdatedCheckInterval',
      path,
      DEFAULT_OUTDATED_CHECK_MS,
    ),
    goneCheckMs: durationOf(config['goneCheckInterval'], 'goneCheckInterval', path, DEFAULT_GONE_CHECK_MS),
  }
}

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text) as unknown
  } catch (error) {
    throw new ExpectedError(
      'InvalidSpec',
      `${path} is not valid YAML: ${printable((error as Error).message.split('\n')[0] ?? '')}`,
      { path },
    )
  }
}

function runtimeOf(value: unknown, path: string): RuntimeName {
  if (value === undefined) return 'runc'
  const name = RUNTIMES.find((runtime) => runtime === value)
  if (name === undefined) throw invalid(path, 'runtime', `must be one of ${RUNTIMES.join(', ')}`)
  return name
}

function lenientLayoutsOf(value: unknown, path: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw invalid(path, 'lenientLayouts', 'must be true or false')
}

function hostHooksOf(value: unknown, path: string): readonly string[] {
  if (value === undefined) return []
  const list = Array.isArray(value) ? (value as unknown[]) : undefined
  if (
    list === undefined ||
    !list.every((entry): entry is string => typeof entry === 'string' && entry.startsWith('/'))
  ) {
    throw invalid(path, 'hostHooks', 'must be a list of absolute paths')
  }
  return list
}

function limitsOf(value: unknown, path: string): Partial<LayerLimits> {
  const limits = objectOf(value ?? {}, path, 'limits')
  for (const [key, limit] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, key))
      throw invalid(path, `limits.${key}`, `is no limit; there are ${Object.keys(DEFAULT_LIMITS).join(', ')}`)
    if (typeof limit !== 'number' || !(limit > 0))
      throw invalid(path, `limits.${key}`, 'must be a number above 0')
  }
  return limits
}

function backoffOf(value: unknown, path: string): BackoffPolicy {
  const backoff = objectOf(value ?? {}, path, 'backoff')
  for (const key of Object.keys(backoff)) {
    if (!['initial', 'max', 'reset'].includes(key))
      throw invalid(path, `backoff.${key}`, 'is no setting; there are initial, max and reset')
  }
  return {
    initialMs: durationOf(backoff['initial'], 'backoff.initial', path, KUBERNETES_BACKOFF.initialMs),
    maxMs: durationOf(backoff['max'], 'backoff.max', path, KUBERNETES_BACKOFF.maxMs),
    resetMs: durationOf(backoff['reset'], 'backoff.reset', path, KUBERNETES_BACKOFF.resetMs),
  }
}

function durationOf(value: unknown, key: string, path: string, fallback: number): number {
  if (value === undefined) return fallback
  const ms = typeof value === 'string' ? parseDuration(value) : undefined
  if (ms === undefined || ms <= 0) throw invalid(path, key, 'must be a duration such as 10s or 1h30m')
  return ms
}

function objectOf(value: unknown, path: string, key?: string): Record<string, unknown> {
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    return value as Record<string, unknown>
  if (key !== undefined) throw invalid(path, key, 'must hold settings by name')
  throw new ExpectedError('InvalidSpec', `${path} must hold settings by name`, { path })
}

function invalid(path: string, key: string, problem: string): ExpectedError {
  return new ExpectedError('InvalidSpec', `${path}: ${printable(key)} ${problem}`, { path: key })
}
