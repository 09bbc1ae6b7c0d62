import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseReference } from '../../src/image/reference.ts'
import { ANONYMOUS } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import type { Effects, RegistryConfig } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { respond, startHostileRegistry } from '../support/hostile-registry.ts'
import type { HostileRegistry } from '../support/hostile-registry.ts'
import { jsonBytes, buildImage } from '../support/layout.ts'
import { isMissing } from '../support/programs.ts'
import { makeCertificate } from '../support/tls.ts'

const signal = new AbortController().signal
const image = buildImage({ layers: [], platform: { os: 'linux', architecture: 'amd64' } })
/** Every name leads to this machine. */
const lookup: Effects['lookup'] = (_host, _options, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }])

async function headOf(host: string, config: RegistryConfig, effects: Partial<Effects> = {}): Promise<string> {
  const session = new RegistrySession({ effects: { env: {}, random: () => 0, ...effects } })
  const source = openSource(parseReference(`${host}/app:1`), {
    baseDir: '/',
    registries: { [host]: config },
    keychain: ANONYMOUS,
    session,
  })
  try {
    return (await source.head(signal)).digest
  } finally {
    await source.close()
    session.close()
  }
}

describe.skipIf(isMissing('openssl'))('encryption', () => {
  let tls: Awaited<ReturnType<typeof makeCertificate>>
  let registry: HostileRegistry
  beforeAll(async () => {
    tls = await makeCertificate()
    registry = await startHostileRegistry(tls)
    registry.manifest('app', { mediaType: image.manifest.mediaType, bytes: jsonBytes(image.manifest) }, '1')
  })
  afterAll(async () => {
    await registry.stop()
    await rm(tls.folder, { recursive: true, force: true })
  })

  test('an unknown authority is refused at the first try, and the message says what to do', async () => {
    const failure = await failureOf(() => headOf(registry.host, { plainHttp: false }))
    expect(failure).toContain(`RegistryUnavailable: the certificate of ${registry.host} is not trusted`)
    expect(failure).toContain('name its authority as caFile')
    expect(registry.requests).toEqual([])
  })

  test('T2 a configured authority is trusted in addition', async () => {
    expect(await headOf(registry.host, { caFile: tls.caFile })).toBe(image.digest)
  })

  test('a certificate for another name is refused, even of a trusted authority', async () => {
    const host = `other.example:${registry.host.split(':')[1]}`
    expect(await failureOf(() => headOf(host, { caFile: tls.caFile }, { lookup }))).toContain(
      'is not trusted',
    )
    const named = `registry.example:${registry.host.split(':')[1]}`
    expect(await headOf(named, { caFile: tls.caFile }, { lookup })).toBe(image.digest)
  })

  test('T2 checking can be switched off by word', async () => {
    expect(await headOf(registry.host, { insecureSkipVerify: true })).toBe(image.digest)
  })

  test.each([
    ['is missing', undefined, 'caFile cannot be read'],
    ['holds no certificate', 'hello', 'has no PEM certificate'],
  ])('an authority that %s is told', async (_name, content, problem) => {
    const caFile = join(tls.folder, 'other.pem')
    await rm(caFile, { force: true })
    if (content !== undefined) await writeFile(caFile, content)
    const failure = await failureOf(() => headOf(registry.host, { caFile }))
    expect(failure).toContain('InvalidSpec: caFile')
    expect(failure).toContain(problem)
  })

  test('T4 a redirect to plain http is refused', async () => {
    const plain = await startHostileRegistry()
    registry.times(1, /^HEAD/, respond(302, { location: `${plain.url}/v2/app/manifests/1` }))
    expect(await failureOf(() => headOf(registry.host, { caFile: tls.caFile }))).toContain(
      'redirects from https to http:',
    )
    expect(plain.requests).toEqual([])
    await plain.stop()
  })

  test('a token server without encryption is refused', async () => {
    registry.times(
      1,
      /^HEAD/,
      respond(401, { 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/token"' }),
    )
    expect(await failureOf(() => headOf(registry.host, { caFile: tls.caFile }))).toContain(
      'which is not https',
    )
  })

  describe('a registry that wants a certificate', () => {
    let closed: HostileRegistry
    const own = () => ({ clientCertFile: tls.caFile, clientKeyFile: join(tls.folder, 'key.pem') })
    beforeEach(async () => {
      closed = await startHostileRegistry({
        ...tls,
        ca: tls.cert,
        requestCert: true,
        rejectUnauthorized: true,
      })
      closed.manifest('app', { mediaType: image.manifest.mediaType, bytes: jsonBytes(image.manifest) }, '1')
    })
    afterEach(() => closed.stop())

    test('T2 sees the one that is configured for it', async () => {
      expect(await headOf(closed.host, { caFile: tls.caFile, ...own() })).toBe(image.digest)
      expect(await failureOf(() => headOf(closed.host, { caFile: tls.caFile }))).toMatch(
        /^RegistryUnavailable: /,
      )
    })

    test('T2 does not see it when another registry sends us there', async () => {
      registry.times(1, /^HEAD/, respond(302, { location: `${closed.url}/v2/app/manifests/1` }))
      const failure = await failureOf(() => headOf(registry.host, { caFile: tls.caFile, ...own() }))
      expect(failure).toMatch(/^RegistryUnavailable: /)
      expect(closed.requests).toEqual([])
    })

    test.each([
      ['a key that is missing', { clientKeyFile: '/nowhere/key.pem' }, 'clientKeyFile cannot be read'],
      ['a certificate for a key', { clientKeyFile: 'CERT' }, 'has no PEM private key'],
      ['a key for a certificate', { clientCertFile: 'KEY' }, 'has no PEM certificate'],
    ])('T2 is told of %s', async (_name, files, problem) => {
      const real = Object.fromEntries(
        Object.entries(files).map(([name, file]) => [
          name,
          file === 'CERT' ? tls.caFile : file === 'KEY' ? own().clientKeyFile : file,
        ]),
      )
      const failure = await failureOf(() => headOf(closed.host, { caFile: tls.caFile, ...own(), ...real }))
      expect(failure).toMatch(/^InvalidSpec: /)
      expect(failure).toContain(problem)
    })
  })

  describe('through a proxy', () => {
    let proxy: Server
    let asked: { target: string | undefined; headers: IncomingHttpHeaders }[]
    let refuse: string | undefined
    beforeEach(async () => {
      asked = []
      refuse = undefined
      proxy = createServer()
      proxy.on('connect', (request, socket) => {
        asked.push({ target: request.url, headers: request.headers })
        if (refuse !== undefined) return socket.end(`HTTP/1.1 ${refuse}\r\n\r\n`)
        const upstream = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n')
          upstream.pipe(socket).pipe(upstream)
        })
        socket.on('error', () => upstream.destroy())
        return upstream.on('error', () => socket.destroy())
      })
      await new Promise<void>((resolve) => {
        proxy.listen(0, '127.0.0.1', resolve)
      })
    })
    afterEach(() => proxy.close())
    const env = () => ({
      HTTPS_PROXY: `http://user:p%40ss@127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    })
    const host = () => `registry.example:${registry.host.split(':')[1]}`

    test('T3 the tunnel is for the name, and encryption goes end to end', async () => {
      const never: Effects['lookup'] = () => expect.unreachable('the proxy looks names up')
      expect(await headOf(host(), { caFile: tls.caFile }, { env: env(), lookup: never })).toBe(image.digest)
      expect(asked.map(({ target }) => target)).toEqual([host()])
      expect(asked[0]?.headers['proxy-authorization']).toBe(
        `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
      )
    })

    test('certificates are checked all the same', async () => {
      const other = `other.example:${registry.host.split(':')[1]}`
      expect(await failureOf(() => headOf(other, { caFile: tls.caFile }, { env: env() }))).toContain(
        'is not trusted',
      )
    })

    test('a refusal of the proxy is told with its status, without the password', async () => {
      refuse = '407 Proxy Authentication Required'
      const failure = await failureOf(() => headOf(host(), { caFile: tls.caFile }, { env: env() }))
      expect(failure).toContain(
        `RegistryUnavailable: proxy 127.0.0.1:${(proxy.address() as AddressInfo).port} answered 407`,
      )
      expect(failure).not.toContain('p%40ss')
    })

    test.each(['127.0.0.1', 'localhost'])(
      'a registry behind it cannot send us to this machine (%s), not even over an open connection',
      async (name) => {
        const own = `${name}:${registry.host.split(':')[1]}`
        const session = new RegistrySession({ effects: { env: env(), random: () => 0, lookup } })
        const registries = { [own]: { caFile: tls.caFile }, [host()]: { caFile: tls.caFile } }
        const head = async (from: string) => {
          const source = openSource(parseReference(`${from}/app:1`), {
            baseDir: '/',
            registries,
            keychain: ANONYMOUS,
            session,
          })
          return (await source.head(signal)).digest
        }
        // The user may name this machine, and the connection stays open.
        expect(await head(own)).toBe(image.digest)
        registry.times(1, /^HEAD/, respond(302, { location: `https://${own}/v2/app/manifests/1` }))
        expect(await failureOf(() => head(host()))).toContain('(public network) sends us to')
        session.close()
      },
    )

    test('a host that is exempt is reached directly', async () => {
      const exempt = { ...env(), NO_PROXY: '.example' }
      expect(await headOf(host(), { caFile: tls.caFile }, { env: exempt, lookup })).toBe(image.digest)
      expect(asked).toEqual([])
    })
  })
})
