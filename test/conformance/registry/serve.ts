/**
 * Serves one case on 127.0.0.1, for a client that is started by hand, and prints what it asks until Ctrl-C:
 *
 *     npx node test/conformance/registry/serve.ts                                  lists the cases
 *     npx node test/conformance/registry/serve.ts --case ID [--port 5000] [--tls]
 *
 * The case's other hosts are other ports. Addresses that no client may be sent to stay as they are: play those cases with
 * care, or with run.ts, whose network leads nowhere.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { UsageError, withUsage } from '../usage-error.ts'
import { makeAuthority, openAuthority, type Authority } from './authority.ts'
import type { Case } from './case.ts'
import { CASES } from './cases.ts'
import { Stage, type StageOptions } from './stage.ts'

type Loopback = NonNullable<StageOptions['loopback']>

const USAGE =
  'npx node test/conformance/registry/serve.ts [--case ID [--port 5000] [--tls]]; without --case all are listed'
const LAST_PORT = 65_535

// Whoever reads only the first lines has what he wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

await withUsage(USAGE, main)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      case: { type: 'string' },
      port: { type: 'string', default: '0' },
      tls: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return say(USAGE)
  const loopback = { port: portOf(values.port), tls: values.tls }
  if (values.case === undefined) {
    for (const { id, ask, title } of CASES) say(`${id.padEnd(28)} ${ask.padEnd(10)} ${title}`)
    return
  }
  const one = CASES.find(({ id }) => id === values.case)
  if (one === undefined) throw new UsageError(`there is no case ${values.case}`)
  const folder = await mkdtemp(path.join(tmpdir(), 'registry-kit-'))
  try {
    await serve(one, folder, loopback)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** 0: any that is free. */
function portOf(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= LAST_PORT) return Number(text)
  throw new UsageError(`--port is a number up to ${LAST_PORT}, not ${text}`)
}

async function serve(one: Case, folder: string, loopback: Loopback): Promise<void> {
  makeAuthority(folder)
  const authority = openAuthority(folder)
  const stage = await startStage(authority, loopback)
  const right = await one.serve(stage)
  for (const [name, party] of Object.entries(stage.parties))
    party.on(/./, (request) => {
      const login =
        request.authorization === undefined ? '' : ` (${request.authorization.split(' ')[0] ?? ''})`
      say(`${name}: ${request.method} ${party.url}${request.path}${login}`)
      return false
    })
  say(`${one.id}: ${one.title}; ask to ${one.ask}: ${wanted(one)}`)
  say(`reference: ${one.reference?.(stage) ?? stage.reference(one.ask === 'tags' ? '' : ':1')}`)
  say(`right: ${JSON.stringify(right ?? { digests: [stage.genuineDigest] })}`)
  say(`configure: ${JSON.stringify(one.setup?.(stage) ?? {})}`)
  if (loopback.tls) say(`authority: ${authority.caFile}`)
  await once(process, 'SIGINT')
  const forbidden = one.forbidden?.(stage)
  if (forbidden !== undefined) say(`forbidden: ${forbidden}`)
  await stage.stop()
}

async function startStage(authority: Authority, loopback: Loopback): Promise<Stage> {
  try {
    return await Stage.start({ authority, loopback })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw new UsageError(`port ${loopback.port} is taken; name another one`)
    if (code === 'EACCES') throw new UsageError(`port ${loopback.port} is for root; name a higher one`)
    throw error
  }
}

function wanted({ expected }: Case): string {
  if (expected === 'either') return 'the right answer or a refusal passes'
  return expected === 'right' ? 'only the right answer passes' : 'only a refusal passes'
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
