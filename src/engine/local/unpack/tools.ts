/** Host programs for what node:fs can't do: extended attributes, FIFOs, exact times. One run for a whole image. */
import { spawn } from 'node:child_process'
import { ExpectedError, printable } from '../../../errors.ts'

export interface Tool {
  readonly command: readonly [string, ...string[]]
  /** Debian package that has it. */
  readonly debianPackage: string
  readonly cwd: string
  readonly input: Buffer
}

const MAX_STDERR = 2000

/** Feeds `input` to the program; RuntimeMissing when it is not installed, RuntimeFailed when it fails. */
export function runTool({ command, debianPackage, cwd, input }: Tool): Promise<void> {
  const [program, ...args] = command
  return new Promise((resolve, reject) => {
    // A fixed locale: messages are read by `failure`, and names are bytes.
    const child = spawn(program, args, {
      cwd,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < MAX_STDERR) stderr += chunk.toString('utf8')
    })
    // The program ended early; its exit code tells why.
    child.stdin.on('error', () => undefined)
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? missing(program, debianPackage) : error)
    })
    child.on('close', (code) => {
      if (code === 0) resolve()
      else reject(toolFailure(program, stderr))
    })
    child.stdin.end(input)
  })
}

function missing(program: string, debianPackage: string): ExpectedError {
  return new ExpectedError(
    'RuntimeMissing',
    `${program} is not installed and this image needs it; on Debian: apt-get install ${debianPackage}`,
  )
}

/** In what words a program that failed is told: DiskFull or RuntimeFailed. */
export function toolFailure(program: string, stderr: string): ExpectedError {
  const last = printable(stderr.trim().split('\n').at(-1) ?? '')
  if (/No space left|quota exceeded/i.test(stderr)) {
    // ENOSPC of setxattr(2) is also what ext4 says of attributes that do not fit into a file's one block for them.
    const message =
      program === 'setfattr'
        ? `no space left for the image's tree, or a file has more or larger extended attributes than the file system takes: ext4 has one block, usually 4 KiB, for all of a file's (${program}: ${last})`
        : `no space left for the image's tree (${program}: ${last}); free some and try again`
    return new ExpectedError('DiskFull', message, { retry: 'backoff' })
  }
  return new ExpectedError('RuntimeFailed', `${program} could not finish the image's tree: ${last}`)
}
