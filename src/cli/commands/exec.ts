/** `fairlead exec`: a command in a running container, as the app's own user, groups, folder and environment. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { readJson } from '../../engine/local/disk.ts'
import { hostFacts } from '../../engine/local/host.ts'
import { instancePaths, type StatePaths } from '../../engine/local/paths.ts'
import { runtimeFor } from '../../engine/local/runtime.ts'
import { ExpectedError } from '../../errors.ts'
import { namedApp } from '../app-name.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import { Interruption, type CliContext } from '../context.ts'
import { requireRunning } from '../current-instance.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'
import { UsageError } from '../usage-error.ts'

export const exec: RunCommand = async (context, call) => {
  const tty = call.options.flag('tty')
  if (tty && (context.stdin.isTTY !== true || !context.stdout.isTerminal)) {
    throw new UsageError('standard input and output are no terminal; leave -t out', '--tty')
  }
  const command = commandOf(call)
  const key = namedApp(call)
  const paths = statePathsOf(context, call)
  await requireApp(new LocalAppStore(paths), key)
  const { record } = await requireRunning(paths, key)
  const runtime = runtimeFor(record.runtime, paths.runtime, hostFacts())
  const dir = await mkdtemp(join(tmpdir(), 'fairlead-exec-'))
  try {
    const file = join(dir, 'process.json')
    // The environment may hold secrets: never on a command line, which every user can read.
    await writeFile(file, JSON.stringify(await processOf(paths, record.id, command, tty)), {
      mode: 0o600,
    })
    const words = [...runtime.command, 'exec', ...(tty ? ['--tty'] : []), '--process', file, record.id]
    return await runInForeground(context, words, tty || call.options.flag('interactive'))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** The words after the name; `--` before them is for the eye only. */
function commandOf(call: CommandCall): readonly string[] {
  const [, ...words] = call.args
  const command = words[0] === '--' ? words.slice(1) : words
  if (command.length === 0) throw new UsageError('name the command to run after --', 'command')
  return command
}

/** The app's own process with other arguments: what `exec` of either runtime would leave out is all there. */
async function processOf(
  paths: StatePaths,
  id: string,
  args: readonly string[],
  terminal: boolean,
): Promise<Record<string, unknown>> {
  const config = (await readJson(instancePaths(paths, id).config)) as
    | { readonly process?: Record<string, unknown> }
    | undefined
  if (config?.process === undefined) {
    throw new ExpectedError(
      'StateCorrupt',
      `${instancePaths(paths, id).config} describes no process; fairlead restart makes it anew`,
    )
  }
  return { ...config.process, args, terminal }
}

/** The child shares our process group: Ctrl-C reaches it by itself and must not end us before it; SIGTERM is passed on. */
async function runInForeground(
  context: CliContext,
  command: readonly string[],
  withInput: boolean,
): Promise<number> {
  const [file, ...args] = command
  const child = spawn(file ?? '', args, { stdio: [withInput ? 'inherit' : 'ignore', 'inherit', 'inherit'] })
  const forward = () => {
    const reason: unknown = context.signal.reason
    if (reason instanceof Interruption && reason.signalName === 'SIGTERM') child.kill('SIGTERM')
  }
  context.signal.addEventListener('abort', forward, { once: true })
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      )
    })
  } finally {
    context.signal.removeEventListener('abort', forward)
  }
}
