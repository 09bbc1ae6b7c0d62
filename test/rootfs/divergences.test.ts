import { expect, test } from 'vitest'
import { divergenceText } from '../../src/rootfs/divergences.ts'

const LINK = { path: '/lib', layer: 2, rule: 'parent-symlink', overlayfs: 'a directory' }
const FAILS = {
  path: '/h',
  layer: 1,
  rule: 'hard-link-to-lower-file',
  overlayfs: 'unpacking fails: no target',
}

test('nothing is said of an image that is the same everywhere', () => {
  expect(divergenceText([])).toBeUndefined()
})

test('names the first place and how many there are', () => {
  expect(divergenceText([LINK])).toBe(
    'nodes with overlayfs show something else than the image specification says in 1 place, first /lib (layer 2, parent-symlink): a directory',
  )
  expect(divergenceText([LINK, LINK, LINK])).toMatch(/ in 3 places, first \/lib /)
})

test('an image that cannot be unpacked is the first thing to say', () => {
  expect(divergenceText([LINK, FAILS, FAILS])).toBe(
    "nodes with overlayfs can't unpack the image, for 2 reasons, first /h (layer 1, hard-link-to-lower-file): no target",
  )
})

test('names of images reach no message as they are', () => {
  const text = divergenceText([{ ...LINK, path: `/a\n\u001b[31m${'x'.repeat(5000)}` }])
  expect(text).not.toContain('\n')
  expect(text).not.toContain('\u001b')
  expect(text?.length).toBeLessThan(500)
})

test('an archive that no node can read is told before all else', () => {
  const refused = { path: '/s', layer: 3, rule: 'archive-refused', overlayfs: 'unpacking fails: type 7' }
  expect(divergenceText([LINK, FAILS, refused])).toBe(
    'no node can unpack the image: /s (layer 3, archive-refused): type 7',
  )
  expect(divergenceText([{ ...refused, path: '/' }])).toBe('no node can unpack the image: layer 3: type 7')
})
