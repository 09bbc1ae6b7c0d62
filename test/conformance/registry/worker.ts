/**
 * Runs cases one after the other, in a network namespace that it is alone in, and tells the runner what became of each.
 * Started by runner.ts: the arguments are the folder with the authority and the tool.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { openAuthority } from './authority.ts'
import { CASES } from './cases.ts'
import { NameServer } from './name-server.ts'
import { furnishNetwork, NAME_SERVER, NAMES } from './network.ts'
import { runCase } from './run-case.ts'
import { toolNamed } from './tools/tools.ts'
import type { Result } from './verdict.ts'

/** From the runner: a case to run, or that there is none left. */
export type Order = { readonly id: string } | { readonly end: true }

/** To the runner; the first message asks for the first case. */
export interface Report {
  readonly result?: Result
}

const [shared = '', toolName = ''] = process.argv.slice(2)
const folder = await mkdtemp(path.join(shared, 'worker-'))
furnishNetwork(folder)
const names = new NameServer(NAMES)
await names.listen(NAME_SERVER)
const tool = await toolNamed(toolName)
const authority = openAuthority(shared)

process.on('message', (order: Order) => {
  if ('end' in order) void finish()
  else void work(order.id)
})
// Without the runner there is nobody to work for.
process.on('disconnect', end)
send({})

async function work(id: string): Promise<void> {
  const one = CASES.find((candidate) => candidate.id === id)
  if (one === undefined) throw new Error(`there is no case ${id}`)
  names.reset()
  send({ result: await runCase(one, tool, authority, folder) })
}

function end(): void {
  process.kill(process.pid, 'SIGTERM')
}

async function finish(): Promise<void> {
  process.off('disconnect', end)
  names.close()
  await rm(folder, { recursive: true, force: true })
  process.disconnect()
}

function send(report: Report): void {
  process.send?.(report)
}
