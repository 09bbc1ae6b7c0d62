/**
 * `make fuzz`: all targets for FUZZ_SECONDS (600), or one of them; or one input again.
 *
 *     npx node test/fuzz/run.ts [TARGET]
 *     npx node test/fuzz/run.ts TARGET FILE
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { argv, env } from 'node:process'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import { fuzz, problemOf, type Find, type Target } from './fuzzer.ts'
import { TARGETS } from './targets.ts'
import { startWatchdog } from './watchdog.ts'

const FINDS = join(import.meta.dirname, 'finds')

async function main(): Promise<void> {
  const [name, file] = argv.slice(2)
  const targets = name === undefined ? TARGETS : TARGETS.filter((target) => target.name === name)
  const [first] = targets
  if (first === undefined) {
    console.error(`no target is called ${name}; there are ${TARGETS.map((target) => target.name).join(', ')}`)
    process.exitCode = 2
  } else if (file === undefined) await fuzzAll(targets)
  else await replay(first, file)
}

async function fuzzAll(targets: readonly Target[]): Promise<void> {
  const seed = Number(env['FUZZ_SEED'] ?? Date.now() % 2 ** 32)
  const msEach = (Number(env['FUZZ_SECONDS'] ?? 600) * 1000) / targets.length
  console.log(`FUZZ_SEED=${seed}`)
  for (const target of targets) {
    const endMs = performance.now() + msEach
    const watchdog = startWatchdog(join(FINDS, `${target.name}-never-ends`))
    const goOn = () => performance.now() < endMs
    const result = await fuzz(target, { seed, goOn, trying: watchdog.trying })
    await watchdog.stop()
    console.log(
      `${target.name}: ${result.executions} inputs, ${result.corpus} of them new, ${result.finds.length} finds`,
    )
    for (const find of result.finds) console.log(`  ${find.problem}\n  ${saved(target, find)}`)
    if (result.finds.length > 0) process.exitCode = 1
  }
}

async function replay(target: Target, file: string): Promise<void> {
  const problem = await problemOf(target, readFileSync(file))
  console.log(problem ?? 'no problem')
  if (problem !== undefined) process.exitCode = 1
}

/** Returns the command that shows it again. */
function saved(target: Target, { input }: Find): string {
  mkdirSync(FINDS, { recursive: true })
  const file = join(FINDS, `${target.name}-${hexOf(digestOf(input)).slice(0, 12)}`)
  writeFileSync(file, input)
  return `npx node test/fuzz/run.ts ${target.name} ${file}`
}

await main()
