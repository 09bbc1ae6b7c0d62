/**
 * A small coverage-guided fuzzer. It changes inputs of a corpus, keeps those that made our source run in a new way, and
 * reports those that break a promise. Everything follows from the seed.
 */
import { ExpectedError } from '../../src/errors.ts'
import { Coverage } from './coverage.ts'
import type { Mutate } from './mutate.ts'
import { Random } from './random.ts'

export interface Target {
  readonly name: string
  readonly seeds: readonly Buffer[]
  readonly mutate: Mutate
  /**
   * Gives the input to the code under test. An ExpectedError is an answer; every other error that it throws is a find.
   */
  run(input: Buffer): void | Promise<void>
}

export interface Find {
  readonly input: Buffer
  /** First lines of what was thrown. */
  readonly problem: string
}

export interface FuzzOptions {
  readonly seed: number
  /** Asked after each batch: how long to go on is the caller's affair. */
  readonly goOn: (executions: number, finds: number) => boolean
  /** Told of each input before it is tried. */
  readonly trying?: (input: Buffer) => void
}

export interface FuzzResult {
  readonly executions: number
  /** Inputs that ran the source in a new way, the seeds among them. */
  readonly corpus: number
  readonly finds: readonly Find[]
}

/** Coverage is dear to read, so many inputs share one reading; only a batch that found something is run one by one. */
const BATCH = 64
const MAX_INPUT_BYTES = 64 * 1024
/** Changes on top of each other: one is rarely enough to get behind a check. */
const MAX_CHANGES = 6
const MAX_FINDS = 10
/** Far more than any input of this size may take; what takes longer grows faster than its input. */
const MAX_CPU_MS = 5000

export async function fuzz(
  target: Target,
  { seed, goOn, trying = () => undefined }: FuzzOptions,
): Promise<FuzzResult> {
  const random = new Random(seed)
  const coverage = new Coverage()
  const corpus: Buffer[] = []
  const finds = new Map<string, Find>()
  let executions = 0
  const tryOut = async (input: Buffer): Promise<void> => {
    executions += 1
    trying(input)
    const problem = await problemOf(target, input)
    if (problem === undefined || finds.has(problem)) return
    finds.set(problem, { input: await minimise(target, input, problem), problem })
  }
  for (const input of target.seeds) {
    await tryOut(input)
    if (coverage.rememberNew() || corpus.length === 0) corpus.push(input)
  }
  while (goOn(executions, finds.size) && finds.size < MAX_FINDS) {
    const batch = Array.from({ length: BATCH }, () => changedInput(corpus, target.mutate, random))
    for (const input of batch) await tryOut(input)
    if (coverage.ranNew()) corpus.push(...(await newest(target, batch, coverage)))
  }
  return { executions, corpus: corpus.length, finds: [...finds.values()] }
}

/** Those of a batch that run something which no earlier input ran. */
async function newest(
  target: Target,
  batch: readonly Buffer[],
  coverage: Coverage,
): Promise<readonly Buffer[]> {
  const kept: Buffer[] = []
  for (const input of batch) {
    await problemOf(target, input)
    if (coverage.rememberNew()) kept.push(input)
  }
  return kept
}

function changedInput(corpus: readonly Buffer[], mutate: Mutate, random: Random): Buffer {
  let input = random.pick(corpus) ?? Buffer.alloc(0)
  for (let left = 1 + random.below(MAX_CHANGES); left > 0; left--)
    input = mutate(input, random.pick(corpus) ?? input, random)
  return input.subarray(0, MAX_INPUT_BYTES)
}

/** What the input breaks, in words that are the same for the same flaw; undefined when all is well. */
export async function problemOf(target: Target, input: Buffer): Promise<string | undefined> {
  const before = process.cpuUsage()
  try {
    await target.run(input)
  } catch (error) {
    if (!(error instanceof ExpectedError)) return firstLines(error)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 > MAX_CPU_MS ? `takes more than ${MAX_CPU_MS} ms` : undefined
}

function firstLines(error: unknown): string {
  if (!(error instanceof Error)) return `throws ${typeof error}`
  const place = error.stack?.split('\n').find((line) => line.includes('/src/') || line.includes('/test/'))
  return `${error.name}: ${error.message.split('\n')[0] ?? ''} ${place?.trim() ?? ''}`
}

/** Leaves out pieces, large ones first, as long as the flaw stays the same. */
async function minimise(target: Target, input: Buffer, problem: string): Promise<Buffer> {
  let best = input
  for (let piece = Math.ceil(input.length / 2); piece >= 1; piece = Math.floor(piece / 2)) {
    for (let at = 0; at < best.length;) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)])
      if ((await problemOf(target, shorter)) === problem) best = shorter
      else at += piece
    }
  }
  return best
}
