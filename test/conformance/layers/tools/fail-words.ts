/** What a tool said when it failed, as one line that is the same on every machine. */
import { stripVTControlCharacters } from 'node:util'
import { printable } from '../../../../src/errors.ts'
import type { RunResult } from '../../../../scripts/lib/run.ts'

/** The errno stands at the end of long messages. */
const MAX_CHARS = 10_000

const OUTSIDE = 'it writes outside of its folder'
const FULL = 'it fills the disk'
const ENDLESS = 'it does not end'
const UNSAFE = new Set([OUTSIDE, FULL, ENDLESS])

/** Words of errno and of common libraries, in the order in which they are looked for. */
const CLASSES: readonly (readonly [name: string, words: RegExp])[] = [
  [OUTSIDE, /read-only file system|outside of its folder/i],
  [FULL, /no space left/i],
  ['digest', /digest|checksum mismatch|diffid|unexpected commit|hash mismatch/i],
  ['EEXIST', /file exists/i],
  ['ENOTDIR', /not a directory/i],
  ['EISDIR', /is a directory/i],
  ['ENOENT', /no such file or directory/i],
  ['ELOOP', /too many levels of symbolic links/i],
  ['ENAMETOOLONG', /file ?name too long/i],
  ['EOPNOTSUPP', /operation not supported/i],
  ['EPERM', /operation not permitted/i],
  ['EINVAL', /invalid argument/i],
  ['breakout', /breakout|escape|traversal|invalid hardlink|invalid symlink/i],
  ['whiteout', /whiteout/i],
  ['duplicate', /duplicates of file paths/i],
  ['asks another host', /fetching external blob|dial tcp/i],
  ['tar', /archive\/tar|tar header|invalid tar|unhandled tar|unsupported format|unknown.*typeflag/i],
  ['compression', /gzip|zstd|magic number|flate|decompress/i],
  ['truncated', /unexpected eof/i],
  ['media type', /media ?type/i],
  ['size', /size/i],
]

/** The last line that is an error; of logrus' lines only the message. */
export function failureOf({ code, stdout, stderr }: RunResult, tool: string): string {
  if (code === null) return `${tool}: killed, it took too long`
  const lines = stripVTControlCharacters(`${stdout}\n${stderr}`)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/level=(?:warning|info|debug)/.test(line))
  return steady(lines.at(-1) ?? `${tool}: exit code ${code}`)
}

/** Temporary names become `*`, control characters are escaped, long lines cut. */
export function steady(line: string): string {
  const text = line
    .replaceAll(/\/proc\/\d+\/root/g, '')
    .replaceAll(/\b(?:umoci|storage|container|ctd|fairlead|buildah|docker)[-_.]?[a-z]*\d{4,}/g, '*')
    .replaceAll(/snapshots\/(?:new-)?\d+/g, 'snapshots/*')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:*')
    .replaceAll(/\b[0-9a-f]{64}\b/g, '*')
  return printable(text, MAX_CHARS)
}

/** The tool did not see what was wrong: something else stopped it. */
export function isUnsafe(failure: string): boolean {
  return UNSAFE.has(failureClass(failure))
}

/** One word or two for the kind of failure, since wordings change with every version of a tool. */
export function failureClass(failure: string): string {
  if (failure.includes('took too long')) return ENDLESS
  return CLASSES.find(([, words]) => words.test(failure))?.[0] ?? 'other'
}
