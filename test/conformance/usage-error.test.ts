import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import { expect, test } from 'vitest'

function called(kit: string, args: readonly string[]) {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [path.join(import.meta.dirname, kit), ...args],
    { encoding: 'utf8' },
  )
  return { status, stdout, lines: stderr.trimEnd().split('\n') }
}

test.each([
  ['registry/run.ts', ['--nope'], "Unknown option '--nope'"],
  ['registry/run.ts', ['--tool', 'nope'], /^nope is no tool; must be fairlead, /],
  ['registry/run.ts', ['--case', 'M6', '--case', 'nope'], 'there is no case, rule or group nope'],
  ['registry/run.ts', ['-o', 'yaml'], '-o is table or json, not yaml'],
  ['registry/serve.ts', ['--nope'], "Unknown option '--nope'"],
  ['registry/serve.ts', ['nope'], /^Unexpected argument 'nope'/],
  ['registry/serve.ts', ['--port', '--tls'], "Option '--port' argument is ambiguous."],
  ['registry/serve.ts', ['--case', 'nope'], 'there is no case nope'],
  ['registry/serve.ts', ['--case', 'M6-body', '--port', '5e3'], /^--port is a number up to 65535, not 5e3$/],
  ['registry/serve.ts', ['--port', '65536'], /^--port is a number up to 65535, not 65536$/],
  ['layers/run.ts', ['--nope'], "Unknown option '--nope'"],
  ['layers/run.ts', ['-o', 'yaml'], '-o is table or json, not yaml'],
] as const)('%s %j is told in a sentence, with the usage', (kit, args, sentence) => {
  const { status, stdout, lines } = called(kit, args)
  expect(lines[0]).toMatch(sentence)
  expect(lines[1]).toMatch(`usage: npx node test/conformance/${kit} [`)
  expect(lines.join('\n')).not.toMatch(/^ {4}at /m)
  expect([status, stdout]).toEqual([2, ''])
})

test('a port that is taken is told in a sentence', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  const { status, lines } = called('registry/serve.ts', ['--case', 'M6-body', '--port', String(port)])
  expect([status, lines[0]]).toEqual([2, `port ${port} is taken; name another one`])
  server.close()
})
