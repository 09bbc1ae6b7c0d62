/** The cache of what tests run keeps what may be in use, and lets go what nobody will ask for again. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { cachedFolder, pruneCache } from '../../scripts/lib/cache.ts'

const HOUR_SECONDS = 3600
const NOW = 1_800_000_000_000
let base: string

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fairlead-cache-'))
  vi.stubEnv('XDG_CACHE_HOME', base)
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(base, { recursive: true, force: true })
})

function madeHoursAgo(name: string, hours: number): void {
  const folder = join(base, 'fairlead', name)
  mkdirSync(folder, { recursive: true })
  const seconds = NOW / 1000 - hours * HOUR_SECONDS
  utimesSync(folder, seconds, seconds)
}

const left = (): string[] => readdirSync(join(base, 'fairlead')).toSorted()

test('old folders of one name go, but for the newest and those of other names', async () => {
  madeHoursAgo('image-0000000000000001', 50)
  madeHoursAgo('image-0000000000000002', 30)
  madeHoursAgo('image-0000000000000003', 20)
  madeHoursAgo('image-base-0000000000000004', 50)
  madeHoursAgo('other-0000000000000005', 50)
  await pruneCache('image', NOW)
  expect(left()).toEqual(['image-0000000000000003', 'image-base-0000000000000004', 'other-0000000000000005'])
})

test('the newest stays, however old it is', async () => {
  madeHoursAgo('image-0000000000000001', 50)
  madeHoursAgo('image-0000000000000002', 40)
  await pruneCache('image', NOW)
  expect(left()).toEqual(['image-0000000000000002'])
})

test('a folder is made once, and a failure leaves none', async () => {
  let made = 0
  const build = (): Promise<void> => {
    made += 1
    return Promise.resolve()
  }
  const fail = (): Promise<void> => Promise.reject(new Error('no'))
  await expect(cachedFolder('image', '0000000000000001', fail)).rejects.toThrow('no')
  expect(left()).toEqual([])
  await cachedFolder('image', '0000000000000001', build)
  await cachedFolder('image', '0000000000000001', build)
  expect([made, left()]).toEqual([1, ['image-0000000000000001']])
})
