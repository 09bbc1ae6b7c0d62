/** A process that takes a lock, says so and waits to be killed: `hold-lock.ts FILE`. */
import { takeLock } from '../../../src/engine/local/lock.ts'

const lock = await takeLock(process.argv[2] ?? '', { wait: true })
process.stdout.write(lock === undefined ? 'busy\n' : 'held\n')
setInterval(() => undefined, 60_000)
