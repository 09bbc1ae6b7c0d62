/** What a tool said when it failed, as one line that is the same on every machine. */
import { stripVTControlCharacters } from 'node:util'
import { printable } from '../../../../src/errors.ts'
import type { RunResult } from '../../../../scripts/lib/run.ts'

const MAX_CHARS = 200

/** Words of errno and of common libraries, in the order in which they are looked for. */
const CLASSES: readonly (readonly [name: string, words: RegExp])[] = [
  ['EROFS, tried to write outside of its folder', /read-only file system/i],
  ['digest', /digest|checksum mismatch|diffid|unexpected commit|hash mismatch/i],
  ['EEXIST', /file exists/i],
  ['ENOTDIR', /not a directory/i],
  ['EISDIR', /is a directory/i],
  ['ENOENT', /no such file or directory/i],
  ['ELOOP', /too many levels of symbolic links/i],
  ['ENAMETOOLONG', /file ?name too long/i],
  ['EOPNOTSUPP', /operation not supported/i],
  ['EPERM', /operation not permitted/i],
  ['ENOSPC', /no space left/i],
  ['EINVAL', /invalid argument/i],
  ['breakout', /breakout|outside of|escape|traversal|invalid hardlink|invalid symlink/i],
  ['whiteout', /whiteout/i],
  ['tar', /archive\/tar|tar header|invalid tar|unhandled tar|unknown.*typeflag/i],
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
    .replaceAll(/\b(?:umoci|storage|container|ctd|fairlead|buildah|docker)[-_.]?[a-z]*\d{5,}/g, '*')
    .replaceAll(/snapshots\/(?:new-)?\d+/g, 'snapshots/*')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:*')
    .replaceAll(/\b[0-9a-f]{64}\b/g, '*')
  return printable(text).slice(0, MAX_CHARS)
}

/** One word or two for the kind of failure, since wordings change with every version of a tool. */
export function failureClass(failure: string): string {
  if (failure.includes('took too long')) return 'timeout'
  return CLASSES.find(([, words]) => words.test(failure))?.[0] ?? 'other'
}
