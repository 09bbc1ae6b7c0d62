/**
 * The one startContainer hook of the bundle: a script that runs the user's hooks in order and leaves what happened
 * where the engine can read it. Runtimes can't be relied upon for that: `start` says 0 although a hook failed, and
 * stderr is dropped (rule H4, behaviours.md §4).
 *
 * The script runs as the container's user, without capabilities, in an image that may have no shell: everything it
 * needs is one static busybox, and it writes to one folder only.
 */
import type { ContainerMount, HookWish, RuntimeHook } from './types.ts'
import { DEFAULT_PATH } from './process.ts'
import { shellQuote } from './shell-quote.ts'

/** Where our files are in the container. */
export const RUNNER_DIR = '/.fairlead'

/** How much of a hook's output is kept, from its end. */
const OUTPUT_TAIL_BYTES = 4096

/** Where the engine has the runner's files on the host; the run folder must be writable for the container's user. */
export interface RunnerFiles {
  readonly busybox: string
  readonly script: string
  readonly runDir: string
}

/** The binds that bring the runner into the container. */
export function runnerMounts(files: RunnerFiles): readonly ContainerMount[] {
  const label = "Fairlead's hook runner"
  return [
    { destination: `${RUNNER_DIR}/busybox`, source: files.busybox, readOnly: true, exec: true, label },
    { destination: `${RUNNER_DIR}/hooks.sh`, source: files.script, readOnly: true, exec: false, label },
    { destination: `${RUNNER_DIR}/run`, source: files.runDir, readOnly: false, exec: false, label },
  ]
}

/**
 * The hook as the runtime gets it. Without a timeout, since the script keeps the time of each hook: with one, crun
 * 1.8.1 leaves SIGCHLD blocked in the app that it starts afterwards, where a shell's `wait` then sleeps for ever.
 */
export function runnerHook(runnerDir: string = RUNNER_DIR): RuntimeHook {
  return {
    path: `${runnerDir}/busybox`,
    args: ['busybox', 'sh', `${runnerDir}/hooks.sh`],
    // Never empty: runtimes take that for "inherit", once with the controller's secrets in it (rule H2).
    env: [`PATH=${DEFAULT_PATH}`],
  }
}

/**
 * The script. Results in `run/`: `N.stdout`, `N.stderr` (the last 4 KiB), `N.code`, `N.timeout` when hook N was
 * killed for taking too long, and at the end `ok` or `failed` (with N in it).
 * @throws ExpectedError InvalidSpec when an argument or variable holds a NUL.
 */
export function runnerScript(input: {
  readonly hooks: readonly HookWish[]
  readonly runnerDir?: string
}): string {
  const dir = input.runnerDir ?? RUNNER_DIR
  return [
    '#!/bin/sh',
    '# Written by Fairlead: runs the hooks of this container in order, as the container’s user.',
    'set -u',
    `bb=${shellQuote(`${dir}/busybox`)}`,
    `run=${shellQuote(`${dir}/run`)}`,
    ...RUNNER_FUNCTIONS,
    // A result of an earlier run must never be taken for one of this run.
    '"$bb" rm -rf "$run"/* || exit 1',
    // The runtime's state, once for each hook that wants to read it.
    '"$bb" cat >"$run/state" || exit 1',
    '"$bb" mkfifo "$run/done" || exit 1',
    'exec 9<>"$run/done" || exit 1',
    ...startHooks(input.hooks).map(hookLine),
    'echo >"$run/ok" || exit 1',
    '',
  ].join('\n')
}

/**
 * A hook and its clock are the two ends of a pipeline, because a shell waits for a pipeline with one blocking call.
 * Its `wait` would sleep until a SIGCHLD, which a runtime may have blocked, and `busybox timeout` would leave a process behind whose remains nobody in the container would ever collect.
 *
 * `setsid` gives the hook a group, which is killed as a whole; and, coming after `env`, it keeps env from taking a path
 * with "=" in it for a variable.
 */
const RUNNER_FUNCTIONS = [
  'keep_tail() {',
  `  "$bb" tail -c ${OUTPUT_TAIL_BYTES} "$run/$1" >"$run/$2"`,
  '  "$bb" rm -f "$run/$1"',
  '}',
  '# hook NUMBER SECONDS NAME=VALUE... busybox setsid PATH ARGUMENT...',
  '# The first failure ends everything, and with it the start of the container.',
  'hook() {',
  '  number=$1 seconds=$2',
  '  shift 2',
  '  echo "$number" >"$run/running"',
  '  {',
  '    (exec "$bb" sh -c \'echo "$$" >"$1" && shift && exec "$@"\' sh "$run/pid" "$bb" env -i "$@") \\',
  '      <"$run/state" >"$run/$number.out" 2>"$run/$number.err" 9>&-',
  '    echo "$?" >"$run/$number.code"',
  '    echo >&9',
  // The shell says "Killed" of a hook that was: not the hook's words.
  '  } 2>/dev/null | {',
  '    if ! read -r -t "$seconds" _ <&9; then',
  '      echo >"$run/$number.timeout"',
  '      read -r pid <"$run/pid" && kill -KILL "-$pid"',
  '    fi',
  '  }',
  '  keep_tail "$number.out" "$number.stdout"',
  '  keep_tail "$number.err" "$number.stderr"',
  '  read -r code <"$run/$number.code" || code=1',
  '  if [ "$code" != 0 ] || [ -e "$run/$number.timeout" ]; then',
  '    echo "$number" >"$run/failed"',
  '    exit 1',
  '  fi',
  '}',
]

/** What the files in the run folder say. Hooks are counted among the startContainer hooks, from 0. */
export type HookOutcome =
  | { readonly ok: true }
  | {
      readonly failed: number
      readonly code: number | undefined
      readonly timedOut: boolean
      readonly stdout: string
      readonly stderr: string
    }
  /** The runner never got to its end: it was killed, or the container failed before its hooks. */
  | { readonly unfinished: true; readonly running: number | undefined }

/** Reads the outcome from the run folder's files, name to content. Content is what the container left: not trusted. */
export function readHookOutcome(files: Readonly<Record<string, string>>): HookOutcome {
  const failed = wholeNumber(files['failed'])
  if (failed !== undefined) {
    return {
      failed,
      code: wholeNumber(files[`${failed}.code`]),
      timedOut: files[`${failed}.timeout`] !== undefined,
      stdout: files[`${failed}.stdout`] ?? '',
      stderr: files[`${failed}.stderr`] ?? '',
    }
  }
  if (files['ok'] !== undefined) return { ok: true }
  return { unfinished: true, running: wholeNumber(files['running']) }
}

function startHooks(hooks: readonly HookWish[]): readonly HookWish[] {
  return hooks.filter((hook) => hook.stage === 'startContainer')
}

function hookLine(hook: HookWish, index: number): string {
  const env = hookEnv(hook).map(shellQuote)
  const program = [hook.path, ...hook.args].map(shellQuote)
  return ['hook', index, hook.timeoutSeconds, ...env, '"$bb" setsid', ...program].join(' ')
}

/** The hook's environment: its own variables and a PATH, nothing of the image's or the controller's (rule H2). */
export function hookEnv(hook: HookWish): readonly string[] {
  const own = new Map(hook.env.map(({ name, value }) => [name, value]))
  return [...new Map([['PATH', DEFAULT_PATH], ...own])].map(([name, value]) => `${name}=${value}`)
}

function wholeNumber(text: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,9})\s*$/.exec(text ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}
