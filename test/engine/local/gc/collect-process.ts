/** Collects in a process of its own. Arguments: the store's folder, how often. Says `collected` after each time. */
import { AStore } from './a-store.ts'

const [dir = '', times = '1'] = process.argv.slice(2)
const store = new AStore(dir)
for (let time = 0; time < Number(times); time++) {
  const { removed } = await store.collect()
  process.stdout.write(`collected ${removed.length}\n`)
}
