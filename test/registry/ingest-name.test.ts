/** Whose half-written files may be taken over: those of writers that have ended, noticed by their parents or not. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { ingestName, isWriterAlive } from '../../src/registry/ingest-name.ts'

/** State and start time of a process. */
function statOf(pid: number): readonly [state: string | undefined, started: string | undefined] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return [fields[0], fields[19]]
}

test('a writer that lives is alive, and a later process with its number is not it', async () => {
  const name = await ingestName('sha256-00')
  expect(await isWriterAlive(name)).toBe(true)
  expect(await isWriterAlive(name.replace(/\.(\d+)\.([0-9a-f]+)$/, '.1$1.$2'))).toBe(false)
})

test('a writer that has ended is not alive, though its parent has not noticed', async () => {
  // Perl waits for no child unless it is told to.
  const script = '$| = 1; my $child = fork // die; exit 0 unless $child; print "$child\\n"; sleep 1000'
  const parent = spawn('perl', ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const child = Number(String(line))
  while (statOf(child)[0] !== 'Z') await nextTurn()
  const [, started] = statOf(child)
  const name = (await ingestName()).replace(/\.\d+\.\d+\./, `.${child}.${started ?? ''}.`)
  expect(await isWriterAlive(name)).toBe(false)
})
