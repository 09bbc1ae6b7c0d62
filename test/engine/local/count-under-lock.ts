/** A process that counts up a number in a file, not atomically, under a lock: `count-under-lock.ts LOCK FILE TIMES`. */
import { readFile, writeFile } from 'node:fs/promises'
import { withLock } from '../../../src/engine/local/lock.ts'

const [lock = '', file = '', times = '0'] = process.argv.slice(2)
for (let n = 0; n < Number(times); n++) {
  await withLock(lock, async () => {
    const count = Number(await readFile(file, 'utf8'))
    await writeFile(file, String(count + 1))
  })
}
