import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { statePaths } from '../../../src/engine/local/paths.ts'
import { VolumeStore } from '../../../src/engine/local/volume-store.ts'
import { temporaryFolder } from './temporary.ts'

test('a deletion that a crash cut off is finished by the next sweep', async () => {
  const paths = statePaths(await temporaryFolder())
  const left = join(paths.volumes, 'default', 'app', '.removed-0badcafe0bad')
  await mkdir(join(left, 'data'), { recursive: true })
  await new VolumeStore(paths).sweep()
  await expect(readdir(join(paths.volumes, 'default', 'app'))).resolves.toEqual([])
})
