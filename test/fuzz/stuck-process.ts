/** Tries an input that never ends, under the watchdog. Argument: where that one should be saved. */
import { startWatchdog } from './watchdog.ts'

const watchdog = startWatchdog(process.argv[2] ?? '', 100)
watchdog.trying(Buffer.from('the one before'))
watchdog.trying(Buffer.from('it never ends'))
for (;;);
