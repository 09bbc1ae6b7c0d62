/**
 * A process that works on a volume, for tests that kill it or fill its disk:
 * `volume-process.ts ensure STATE ROOTFS VOLUME_JSON` or `volume-process.ts import STATE TAR PATH [replace]`.
 * Says `done`, or `Reason: message`.
 */
import { createReadStream } from 'node:fs'
import { statePaths } from '../../../src/engine/local/paths.ts'
import { VolumeStore } from '../../../src/engine/local/volume-store.ts'
import { importVolume } from '../../../src/engine/local/volume-transfer.ts'
import { ExpectedError } from '../../../src/errors.ts'
import type { DesiredVolume } from '../../../src/reconcile/types.ts'
import { digest, KEY } from '../../support/builders.ts'

const [what, state = '', source = '', volume = '', mode] = process.argv.slice(2)
const store = new VolumeStore(statePaths(state))
try {
  if (what === 'ensure') {
    const identity = { uid: 2000, gid: 2001, additionalGids: [], home: '/', name: undefined }
    const wanted = JSON.parse(volume) as DesiredVolume
    await store.ensure(KEY, wanted, { rootfsDir: source, digest: digest('a1'), identity })
  } else {
    await importVolume(await store.find(KEY, volume), createReadStream(source), {
      replace: mode === 'replace',
    })
  }
  process.stdout.write('done\n')
} catch (error) {
  if (!(error instanceof ExpectedError)) throw error
  process.stdout.write(`${error.reason}: ${error.message}\n`)
}
