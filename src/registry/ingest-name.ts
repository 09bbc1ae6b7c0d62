/**
 * Names of half-written files that tell whether their writer still lives: process id and the time it started, so that a
 * process id that was given away again is not taken for the writer, and the boot, so that neither counts after a restart.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'

const NAME = /^(?:sha\d{3}-[0-9a-f]+\.)?([0-9a-f-]+)\.(\d+)\.(\d+)\.[0-9a-f]+$/

/** A new name for this process; `prefix` says what it is going to be. */
export async function ingestName(prefix?: string): Promise<string> {
  const [boot, started] = await Promise.all([bootId(), startTime(process.pid)])
  return nameOf(prefix, boot, process.pid, started ?? 0)
}

/** A new name of nobody: no process has the id 0. */
export async function abandonedName(prefix: string): Promise<string> {
  return nameOf(prefix, await bootId(), 0, 0)
}

function nameOf(prefix: string | undefined, boot: string, pid: number, started: number): string {
  const own = `${boot}.${pid}.${started}.${randomBytes(8).toString('hex')}`
  return prefix === undefined ? own : `${prefix}.${own}`
}

/** False for names of other making: nobody can be writing them. */
export async function isWriterAlive(name: string): Promise<boolean> {
  const match = NAME.exec(name)
  if (match === null) return false
  const [, boot, pid, started] = match
  if (boot !== (await bootId())) return false
  return (await startTime(Number(pid))) === Number(started)
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/**
 * Field 22 of /proc/PID/stat; counted after the command's closing bracket, since the command may hold spaces. undefined
 * for what has ended, though its parent may not have noticed yet (state Z).
 */
async function startTime(pid: number): Promise<number | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19])
  } catch {
    return undefined
  }
}
