/**
 * Where an unpacker runs: namespaces of its own for mounts and processes, in which the whole machine is read-only but
 * for one folder, /mnt. A layer that talks a tool into writing elsewhere meets EROFS; mounts and daemons end with the
 * room, also when this process is killed; and messages name the same paths on every machine.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { UsageError } from '../../usage-error.ts'
import { run, type RunResult } from '../../../../scripts/lib/run.ts'

/** The writable folder as programs in the room see it; every Debian has it. */
export const ROOM_FOLDER = '/mnt'

const PREFIX = 'fairlead-room-'
const COMMAND_WITHIN_MS = 120_000

/** Prints its pid as the machine counts, so that others can enter; ends with its stdin, and everything with it. */
const KEEPER = `
  set -eu
  read -r pid rest < /proc/self/stat
  mount --bind "$1" ${ROOM_FOLDER}
  cut -d ' ' -f 2 /proc/self/mounts | while read -r place; do
    test "$place" = ${ROOM_FOLDER} || mount -o remount,bind,ro "$place" 2> /dev/null || true
  done
  mount -t proc -o ro proc /proc
  echo "$pid"
  exec cat > /dev/null
`

export interface RoomRunOptions {
  readonly timeoutMs?: number
}

export class Room {
  /** The writable folder as this process sees it. Mounts made in the room are seen only through `seen`. */
  readonly folder: string
  readonly #keeper: ChildProcess
  readonly #pid: number

  private constructor(folder: string, keeper: ChildProcess, pid: number) {
    this.folder = folder
    this.#keeper = keeper
    this.#pid = pid
  }

  /** Needs root. Removes what killed processes left. */
  static async open(): Promise<Room> {
    await sweep()
    const folder = await mkdtemp(path.join(tmpdir(), `${PREFIX}${process.pid}-`))
    const keeper = spawn(
      'unshare',
      ['-m', '-p', '--fork', '--kill-child', 'sh', '-c', KEEPER, 'sh', folder],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    const [line] = (await Promise.race([
      once(createInterface(keeper.stdout), 'line'),
      once(keeper, 'close').then(() => ['']),
    ])) as [string]
    if (!/^\d+$/.test(line)) throw new UsageError('no room for an unpacker: unshare and mount need root')
    const room = new Room(folder, keeper, Number(line))
    for (const name of ['home', 'tmp']) await mkdir(path.join(folder, name))
    return room
  }

  /** A path inside the room as this process can open it. */
  seen(inside: string): string {
    return `/proc/${this.#pid}/root${inside}`
  }

  /** Runs a program in the room to its end. A program that takes too long is killed; its code is then null. */
  async run(command: readonly [string, ...string[]], options: RoomRunOptions = {}): Promise<RunResult> {
    const child = this.#start(command, 'pipe')
    const kill = setTimeout(() => killGroup(child), options.timeoutMs ?? COMMAND_WITHIN_MS)
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
    const [code] = (await once(child, 'close')) as [number | null]
    clearTimeout(kill)
    return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
  }

  /** Starts a program that goes on until the room is closed. */
  start(command: readonly [string, ...string[]]): ChildProcess {
    return this.#start(command, 'ignore')
  }

  /** Removes a folder of the room, whatever names are in it. */
  async remove(inside: string): Promise<void> {
    await run('rm', ['-rf', '--', path.join(this.folder, path.relative(ROOM_FOLDER, inside))])
  }

  async close(): Promise<void> {
    const ended = once(this.#keeper, 'close')
    this.#keeper.stdin?.end()
    await ended
    await run('rm', ['-rf', '--', this.folder])
  }

  #start([program, ...args]: readonly [string, ...string[]], output: 'pipe' | 'ignore'): ChildProcess {
    return spawn('nsenter', ['-t', String(this.#pid), '-m', '-p', '--', program, ...args], {
      cwd: '/',
      env: {
        PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: `${ROOM_FOLDER}/home`,
        TMPDIR: `${ROOM_FOLDER}/tmp`,
        XDG_RUNTIME_DIR: `${ROOM_FOLDER}/tmp`,
        LC_ALL: 'C.UTF-8',
      },
      stdio: ['ignore', output, output],
      // A group of its own: a tool and its children are killed together.
      detached: true,
    })
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Folders of processes that are no more: their rooms ended with them. */
async function sweep(): Promise<void> {
  const left = readdirSync(tmpdir()).filter((name) => {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : Number.NaN
    return Number.isInteger(pid) && !isAlive(pid)
  })
  for (const name of left) await run('rm', ['-rf', '--one-file-system', '--', path.join(tmpdir(), name)])
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
