/** Runs contestants in turn, several rounds, and compares medians: a slow moment of the machine hits all of them. */
import { spawnSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'

export interface Contestant {
  readonly name: string
  /** Shell command; `$OUT` is an empty place for the result. */
  readonly command: string
  /** Cleans up what lies outside of `$OUT`. */
  readonly cleanUp?: () => void
}

export interface Result {
  readonly name: string
  readonly seconds: readonly number[]
  readonly medianSeconds: number
  /** Last line of standard output of the last round. */
  readonly output: string
}

/** Every contestant runs once in each round; `prepare` returns a fresh place before each run, `discard` removes it. */
export function compare(
  contestants: readonly Contestant[],
  rounds: number,
  prepare: () => string,
  discard: (out: string) => void,
): readonly Result[] {
  const runs = new Map<string, { seconds: number[]; output: string }>()
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) {
      const out = prepare()
      const { seconds, output } = runOnce(contestant, out)
      const earlier = runs.get(contestant.name)?.seconds ?? []
      runs.set(contestant.name, { seconds: [...earlier, seconds], output })
      discard(out)
      contestant.cleanUp?.()
    }
  }
  return contestants.map(({ name }) => {
    const { seconds, output } = runs.get(name) ?? { seconds: [], output: '' }
    return { name, seconds, medianSeconds: median(seconds), output }
  })
}

function runOnce(
  { name, command }: Contestant,
  out: string,
): { readonly seconds: number; readonly output: string } {
  const start = performance.now()
  const result = spawnSync('sh', ['-c', command], {
    env: { ...process.env, OUT: out },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  const seconds = (performance.now() - start) / 1000
  if (result.status !== 0) throw new Error(`${name} failed: ${result.stderr.slice(-2000)}`)
  return { seconds, output: result.stdout.trim().split('\n').at(-1) ?? '' }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** A markdown table; `baseline` is what the ratios are against. */
export function markdownTable(results: readonly Result[], baseline: string): string {
  const base = results.find(({ name }) => name === baseline)?.medianSeconds ?? Number.NaN
  const rows = results.map(
    ({ name, seconds, medianSeconds }) =>
      `| ${name} | ${medianSeconds.toFixed(2)} | ${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)} | ${(medianSeconds / base).toFixed(2)} |`,
  )
  return ['| | median s | range s | against ours |', '|---|---|---|---|', ...rows].join('\n')
}
