/** A process that writes durable files one after the other, for tests that kill it: `write-files.ts DIR`. */
import path from 'node:path'
import { ensureFolder, removeFolder, writeFileAtomic } from '../../../src/engine/local/disk.ts'

const dir = process.argv[2] ?? ''
await writeFileAtomic(path.join(dir, 'file'), 'one')
await writeFileAtomic(path.join(dir, 'file'), 'two')
await ensureFolder(path.join(dir, 'folder', 'below'))
await removeFolder(path.join(dir, 'folder'))
await writeFileAtomic(path.join(dir, 'file'), 'three')
