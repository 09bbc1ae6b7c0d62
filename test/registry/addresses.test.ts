import { describe, expect, test } from 'vitest'
import { isLoopbackHost, mayReach, networkOf } from '../../src/registry/addresses.ts'
import { checkLiteral, guardedLookup } from '../../src/registry/dial.ts'
import type { Sender } from '../../src/registry/dial.ts'
import { failureOf } from '../support/expected-error.ts'

describe('networks', () => {
  test.each([
    ['8.8.8.8', 'public'],
    ['172.15.255.255', 'public'],
    ['172.32.0.0', 'public'],
    ['2606:4700::1', 'public'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd12::1', 'private'],
    ['127.0.0.1', 'loopback'],
    ['127.255.0.9', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['0.0.0.0', 'forbidden'],
    ['0.1.2.3', 'forbidden'],
    ['::', 'forbidden'],
    ['169.254.169.254', 'forbidden'],
    ['fe80::1', 'forbidden'],
    ['fe80::1%eth0', 'forbidden'],
    ['fd00:ec2::254', 'forbidden'],
    ['100.100.100.200', 'forbidden'],
    ['224.0.0.1', 'forbidden'],
    ['255.255.255.255', 'forbidden'],
    ['ff02::1', 'forbidden'],
    // IPv4 in IPv6's clothes
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::ffff:169.254.169.254', 'forbidden'],
    ['::ffff:8.8.8.8', 'public'],
    ['64:ff9b::a9fe:a9fe', 'forbidden'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:a9fe:a9fe::1', 'forbidden'],
    ['::7f00:1', 'loopback'],
    ['::169.254.169.254', 'forbidden'],
    ['::ffff:0:127.0.0.1', 'loopback'],
    ['64:ff9b:1::a00:1', 'forbidden'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'forbidden'],
    ['168.63.129.16', 'forbidden'],
    ['fd20:ce::254', 'forbidden'],
    ['localhost', 'forbidden'],
    ['', 'forbidden'],
  ])('%s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  test.each([
    ['public', 'public', true],
    ['public', 'private', false],
    ['public', 'loopback', false],
    ['private', 'public', true],
    ['private', 'private', true],
    ['private', 'loopback', false],
    ['loopback', 'loopback', true],
    ['loopback', 'private', true],
    ['loopback', 'forbidden', false],
    ['forbidden', 'public', false],
  ] as const)('a %s host may send us to a %s one: %s', (from, to, expected) => {
    expect(mayReach(from, to)).toBe(expected)
  })

  test.each([
    ['localhost', true],
    ['x.localhost', true],
    ['127.0.0.1', true],
    ['[::1]', true],
    ['localhost.example.com', false],
    ['10.0.0.1', false],
    ['xlocalhost', false],
  ])('%s is this machine: %s', (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected)
  })
})

describe('the guard at dial time', () => {
  const user: Sender = { by: 'user' }
  const fromPublic: Sender = { by: 'host', host: 'registry.example', network: 'public' }
  const fromPrivate: Sender = { by: 'host', host: 'registry.example', network: 'private' }

  test.each<[Sender, string, boolean]>([
    [user, '127.0.0.1', true],
    [user, '10.0.0.1', true],
    [user, '169.254.169.254', false],
    [user, '[fe80::1]', false],
    [user, 'metadata.example', true],
    [fromPublic, '127.0.0.1', false],
    [fromPublic, '[::1]', false],
    [fromPublic, '[::ffff:10.0.0.1]', false],
    [fromPublic, '8.8.8.8', true],
    [fromPrivate, '10.9.9.9', true],
    [fromPrivate, '127.0.0.1', false],
  ])('%j may be sent to the literal %s: %s', async (sender, host, expected) => {
    const refused = await failureOf(() => checkLiteral(host, sender)).then(
      (failure) => failure.startsWith('RegistryInvalid: '),
      () => false,
    )
    expect(refused).toBe(!expected)
  })

  // As Node's URL reads them: every spelling is the same address.
  test.each([
    ['2852039166', false],
    ['0xa9fea9fe', false],
    ['0251.0376.0251.0376', false],
    ['169.254.43518', false],
    ['0x7f.1', false],
    ['0', false],
    ['[::ffff:a9fe:a9fe]', false],
    ['134744072', true],
  ])('http://%s/ is refused from outside, unless it is public: %s', async (host, isPublic) => {
    const { hostname } = new URL(`http://${host}/`)
    const outcome = await failureOf(() => checkLiteral(hostname, fromPublic)).catch(() => 'allowed')
    expect(outcome === 'allowed').toBe(isPublic)
  })

  const lookup = (sender: Sender, answers: readonly string[], all: boolean) =>
    new Promise<unknown>((resolve, reject) => {
      const guarded = guardedLookup((_host, _options, callback) => {
        callback(
          null,
          answers.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        )
      }, sender)
      guarded('registry.example', { all }, (error, address) =>
        error === null ? resolve(address) : reject(error),
      )
    })

  test('dials only the addresses that are allowed', async () => {
    const answers = ['127.0.0.1', '8.8.8.8', '169.254.169.254', '2606:4700::1']
    expect(await lookup(fromPublic, answers, true)).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ])
    expect(await lookup(fromPublic, answers, false)).toBe('8.8.8.8')
  })

  test('fails when a name leads nowhere else', async () => {
    expect(await failureOf(() => lookup(fromPublic, ['127.0.0.1', '10.0.0.1'], true))).toContain(
      'RegistryInvalid: registry.example (public network) sends us to registry.example',
    )
    expect(await failureOf(() => lookup(user, ['169.254.169.254'], true))).toContain('RegistryInvalid: ')
  })
})
