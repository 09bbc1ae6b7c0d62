/** The fuzzer itself, a short run of each target, and every input that broke something once. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePaxRecords } from '../../src/rootfs/pax.ts'
import { fuzz, problemOf, type Target } from './fuzzer.ts'
import { mutateBytes } from './mutate.ts'
import { TARGETS } from './targets.ts'

/** Inputs a target; `make fuzz` takes its time. */
const BUDGET = 600
const SEED = 1

const REGRESSIONS = join(import.meta.dirname, 'regressions')

describe('a short run finds nothing', () => {
  test.each(TARGETS.map((target) => [target.name, target] as const))('in %s', async (_name, target) => {
    const { executions, finds, corpus } = await fuzz(target, { seed: SEED, goOn: (count) => count < BUDGET })
    expect(finds.map(({ problem, input }) => `${problem} ${input.toString('base64')}`)).toEqual([])
    expect(executions).toBeGreaterThanOrEqual(BUDGET)
    // Coverage is read, and finds more than the seeds do.
    expect(corpus).toBeGreaterThan(1)
  })
})

describe('what broke once', () => {
  const files = readdirSync(REGRESSIONS).filter((name) => name !== 'README.md')

  test.each(files)('%s is read or refused', async (name) => {
    const target = TARGETS.find((known) => name.startsWith(`${known.name}-`))
    if (target === undefined) throw new Error(`${name} names no target`)
    expect(await problemOf(target, readFileSync(join(REGRESSIONS, name)))).toBeUndefined()
  })
})

describe('the fuzzer', () => {
  /** A flaw behind three checks that chance alone passes once in billions of tries. */
  const deep: Target = {
    name: 'deep',
    seeds: [Buffer.from('10 a=1234\n')],
    mutate: mutateBytes,
    run: (input) => {
      const records = parsePaxRecords(input)
      if (!('problem' in records) && records.length === 2) throw new Error('two records')
    },
  }

  test('finds a flaw behind checks, and makes its input small', async () => {
    const { finds } = await fuzz(deep, { seed: SEED, goOn: (count, found) => count < 20_000 && found === 0 })
    expect(finds).toHaveLength(1)
    expect(finds[0]?.problem).toContain('two records')
    expect(finds[0]?.input.length).toBeLessThanOrEqual(20)
  })

  test('saves an input that never ends, and ends itself', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fairlead-fuzz-'))
    const file = join(dir, 'finds', 'stuck')
    const child = spawn(process.execPath, [join(import.meta.dirname, 'stuck-process.ts'), file])
    expect(await once(child, 'exit')).toEqual([null, 'SIGABRT'])
    expect(readFileSync(file, 'utf8')).toBe('it never ends')
    rmSync(dir, { recursive: true })
  })

  test('does the same for the same seed', async () => {
    const run = () => fuzz(deep, { seed: 7, goOn: (count) => count < 500 })
    const [first, second] = [await run(), await run()]
    expect(second.finds.map(({ input }) => input.toString('hex'))).toEqual(
      first.finds.map(({ input }) => input.toString('hex')),
    )
    expect(second.executions).toBe(first.executions)
  })

  test('takes an input that never ends its work for a find', async () => {
    const slow: Target = { ...deep, run: () => burn(5100) }
    expect(await problemOf(slow, Buffer.alloc(1))).toContain('takes more than')
  })
})

function burn(ms: number): void {
  const before = process.cpuUsage()
  for (;;) {
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 > ms) return
  }
}
