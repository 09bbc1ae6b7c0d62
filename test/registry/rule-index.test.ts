/** Every rule of a client that pulls has a test whose title begins with its id: `R6 …`, `T4 …`. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

/**
 * R references, T transport, A authentication, M manifests, B blobs, L tag lists, F referrers, X mirrors: how many of
 * each there are.
 */
const RULES: Readonly<Record<string, number>> = { R: 15, T: 10, A: 11, M: 14, B: 7, L: 6, F: 4, X: 6 }
const FOLDERS = ['image', 'registry', 'rootfs']
/** The first words of a string that stands where a title does. */
const TITLE = /(?:\(|\[)\s*['"`]([RTAMBLFX]\d{1,2}) /g

function titledRules(): ReadonlySet<string> {
  const root = join(import.meta.dirname, '..')
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join(root, folder, name)),
  )
  return new Set(
    files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(TITLE)].map(([, id = '']) => id)),
  )
}

describe('each rule has a test', () => {
  const tested = titledRules()
  const ids = Object.entries(RULES).flatMap(([group, count]) =>
    Array.from({ length: count }, (_, index) => `${group}${index + 1}`),
  )

  test.each(ids)('%s', (id) => {
    expect(tested).toContain(id)
  })

  test('and no test is of a rule that there is not', () => {
    expect([...tested].filter((id) => !ids.includes(id))).toEqual([])
  })
})
