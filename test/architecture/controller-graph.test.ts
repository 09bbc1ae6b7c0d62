/** What a controller of a cluster loads at its start stays in memory for as long as it runs: nothing that it has no use for. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './source-files.ts'

/** Imports and re-exports at the top of a file; types vanish, and what `import()` asks for comes later if at all. */
const STATIC = /^(?:import|export) (?!type\b)(?:[^'";]*? from )?'([^']+)'/gm

function loadedFrom(start: string): ReadonlySet<string> {
  const loaded = new Set<string>()
  const waiting = [start]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (loaded.has(file)) continue
    loaded.add(file)
    if (!file.startsWith('src/')) continue
    for (const [, target = ''] of readFileSync(path.join(ROOT, file), 'utf8').matchAll(STATIC))
      waiting.push(target.startsWith('.') ? path.posix.join(path.posix.dirname(file), target) : target)
  }
  return loaded
}

const loaded = loadedFrom('src/cli/cluster/run-controller.ts')

test('the graph is followed through files and packages', () => {
  expect(loaded.size).toBeGreaterThan(150)
  expect([...loaded]).toEqual(expect.arrayContaining(['zod', 'src/controller/queue.ts', 'src/crd/app.ts']))
})

test.each(['yaml', '@kubernetes/client-node', 'node:http', 'src/engine/local/'])(
  'a controller starts without %s',
  (part) => {
    expect(
      [...loaded].filter((file) => file === part || (part.endsWith('/') && file.startsWith(part))),
    ).toEqual([])
  },
)
