/** `docker-credential-NAME get`: asks a program on PATH for a registry's credentials. */
import { printable } from '../errors.ts'
import { runFailure, runProgram } from './run-program.ts'
import type { Credential } from './types.ts'

const TIMEOUT_MS = 10_000
const MAX_OUTPUT_BYTES = 64 * 1024

export interface HelperAnswer {
  readonly credential?: Credential
  /** Why there is none, when that is not simply "no login for this registry". */
  readonly problem?: string
}

/** The name becomes part of a program's name: no path, no option, nothing for a shell. */
export function isHelperName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(?:\.[A-Za-z0-9_-]{1,63})*$/.test(name)
}

/** Never throws, except when the signal is aborted: a broken helper must not stop a public pull. */
export async function askHelper(
  name: string,
  server: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<HelperAnswer> {
  const program = `docker-credential-${name}`
  try {
    const limits = { maxOutputBytes: MAX_OUTPUT_BYTES, timeoutMs: TIMEOUT_MS }
    const { code, output } = await runProgram(
      { program, args: ['get'], env, input: `${server}\n`, ...limits },
      signal,
    )
    if (code !== 0)
      return /credentials not found/i.test(output)
        ? {}
        : { problem: `${program} failed with exit code ${code}` }
    return readAnswer(output, program)
  } catch (error) {
    signal.throwIfAborted()
    const why = runFailure(error)
    if (why === 'ENOENT') return { problem: `${program} is not installed, or not in PATH` }
    return { problem: `${program} could not be run (${printable(why, 60)})` }
  }
}

/** The output holds a secret, so no part of it is ever shown. */
function readAnswer(output: string, program: string): HelperAnswer {
  const unreadable = { problem: `${program} answered something that is not a login` }
  try {
    const value = JSON.parse(output) as Readonly<Record<string, unknown>> | null
    const username = value?.['Username']
    const secret = value?.['Secret']
    if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return unreadable
    const label = program
    // Docker's marker for an identity token.
    if (username === '<token>') return { credential: { label, identityToken: secret } }
    return { credential: { label, username, password: secret } }
  } catch {
    return unreadable
  }
}
