/**
 * Collects in a process of its own, once, or until a file is there. Arguments: the store's folder, the file. Says
 * `collected` after each time.
 */
import { existsSync } from 'node:fs'
import { AStore } from './a-store.ts'

const [dir = '', until] = process.argv.slice(2)
const store = new AStore(dir)
for (let isLast = false; !isLast;) {
  isLast = until === undefined || existsSync(until)
  const { removed } = await store.collect()
  process.stdout.write(`collected ${removed.length}\n`)
}
