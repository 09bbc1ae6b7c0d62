/** `make cluster`: a real Kubernetes with one node on this machine, until Ctrl-C. Nothing is left behind. */
import { startBed } from '../test/cluster/bed/bed.ts'
import { furnish, playImages } from './lib/play-cluster.ts'

const images = await playImages()
const bed = await startBed()

let ending: Promise<void> | undefined
const end = () => (ending ??= bed.stop())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void end().then(() => process.exit(0)))

try {
  console.log(['# In another terminal:', ...(await furnish(bed, images))].join('\n'))
} catch (error) {
  await end()
  throw error
}
// The bed's processes keep nobody alive; a person does.
setInterval(() => undefined, 60_000)
