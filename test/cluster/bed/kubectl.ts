/** kubectl against one cluster, with nothing of the user's own configuration. */
import { setTimeout as delay } from 'node:timers/promises'
import { run } from '../../../scripts/lib/run.ts'
import type { RunResult } from '../../../scripts/lib/run.ts'
import type { Command } from './programs.ts'

export interface KubectlOptions {
  /** Standard input, for `-f -`. Values other than texts are given as JSON. */
  readonly input?: unknown
  readonly env?: Readonly<Record<string, string>>
}

/** Any exit code is a result. */
export async function tryKubectl(
  command: Command,
  kubeconfig: string,
  args: readonly string[],
  options: KubectlOptions = {},
): Promise<RunResult> {
  const [program, ...first] = command
  const { input } = options
  return await run(program, [...first, ...args], {
    env: { ...options.env, KUBECONFIG: kubeconfig },
    ...(input === undefined
      ? {}
      : { input: Buffer.from(typeof input === 'string' ? input : JSON.stringify(input)) }),
  })
}

/** `kubectl wait` fails at once where it should wait: a CRD that was made a moment ago has no conditions at all. */
const NO_CONDITIONS_YET = '.status.conditions accessor error: <nil>'
const MOMENTS = 100
const MOMENT_MS = 100

/** Its stdout; throws with its stderr when it fails. */
export async function runKubectl(
  command: Command,
  kubeconfig: string,
  args: readonly string[],
  options: KubectlOptions = {},
): Promise<string> {
  let result = await tryKubectl(command, kubeconfig, args, options)
  for (let again = 0; again < MOMENTS && result.stderr.includes(NO_CONDITIONS_YET); again += 1) {
    await delay(MOMENT_MS)
    result = await tryKubectl(command, kubeconfig, args, options)
  }
  if (result.code !== 0)
    throw new Error(`kubectl ${args.join(' ')}: exit code ${String(result.code)}\n${result.stderr.trim()}`)
  return result.stdout
}
