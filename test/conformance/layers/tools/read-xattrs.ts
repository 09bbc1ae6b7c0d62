/** Extended attributes of a whole folder, by getfattr: node:fs cannot read them. */
import { spawnSync } from 'node:child_process'
import type { ByteString } from '../../../../src/image/bytes.ts'

/** By path below the folder, '' for the folder itself. */
export type XattrsByPath = ReadonlyMap<ByteString, ReadonlyMap<string, Buffer>>

const HEADING = '# file: '
const MAX_OUTPUT_BYTES = 256 * 2 ** 20
/** Put on by the machine, not by a layer. */
const OF_THE_MACHINE = new Set(['security.selinux'])

/** Names that vanish while it reads, or that only a directory knows of, are left out. */
export async function readXattrs(folder: string): Promise<XattrsByPath> {
  const { stdout, error } = spawnSync(
    'getfattr',
    ['-R', '-h', '-P', '-d', '-m', '-', '-e', 'hex', '--', '.'],
    {
      cwd: folder,
      maxBuffer: MAX_OUTPUT_BYTES,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  if (error !== undefined) throw error
  return parseGetfattr(stdout.toString('latin1'))
}

/** Reads what `getfattr -d -e hex` prints, as one char per byte. */
export function parseGetfattr(output: ByteString): XattrsByPath {
  const found = new Map<ByteString, Map<string, Buffer>>()
  let current = new Map<string, Buffer>()
  for (const line of output.split('\n')) {
    if (line.startsWith(HEADING)) {
      const path = unescaped(line.slice(HEADING.length))
      current = new Map()
      found.set(path === '.' ? '' : path, current)
      continue
    }
    const equals = line.indexOf('=0x')
    const name = unescaped(line.slice(0, Math.max(equals, 0)))
    if (equals > 0 && !OF_THE_MACHINE.has(name)) current.set(name, Buffer.from(line.slice(equals + 3), 'hex'))
  }
  return found
}

/** Line breaks, backslashes and equals signs are printed as three octal digits. */
function unescaped(text: ByteString): ByteString {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
