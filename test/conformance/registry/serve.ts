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
import { makeAuthority, openAuthority } from './authority.ts'
import type { Case } from './case.ts'
import { CASES } from './cases.ts'
import { Stage } from './stage.ts'

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    port: { type: 'string', default: '0' },
    tls: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

// Whoever reads only the first lines has what he wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

const one = CASES.find(({ id }) => id === values.case)
if (values.help)
  say(
    'npx node test/conformance/registry/serve.ts [--case ID [--port 5000] [--tls]]; without --case all are listed',
  )
else if (one !== undefined) await serve(one)
else if (values.case === undefined)
  for (const { id, ask, title } of CASES) say(`${id.padEnd(28)} ${ask.padEnd(10)} ${title}`)
else {
  say(`there is no case ${values.case}; without --case all are listed`)
  process.exitCode = 2
}

async function serve(one: Case): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'registry-kit-'))
  makeAuthority(folder)
  const authority = openAuthority(folder)
  const stage = await Stage.start({ authority, loopback: { port: Number(values.port), tls: values.tls } })
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
  if (values.tls) say(`authority: ${authority.caFile}`)
  await once(process, 'SIGINT')
  const forbidden = one.forbidden?.(stage)
  if (forbidden !== undefined) say(`forbidden: ${forbidden}`)
  await stage.stop()
  await rm(folder, { recursive: true, force: true })
}

function wanted({ expected }: Case): string {
  if (expected === 'either') return 'the right answer or a refusal passes'
  return expected === 'right' ? 'only the right answer passes' : 'only a refusal passes'
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
