/** What differs between two image configs, in plain words: one line a change. */
import { printable } from '../errors.ts'
import type { ImageConfig, Platform } from '../image/types.ts'

/** Empty when both would run alike. Values are shown: an image's config is as public as the image. */
export function diffConfigs(a: ImageConfig, b: ImageConfig): readonly string[] {
  return [
    ...changed('platform', platformText(a.platform), platformText(b.platform)),
    ...changed('user', a.user === '' ? 'root' : a.user, b.user === '' ? 'root' : b.user),
    ...changed('entrypoint', listText(a.entrypoint), listText(b.entrypoint)),
    ...changed('command', listText(a.cmd), listText(b.cmd)),
    ...changed('working directory', a.workingDir || '/', b.workingDir || '/'),
    ...changed('stop signal', a.stopSignal ?? 'SIGTERM', b.stopSignal ?? 'SIGTERM'),
    ...members('VOLUME', a.volumes, b.volumes),
    ...members('port', a.exposedPorts, b.exposedPorts),
    ...entries('env', envEntries(a.env), envEntries(b.env)),
    ...entries('label', Object.entries(a.labels), Object.entries(b.labels)),
  ]
}

function changed(what: string, from: string, to: string): string[] {
  return from === to ? [] : [`${what} ${printable(from)} → ${printable(to)}`]
}

function members(what: string, from: readonly string[], to: readonly string[]): string[] {
  return [
    ...to.filter((value) => !from.includes(value)).map((value) => `adds ${what} ${printable(value)}`),
    ...from.filter((value) => !to.includes(value)).map((value) => `removes ${what} ${printable(value)}`),
  ]
}

type Entries = readonly (readonly [string, string])[]

function entries(what: string, from: Entries, to: Entries): string[] {
  const before = new Map(from)
  const after = new Map(to)
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  return names.flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)]
    if (old === now) return []
    if (old === undefined) return [`adds ${what} ${printable(name)}=${printable(now ?? '')}`]
    if (now === undefined) return [`removes ${what} ${printable(name)}`]
    return [`${what} ${printable(name)}: ${printable(old)} → ${printable(now)}`]
  })
}

/** As the container gets them: of two definitions the last counts, a name without `=` is empty. */
function envEntries(env: readonly string[]): Entries {
  return env.map((line) => {
    const at = line.indexOf('=')
    return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
  })
}

function listText(words: readonly string[]): string {
  return JSON.stringify(words)
}

function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}
