/** Runs contestants in turn, several rounds, and compares medians: a slow moment of the machine hits all of them. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

export interface Contestant {
  readonly name: string
  /** Shell command; `$OUT` is an empty place for the result. */
  readonly command: string
  /** Whether the last line that it prints are the seconds that count, and not those from its start to its end. */
  readonly printsSeconds?: boolean
  /** Cleans up what lies outside of `$OUT`. */
  readonly cleanUp?: () => void
}

export interface Result {
  readonly name: string
  readonly seconds: readonly number[]
  readonly medianSeconds: number
  /** Processor time of all its processes, median: tells what a machine with other work to do would see. */
  readonly medianCpuSeconds: number
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
  const runs = new Map<string, Run[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) {
      const out = prepare()
      runs.get(contestant.name)?.push(runOnce(contestant, out))
      discard(out)
      contestant.cleanUp?.()
    }
  }
  return contestants.map(({ name }) => resultOf(name, runs.get(name) ?? []))
}

interface Run {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly output: string
}

function resultOf(name: string, runs: readonly Run[]): Result {
  const seconds = runs.map((run) => run.seconds)
  return {
    name,
    seconds,
    medianSeconds: median(seconds),
    medianCpuSeconds: median(runs.map((run) => run.cpuSeconds)),
    output: runs.at(-1)?.output ?? '',
  }
}

function runOnce({ name, command, printsSeconds = false }: Contestant, out: string): Run {
  const cpuBefore = childrenCpuSeconds()
  const start = performance.now()
  const result = spawnSync('sh', ['-c', command], {
    env: { ...process.env, OUT: out },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  const wallSeconds = (performance.now() - start) / 1000
  if (result.status !== 0) throw new Error(`${name} failed: ${result.stderr.slice(-2000)}`)
  const output = result.stdout.trim().split('\n').at(-1) ?? ''
  const seconds = printsSeconds ? Number(output) : wallSeconds
  return { seconds, cpuSeconds: childrenCpuSeconds() - cpuBefore, output }
}

/** User and system time of all children that have ended: proc(5), fields 16 and 17, in hundredths of a second. */
function childrenCpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  // The program's name is in parentheses and may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** A markdown table; `baseline` is what the ratios are against. */
export function markdownTable(results: readonly Result[], baseline: string): string {
  const base = results.find(({ name }) => name === baseline)?.medianSeconds ?? Number.NaN
  const rows = results.map(
    ({ name, seconds, medianSeconds, medianCpuSeconds }) =>
      `| ${name} | ${medianSeconds.toFixed(2)} | ${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)} | ${medianCpuSeconds.toFixed(2)} | ${(medianSeconds / base).toFixed(2)} |`,
  )
  return ['| | median s | range s | CPU s | against ours |', '|---|---|---|---|---|', ...rows].join('\n')
}
