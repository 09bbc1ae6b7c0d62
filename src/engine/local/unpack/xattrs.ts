/** Extended attributes, by one run of setfattr (package attr): node:fs has no call for them. */
import { toBuffer, type ByteString } from '../../../image/bytes.ts'
import type { Inode } from '../../../rootfs/types.ts'
import { runTool } from './tools.ts'

/** A name below the folder, and what it is to have. */
export interface WithXattrs {
  readonly names: readonly ByteString[]
  readonly inode: Pick<Inode, 'xattrs'>
}

/** Sets those of these names, in the format of `getfattr --dump`. Never follows a symlink (`-h`). */
export async function setXattrs(names: readonly WithXattrs[], rootDir: string): Promise<void> {
  if (names.length === 0) return
  const blocks = names.map(({ names: path, inode }) => fileBlock(path, inode))
  await runTool({
    command: ['setfattr', '-h', '--restore=-'],
    debianPackage: 'attr',
    cwd: rootDir,
    input: toBuffer(blocks.join('\n')),
  })
}

function fileBlock(path: readonly ByteString[], { xattrs }: WithXattrs['inode']): string {
  const lines = [...xattrs].map(([name, value]) => `${escaped(name)}=0x${value.toString('hex')}`)
  return `# file: ./${escaped(path.join('/'))}\n${lines.join('\n')}\n`
}

/** setfattr reads `\ooo`; a newline or "=" would end what it belongs to. */
function escaped(text: ByteString): string {
  // oxlint-disable-next-line no-control-regex -- control bytes are among those that must be written as numbers
  return text.replaceAll(
    /[^\u0021-\u003c\u003e-\u005b\u005d-\u007e]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
}
