/** The pure rooms read no clock, no randomness, no process: those come in as arguments (DESIGN §3). */
import { describe, expect, test } from 'vitest'
import { parseSource, sourceFiles } from './source-files.ts'
import type { SourceFile } from './source-files.ts'

const PURE_ROOMS = ['crd', 'image', 'rootfs', 'bundle', 'reconcile']

const IMPURE: readonly (readonly [string, RegExp])[] = [
  ['the clock', /\bDate\.now\b|\bnew Date\(\s*\)|(?<!new )\bDate\(\s*\)|\bperformance\.|\bTemporal\.Now\b/],
  ['randomness', /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync|Fill)\b|\bgetRandomValues\b/],
  // `process` is also a fine name for a value: that the global is not meant, the linter checks (.oxlintrc.json).
  [
    'the process',
    /(?<![.\w$])process\.(?:argv|cwd|pid|ppid|platform|arch|hrtime|uptime|exit|nextTick|stdout|stderr|stdin|getuid)\b|\bglobalThis\b/,
  ],
  ['a timer', /\bset(?:Timeout|Interval|Immediate)\s*\(/],
  ['the network', /(?<![.\w$])fetch\s*\(/],
  ['the console', /(?<![.\w$])console\./],
]

const files = PURE_ROOMS.flatMap((room) => sourceFiles(`src/${room}`))

function impurities(file: SourceFile): readonly string[] {
  return IMPURE.filter(([, pattern]) => pattern.test(file.code)).map(([what]) => `${file.path} uses ${what}`)
}

describe('the pure rooms', () => {
  test.each(PURE_ROOMS)('src/%s has files to look at', (room) => {
    expect(files.filter((file) => file.path.startsWith(`src/${room}/`)).length).toBeGreaterThan(0)
  })

  test('use nothing but their arguments', () => {
    expect(files.flatMap(impurities)).toEqual([])
  })

  test.each([
    ['const now = Date.now()', 'the clock'],
    ['const now = new Date()', 'the clock'],
    ['const id = randomUUID()', 'randomness'],
    ['const dice = Math.random()', 'randomness'],
    ['const home = process.cwd()', 'the process'],
    ['const host = process.platform', 'the process'],
    ['const env = globalThis.process.env', 'the process'],
    ['setTimeout(next, 5)', 'a timer'],
    ['const answer = await fetch(url)', 'the network'],
    ["console.log('x')", 'the console'],
  ])('would be caught at: %s', (text, what) => {
    expect(impurities(parseSource('src/reconcile/plan.ts', text))).toEqual([
      `src/reconcile/plan.ts uses ${what}`,
    ])
  })

  test.each([
    '// Date.now() is not for us',
    'const at = new Date(text)',
    'const args = input.process.args',
    'const found = view.process.user',
    'await source.fetch(digest)',
  ])('may say: %s', (text) => {
    expect(impurities(parseSource('src/reconcile/plan.ts', text))).toEqual([])
  })
})
