/**
 * What taking another image would change, in words that users care about: what may touch their data first (volumes, the
 * user that owns files), then what runs, then the rest. Pure; equal images give no words.
 */
import { printable } from '../errors.ts'
import { formatPlatform } from './platform.ts'
import type { ImageConfig, Platform, ResolvedImage } from './types.ts'
import { withDefaultVariant } from './variants.ts'
import { normaliseVolumePath } from './volumes.ts'

/** What of an image is compared. `platforms` is what its index offers; without it only the chosen one is known. */
export interface ComparedImage {
  readonly config: ImageConfig
  readonly platforms?: ResolvedImage['platforms']
}

export interface ConfigChange {
  /** Whole, values included: an image's config is as public as the image. Safe to print. */
  readonly text: string
  /** For status and events, which more people read than may pull: names of env and labels, but no values. */
  readonly brief: string
}

/** Changes from `a` to `b`, the most important first; empty when both would run alike. */
export function configChanges(a: ComparedImage, b: ComparedImage): readonly ConfigChange[] {
  const [from, to] = [a.config, b.config]
  return [
    ...members('VOLUME', volumePaths(from), volumePaths(to)),
    ...setting('user', from.user || 'root', to.user || 'root'),
    ...command('entrypoint', from.entrypoint, to.entrypoint),
    ...command('command', from.cmd, to.cmd),
    ...platforms(a, b),
    ...setting('working directory', from.workingDir || '/', to.workingDir || '/'),
    ...setting('stop signal', from.stopSignal ?? 'SIGTERM', to.stopSignal ?? 'SIGTERM'),
    ...members('port', from.exposedPorts, to.exposedPorts),
    ...entries('env', envEntries(from.env), envEntries(to.env)),
    ...entries('label', Object.entries(from.labels), Object.entries(to.labels)),
  ]
}

/** The same as lines, for `diff`. */
export function diffConfigs(a: ComparedImage, b: ComparedImage): readonly string[] {
  return configChanges(a, b).map(({ text }) => text)
}

/** Characters of one value in brief words. */
const BRIEF_CHARS = 80

function setting(what: string, from: string, to: string): readonly ConfigChange[] {
  if (from === to) return []
  return [
    {
      text: `${what} ${printable(from, TEXT_CHARS)} → ${printable(to, TEXT_CHARS)}`,
      brief: `${what} ${printable(from, BRIEF_CHARS)} → ${printable(to, BRIEF_CHARS)}`,
    },
  ]
}

/** A config has at most a few MiB; one line of an answer has not. */
const TEXT_CHARS = 1000

function command(what: string, from: readonly string[], to: readonly string[]): readonly ConfigChange[] {
  const [before, after] = [JSON.stringify(from), JSON.stringify(to)]
  if (before === after) return []
  const brief = `${what} changed`
  return [{ text: `${brief}: ${printable(before, TEXT_CHARS)} → ${printable(after, TEXT_CHARS)}`, brief }]
}

function members(what: string, from: readonly string[], to: readonly string[]): readonly ConfigChange[] {
  return [
    ...without(to, from).map((value) => member('adds', what, value)),
    ...without(from, to).map((value) => member('removes', what, value)),
  ]
}

/** Lists of an image may be long. */
function without(values: readonly string[], others: readonly string[]): readonly string[] {
  const known = new Set(others)
  return [...new Set(values)].filter((value) => !known.has(value))
}

function member(verb: string, what: string, value: string): ConfigChange {
  return {
    text: `${verb} ${what} ${printable(value, TEXT_CHARS)}`,
    brief: `${verb} ${what} ${printable(value, BRIEF_CHARS)}`,
  }
}

/** As storage is keyed by them; what can't be a volume as it is written: it is why the image would be refused. */
function volumePaths({ volumes }: ImageConfig): readonly string[] {
  const paths = volumes.map((key) => {
    const normal = normaliseVolumePath(key)
    return 'problem' in normal ? key : normal.path
  })
  return [...new Set(paths)].sort()
}

/** What nodes can run it. An index may drop a platform while the one that was asked for stays. */
function platforms(a: ComparedImage, b: ComparedImage): readonly ConfigChange[] {
  const [from, to] = [offered(a), offered(b)]
  const changes = [
    ...without(from, to).map((name) => same(`drops ${name}`)),
    ...without(to, from).map((name) => same(`adds ${name}`)),
  ]
  if (changes.length > 0) return changes
  // One index, two choices: an older variant runs where the wanted one is missing.
  return setting('platform', platformName(a.config.platform), platformName(b.config.platform))
}

function offered({ config, platforms: listed = [] }: ComparedImage): readonly string[] {
  const all = listed.length === 0 ? [config.platform] : listed.map(({ platform }) => platform)
  return [...new Set(all.map(platformName))].sort()
}

/** `arm64`, `arm/v7`, `windows(10.0.20348)/amd64`: Linux goes without saying, and so does a variant that is the usual one. */
function platformName(platform: Platform): string {
  const { variant: usual } = withDefaultVariant({ os: platform.os, architecture: platform.architecture })
  const { variant, ...bare } = platform
  const shown = variant === undefined || variant === usual ? bare : platform
  return formatPlatform(shown).replace(/^linux\//, '')
}

function same(words: string): ConfigChange {
  return { text: words, brief: words }
}

type Entries = readonly (readonly [string, string])[]

function entries(what: string, from: Entries, to: Entries): readonly ConfigChange[] {
  const [before, after] = [new Map(from), new Map(to)]
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  return names.flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)]
    return old === now ? [] : [entry(what, name, old, now)]
  })
}

function entry(what: string, name: string, old: string | undefined, now: string | undefined): ConfigChange {
  const shown = `${what} ${printable(name, TEXT_CHARS)}`
  const brief = `${what} ${printable(name, BRIEF_CHARS)}`
  const value = (text: string) => printable(text, TEXT_CHARS)
  if (now === undefined) return { text: `removes ${shown}`, brief: `removes ${brief}` }
  if (old === undefined) return { text: `adds ${shown}=${value(now)}`, brief: `adds ${brief}` }
  return { text: `${shown} changed: ${value(old)} → ${value(now)}`, brief: `${brief} changed` }
}

/** As the container gets them: of two definitions the last counts, a name without `=` is empty. */
function envEntries(env: readonly string[]): Entries {
  return env.map((line) => {
    const at = line.indexOf('=')
    return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
  })
}
