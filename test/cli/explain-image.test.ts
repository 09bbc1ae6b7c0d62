import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { explainImagePage } from '../../src/cli/explain-image-page.ts'
import { respond, startHostileRegistry, type HostileRegistry } from '../support/hostile-registry.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, hostPlatform } from '../support/layout.ts'
import { Desk } from './run.ts'

const image = buildImage({ layers: [layer([file('a', 'x')])], platform: hostPlatform() })

let desk: Desk
let registry: HostileRegistry
beforeEach(async () => {
  desk = new Desk()
  registry = await startHostileRegistry()
  for (const [digest, bytes] of image.blobs) {
    if (digest === image.digest)
      registry.manifest('team/app', { mediaType: image.manifest.mediaType, bytes }, '1.2')
    else registry.blob('team/app', bytes)
  }
})
afterEach(async () => {
  desk[Symbol.dispose]()
  await registry.stop()
})

interface Answer {
  readonly images: readonly {
    readonly app?: string
    readonly steps: readonly Readonly<Record<string, unknown>>[]
    readonly registries: readonly Readonly<Record<string, unknown>>[]
    readonly result: Readonly<Record<string, unknown>>
  }[]
}

async function explained(...args: readonly string[]): Promise<Answer['images'][number]> {
  const { stdout } = await desk.run(['explain', ...args, '-o', 'json'])
  const [first] = (JSON.parse(stdout) as Answer).images
  if (first === undefined) throw new Error('no image was explained')
  return first
}

/** An app with a pull secret that holds these logins. */
function appFile(logins: readonly string[], tag = '1.2'): string {
  const auths = Object.fromEntries(
    logins.map((pair, index) => {
      const [username, password] = pair.split(':')
      return [`${registry.host}${index === 0 ? '' : '/team'}`, { username, password }]
    }),
  )
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'login' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
  }
  const app = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { name: 'web' },
    spec: { image: `${registry.host}/team/app:${tag}`, pullSecrets: [{ name: 'login' }] },
  }
  mkdirSync(join(desk.dir, 'files'), { recursive: true })
  const path = join(desk.dir, 'files', 'app.yaml')
  writeFileSync(path, [secret, app].map((document) => JSON.stringify(document)).join('\n---\n'))
  return path
}

describe('explain', () => {
  test('tells every step to a digest, with the names of credentials and without their secrets', async () => {
    registry.demandToken({ users: { good: 'hunter2' } })
    const path = appFile(['good:hunter2', 'bad:hunter3'])
    const { code, stdout } = await desk.run(['explain', '-f', path])
    expect(code).toBe(0)
    const lines = stdout.replaceAll(registry.host, 'HOST').split('\n')
    expect(lines).toContain('App      default/web')
    expect(lines).toContain('Registry HOST')
    expect(lines).toContain('  wants a token of http://HOST/token')
    expect(stdout).toMatch(/is 127\.0\.0\.1 \(loopback network\), not encrypted/)
    expect(stdout).toMatch(
      /credentials, in this order, once it asks for some: .*\/team of pull secret login, then .* of pull secret login; where it gives tokens, at last one for nobody\n/s,
    )
    expect(lines).toContain(`Digest   ${image.digest}`)
    expect(stdout).not.toMatch(/hunter|Basic [A-Za-z0-9]|Bearer [A-Za-z0-9]/)
  })

  test('as JSON has the steps in order', async () => {
    const { steps, result } = await explained(`${registry.host}/team/app:1.2`)
    expect(steps.map(({ kind }) => kind).slice(0, 5)).toEqual([
      'host',
      'credentials',
      'request',
      'connection',
      'answer',
    ])
    expect(result).toMatchObject({ digest: image.digest, source: { host: registry.host } })
  })

  test('tells where it ended, and exits with 1', async () => {
    registry.on(/./, respond(403))
    const { code, stdout } = await desk.run(['explain', `${registry.host}/team/app:1.2`])
    expect(code).toBe(1)
    expect(stdout).toContain('answered 403')
    expect(stdout.match(/RegistryUnauthorized: /g)).toHaveLength(1)
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^RegistryUnauthorized: /)
  })

  test('tells the question for the tags that look like it, and the failure once', async () => {
    registry.on(/tags\/list/, respond(200, {}, JSON.stringify({ name: 'team/app', tags: ['1.2'] })))
    const { stdout } = await desk.run(['explain', `${registry.host}/team/app:1.3`])
    expect(stdout).toMatch(/GET http:\S+\/team\/app\/tags\/list without credentials\n {2}answered 200\n/)
    expect(stdout.match(/ImageNotFound: /g)).toHaveLength(1)
    expect(stdout).toMatch(/\nImageNotFound: .*; tags that look like it: 1\.2\n$/)
  })

  test('wraps the reason on a terminal', async () => {
    const { stdout } = await desk.run(['explain', `${registry.host}/team/app:1.3`], {
      outputIsTerminal: true,
      env: { NO_COLOR: '1' },
    })
    expect(stdout).toMatch(/\nImageNotFound: [^\n]+\n {2}\S/)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('tells what became of the last request of a host that is gone', () => {
    const steps = [
      { kind: 'wait', host: 'h', ms: 25, why: 'to try again, because nobody answers' },
      { kind: 'request', method: 'HEAD', url: 'http://h/v2/', login: 'none' },
      { kind: 'connection', host: 'h', network: 'public', address: '192.0.2.1' },
      { kind: 'failure', host: 'h', reason: 'RegistryUnavailable', message: 'nobody answers' },
    ] as const
    const result = { reason: 'RegistryUnavailable', message: 'nobody answers' } as const
    const page = explainImagePage(
      [{ reference: 'h/a:1', canonical: 'h/a:1', steps, registries: [], result }],
      Number.POSITIVE_INFINITY,
      (_style, text) => text,
    )
    expect(page).toContain('  waits 25 ms to try again, because nobody answers\n')
    expect(page).toContain('not encrypted\n  RegistryUnavailable: nobody answers\n')
    expect(page.endsWith('\n\nRegistryUnavailable: nobody answers\n')).toBe(true)
  })

  test('tells quotas and warnings, and nothing of what a URL hides in its query', async () => {
    registry.on(/ \/v2\//, (_request, response) => {
      response.setHeader('ratelimit-limit', '100;w=21600')
      response.setHeader('ratelimit-remaining', '7;w=21600')
      response.setHeader('warning', '299 - "moves soon"')
      return false
    })
    registry.on(/blobs/, respond(307, { location: `${registry.url}/store?signature=hunter2` }))
    const { steps, registries, result } = await explained(`${registry.host}/team/app:1.2`)
    expect(steps).toContainEqual(expect.objectContaining({ kind: 'quota', remaining: 7, limit: 100 }))
    expect(steps).toContainEqual(expect.objectContaining({ kind: 'redirect', to: `${registry.url}/store` }))
    expect(registries).toMatchObject([{ origin: registry.url, remaining: 7, limit: 100 }])
    expect(JSON.stringify([steps, registries, result])).not.toContain('hunter')
  })

  test.each<[string, (secret: string) => string, string]>([
    ['is missing', () => '', 'there is no Secret login in namespace default; apply it beside the app'],
    [
      'has another type',
      (secret) => secret.replace('kubernetes.io/dockerconfigjson', 'Opaque'),
      'pull secret login has type Opaque; must be kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg',
    ],
    [
      'is no JSON',
      (secret) => secret.replace(/"stringData".*/, '"stringData":{".dockerconfigjson":"{hunter2"}}'),
      'pull secret login is not valid JSON',
    ],
  ])(
    'tells a pull secret that %s, and goes on without it and with other apps',
    async (_how, change, found) => {
      const path = appFile(['good:hunter2'])
      const [secret = '', app = ''] = readFileSync(path, 'utf8').split('\n---\n')
      const other = { ...(JSON.parse(app) as object), metadata: { name: 'other' } }
      const open = { ...other, spec: { image: `${registry.host}/team/app:1.2` } }
      writeFileSync(path, [change(secret), app, JSON.stringify(open)].join('\n---\n'))
      const { code, stdout } = await desk.run(['explain', '-f', path])
      expect(code).toBe(1)
      const [first = '', second = ''] = stdout.split('App      default/other')
      expect(first).toMatch(`\n  PullSecretInvalid: ${found}; a controller stops here, and what follows`)
      expect(first).toContain('no credentials are known')
      expect(first).toContain('answered 200')
      expect(first).toMatch(`\nPullSecretInvalid: ${found}; without it the image is found, ${image.digest}\n`)
      expect(second).toContain(`Digest   ${image.digest}`)
      expect(stdout).not.toContain('hunter')
    },
  )

  test('tells a missing pull secret as the reason, also where the image is not found without it', async () => {
    registry.demandToken({ users: { good: 'hunter2' } })
    const path = appFile([])
    const [, app = ''] = readFileSync(path, 'utf8').split('\n---\n')
    writeFileSync(path, app)
    const { steps, result } = await explained('-f', path)
    expect(steps.map(({ kind }) => kind).slice(0, 3)).toEqual(['pull-secret', 'host', 'credentials'])
    expect(result).toMatchObject({ reason: 'PullSecretInvalid' })
    expect(result['message']).toMatch(/; without it the image is not found either, RegistryUnauthorized: /)
  })

  test.each([[[]], [['x', '-f', 'y']]])('with %j is a slip', async (args) => {
    const { code, stderr } = await desk.run(['explain', ...args])
    expect(code).toBe(2)
    expect(stderr).toContain('name either an image or files with -f')
  })
})

describe('inspect of a repository', () => {
  const tagged = (...tags: readonly string[]) =>
    registry.on(/tags\/list/, respond(200, {}, JSON.stringify({ name: 'team/app', tags })))

  test('lists tags as people count', async () => {
    tagged('1.10', '1.9', 'latest', `sha256-${'a'.repeat(64)}.sig`)
    const { stdout } = await desk.run(['inspect', `${registry.host}/team/app`, '--tags'])
    expect(stdout).toBe('1.9\n1.10\nlatest\n')
    const json = await desk.run(['inspect', `${registry.host}/team/app`, '--tags', '-o', 'json'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      repository: `${registry.host}/team/app`,
      tags: ['1.9', '1.10', 'latest'],
      skipped: 1,
      truncated: false,
    })
  })

  test('lists what refers to the image', async () => {
    const referrer = {
      mediaType: image.manifest.mediaType,
      digest: `sha256:${'b'.repeat(64)}`,
      size: 7,
      artifactType: 'application/x.sbom',
    }
    const index = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [referrer, { ...referrer, artifactType: 'application/x.other' }],
    }
    registry.on(/referrers/, respond(200, { 'content-type': index.mediaType }, JSON.stringify(index)))
    const name = `${registry.host}/team/app:1.2`
    const { stdout } = await desk.run([
      'inspect',
      name,
      '--referrers',
      '--artifact-type',
      'application/x.sbom',
    ])
    expect(stdout.split('\n').filter((line) => line.startsWith('sha256:'))).toEqual([
      expect.stringMatching(/^sha256:b{64} +7 B +application\/x\.sbom$/),
    ])
    const json = await desk.run(['inspect', name, '--referrers', '-o', 'json'])
    expect((JSON.parse(json.stdout) as { readonly referrers: unknown[] }).referrers).toHaveLength(2)
  })

  test.each<[string, readonly string[]]>([
    ['nothing refers to this image\n', []],
    ['nothing of type application/x refers to this image\n', ['--artifact-type', 'application/x']],
  ])('says %j', async (stdout, options) => {
    const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }
    registry.on(/referrers/, respond(200, { 'content-type': index.mediaType }, JSON.stringify(index)))
    const words = ['inspect', `${registry.host}/team/app:1.2`, '--referrers', ...options]
    expect(await desk.run(words)).toMatchObject({ code: 0, stdout })
  })

  test.each([
    ['--tags', '--referrers'],
    ['--artifact-type', 'x'],
  ])('with %s %s is a slip', async (...options) => {
    expect((await desk.run(['inspect', `${registry.host}/team/app`, ...options])).code).toBe(2)
  })

  test('of a layout is a slip', async () => {
    const { code, stderr } = await desk.run(['inspect', 'oci:./x', '--tags'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('only registries list tags')])
  })
})

describe('an unknown tag', () => {
  const tagged = (...tags: readonly string[]) =>
    registry.on(/tags\/list/, respond(200, {}, JSON.stringify({ name: 'team/app', tags })))
  const lists = () => registry.requests.filter(({ path }) => path.includes('tags/list'))

  const image13 = () => `${registry.host}/team/app:1.3`
  test.each<[string, 'stdout' | 'stderr', () => readonly string[]]>([
    ['resolve', 'stderr', () => ['resolve', image13()]],
    ['inspect', 'stderr', () => ['inspect', image13()]],
    ['explain', 'stdout', () => ['explain', image13()]],
    ['check', 'stdout', () => ['check', '-f', appFile(['a:b'], '1.3')]],
    [
      'check for a cluster',
      'stdout',
      () => ['check', '--engine', 'kubernetes', '-f', appFile(['a:b'], '1.3')],
    ],
  ])('is answered by %s with those that look like it, for one request', async (_name, where, args) => {
    tagged('1.2', '1.2.1', '11.2', 'latest')
    const { code, ...shown } = await desk.run(args())
    expect(code).toBe(1)
    expect(shown[where].replaceAll(/\s+/g, ' ')).toContain('tags that look like it: 1.2, 11.2')
    expect(lists()).toHaveLength(1)
  })

  test('is not guessed when the tag is there and something else of the image is missing', async () => {
    tagged('1.2', '1.3')
    expect((await desk.run(['resolve', image13()])).stderr).not.toContain('look like')
  })

  test('is told as it is when tags may not be listed', async () => {
    registry.on(/tags\/list/, respond(403))
    expect((await desk.run(['resolve', image13()])).stderr).toMatch(/^ImageNotFound: (?!.*look like)/)
  })
})

test('the page has no times of a pause, which ends with the command', () => {
  const nextTry = '2026-01-01T12:00:00.000Z'
  const origin = 'http://dead:5000'
  const rest = { origin, nextTry, backgroundNextTry: nextTry }
  const state = { reference: 'dead:5000/x', canonical: 'dead:5000/x:latest', steps: [] }
  const result = { reason: 'RegistryUnavailable', message: 'it is off' } as const
  const page = (registries: readonly (typeof rest & { readonly problem?: string })[]) =>
    explainImagePage([{ ...state, registries, result }], 80, (_style, text) => text)
  expect(page([{ ...rest, problem: 'off' }])).toContain(`${origin}: does not answer\n`)
  expect(page([rest])).not.toContain(origin)
})
