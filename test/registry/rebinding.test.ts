/** Names that change their address between two look-ups, and hosts that send us where they must not. */
import { describe, expect, test } from 'vitest'
import { guardedLookup } from '../../src/registry/dial.ts'
import type { Effects } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { respond } from '../support/hostile-registry.ts'
import { image, mirror, newSession, registry, serve, signal, sourceOf } from './world.ts'

const PUBLIC = '192.0.9.9'

/** Answers for each name, one after the other; the last one stays. */
function names(answers: Readonly<Record<string, readonly (readonly string[])[]>>) {
  const asked: string[] = []
  const lookup: Effects['lookup'] = (hostname, _options, callback) => {
    const list = answers[hostname] ?? []
    const turn = asked.filter((name) => name === hostname).length
    asked.push(hostname)
    const addresses = list[Math.min(turn, list.length - 1)] ?? []
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return { asked, lookup }
}

describe('DNS rebinding', () => {
  const port = () => registry.host.split(':')[1] ?? ''
  const sourceAt = (host: string, lookup: Effects['lookup']) =>
    sourceOf(`${host}:${port()}/team/app:1`, {
      session: newSession({ effects: { lookup }, timeouts: { connectMs: 200, overallMs: 2000 } }),
      registries: { [`${host}:${port()}`]: { plainHttp: true } },
    })

  test('gains nothing by a name: it is checked when it is dialled', async () => {
    serve(registry, image, '1')
    serve(mirror, image, '1')
    const { lookup, asked } = names({
      'registry.example': [['127.0.0.1']],
      'evil.example': [['169.254.169.254', 'fe80::1']],
    })
    registry.on(/^HEAD/, respond(307, { location: `http://evil.example:${mirror.host.split(':')[1]}/x` }))
    const found = await failureOf(() => sourceAt('registry.example', lookup).head(signal))
    expect(found).toContain('RegistryInvalid: registry.example')
    expect(found).toContain('must not send us to')
    expect(asked).toContain('evil.example')
    expect(mirror.requests).toEqual([])
  })

  test('gains nothing by a public address beside a private one: only the public one is dialled', async () => {
    // Nobody answers at the public one; the private one would answer at once.
    const { lookup } = names({ 'registry.example': [[PUBLIC, '127.0.0.1']] })
    const guarded = guardedLookup(lookup, { by: 'host', host: 'registry.example', network: 'public' })
    const addresses = await new Promise((resolve) => {
      guarded('registry.example', { all: true }, (_error, found) => resolve(found))
    })
    expect(addresses).toEqual([{ address: PUBLIC, family: 4 }])
  })

  test('gains nothing by a second answer: each connection is judged by the addresses that it dials', async () => {
    const { lookup } = names({ 'cdn.example': [[PUBLIC], ['127.0.0.1']] })
    const guarded = guardedLookup(lookup, { by: 'host', host: 'registry.example', network: 'public' })
    const ask = () =>
      new Promise<string>((resolve) => {
        guarded('cdn.example', {}, (error, found) =>
          resolve(error === null ? JSON.stringify(found) : error.message),
        )
      })
    expect(await ask()).toBe(JSON.stringify(PUBLIC))
    expect(await ask()).toContain('must not send us to')
  })
})
