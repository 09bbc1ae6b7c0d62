import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import { parseAllDocuments } from 'yaml'
import { beforeEach, describe, expect, test } from 'vitest'
import { respond, startHostileRegistry, type HostileRegistry } from '../support/hostile-registry.ts'
import { dir, file, layer, symlink } from '../support/layer.ts'
import { buildImage, buildIndex, hostPlatform, writeArchive, writeLayout } from '../support/layout.ts'
import { buildElf } from '../support/elf.ts'
import { DIGEST_A, NOON } from './prepared-state.ts'
import { Desk } from './run.ts'

const OWN = hostPlatform()
const OTHER = { os: 'linux', architecture: OWN.architecture === 'arm64' ? 'amd64' : 'arm64' }

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

const ONE = buildImage({
  layers: [
    layer([
      dir('data'),
      file('data/f', 'one'),
      symlink('link', 'a'),
      file('etc/passwd', 'app:x:7:8::/:/app\n'),
    ]),
  ],
  config: {
    User: 'app',
    Entrypoint: ['/app'],
    Cmd: ['-v', 'two words'],
    Env: ['A=b', 'PATH=/'],
    Volumes: ['/data/', 'logs'],
    ExposedPorts: ['80/tcp'],
    StopSignal: 'SIGINT',
    WorkingDir: '/data',
    Labels: { l: 'v' },
  },
})
const TWO = buildImage({
  layers: [layer([dir('data'), file('data/f', 'two'), symlink('link', 'b'), file('new', '')])],
  config: { Entrypoint: ['/app'] },
})

async function layout(): Promise<void> {
  const index = buildIndex([ONE, buildImage({ layers: [], platform: OTHER })])
  await writeLayout(join(desk.dir, 'layout'), [
    { tag: 'one', image: ONE },
    { tag: 'two', image: TWO },
    { tag: 'many', index },
  ])
}

function json(stdout: string): Record<string, unknown> {
  return JSON.parse(stdout) as Record<string, unknown>
}

describe('resolve', () => {
  test('answers with digest, platforms and source', async () => {
    await layout()
    const { code, stdout, stderr } = await desk.run(['resolve', 'oci:layout:many', '-o', 'json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const answer = json(stdout)
    expect(Object.keys(answer)).toEqual([
      'reference',
      'canonical',
      'digest',
      'mediaType',
      'platforms',
      'source',
    ])
    expect(answer).toMatchObject({
      reference: 'oci:layout:many',
      canonical: `oci:${desk.dir}/layout:many`,
      digest: buildIndex([ONE, buildImage({ layers: [], platform: OTHER })]).digest,
      platforms: expect.arrayContaining([
        { platform: `linux/${OWN.architecture}`, digest: ONE.digest },
      ]) as unknown,
      source: { kind: 'oci', path: join(desk.dir, 'layout') },
    })
  })

  test('reads archives, and prints digests whole in 80 columns', async () => {
    await writeArchive(join(desk.dir, 'a.tar'), [{ tag: 'one', image: ONE }])
    const { stdout } = await desk.run(['resolve', 'oci-archive:a.tar:one'])
    expect(stdout.split(ONE.digest).length - 1).toBe(2)
    expect(stdout.split('\n').filter((line) => line.length > 80 && !line.includes(desk.dir))).toEqual([])
  })

  test.each([
    ['a layout that is not there', 'oci:none:one', /^LayoutInvalid: |^ImageNotFound: /],
    ['a tag that is not there', 'oci:layout:none', /^ImageNotFound: /],
    ['a platform that is not there', 'oci:layout:many', /^PlatformNotFound: /],
  ])('says why not for %s', async (_title, reference, said) => {
    await layout()
    const { code, stdout, stderr } = await desk.run(['resolve', reference, '--platform', 'linux/s390x'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(said)
  })
})

describe('a registry', () => {
  let registry: HostileRegistry
  beforeEach(async () => {
    registry = await startHostileRegistry()
    return () => registry.stop()
  })

  test('is asked for the digest, and its answer is printed whole', async () => {
    for (const bytes of ONE.blobs.values()) registry.blob('team/app', bytes)
    registry.manifest(
      'team/app',
      { mediaType: ONE.descriptor.mediaType, bytes: ONE.blobs.get(ONE.digest) ?? Buffer.alloc(0) },
      'v1',
    )
    const { stdout, code } = await desk.run(['resolve', `${registry.host}/team/app:v1`, '-o', 'json'])
    expect(code).toBe(0)
    expect(json(stdout)).toMatchObject({
      digest: ONE.digest,
      canonical: `${registry.host}/team/app:v1`,
      source: { kind: 'registry', host: registry.host },
    })
  })

  test('that refuses is told with its own words, which can not reach the terminal raw', async () => {
    registry.on(
      /manifests/,
      respond(
        403,
        { 'content-type': 'application/json' },
        JSON.stringify({ errors: [{ code: 'DENIED', message: 'no\u001b[2J entry' }] }),
      ),
    )
    const { stdout, stderr, code } = await desk.run(['resolve', `${registry.host}/team/app:v1`])
    expect({ stdout, code }).toEqual({ stdout: '', code: 1 })
    expect(stderr).toMatch(/^RegistryUnauthorized: .*no/)
    expect(stderr).not.toContain('\u001b')
  })
})

test('inspect answers with what the config says', async () => {
  await layout()
  const { stdout, code } = await desk.run(['inspect', 'oci:layout:one', '-o', 'json'])
  expect(code).toBe(0)
  const layers = ONE.manifest.layers.map(({ digest, size, mediaType }, index) => ({
    digest,
    diffId: ONE.config.rootfs.diff_ids[index],
    size,
    mediaType,
  }))
  expect(json(stdout)).toEqual({
    digest: ONE.digest,
    manifestDigest: ONE.digest,
    platform: `linux/${OWN.architecture}`,
    user: 'app',
    entrypoint: ['/app'],
    cmd: ['-v', 'two words'],
    env: ['A=b', 'PATH=/'],
    workingDir: '/data',
    volumes: ['/data', '/logs'],
    ports: ['80/tcp'],
    stopSignal: 'SIGINT',
    labels: { l: 'v' },
    layers,
  })
  const page = (await desk.run(['inspect', 'oci:layout:one'])).stdout
  expect(page).toMatch(/^Program +\/app -v "two words"$/m)
  expect(page.split('\n').filter((line) => line.length > 80)).toEqual([])
})

function appText(image: string, spec = '', status = ''): string {
  return `apiVersion: fairlead.dev/v1alpha1\nkind: ContainerApp\nmetadata: {name: web}\nspec:\n  image: ${image}\n${spec}${status}`
}

/** A program that runs: it needs no loader and no library. */
async function goodLayout(): Promise<void> {
  const machine = OWN.architecture === 'arm64' ? 183 : 62
  const program = file('app', buildElf({ machine }), { mode: 0o755 })
  const image = buildImage({
    layers: [layer([program, dir('data'), file('data/f', 'x')])],
    config: { Entrypoint: ['/app'], Volumes: ['/data'] },
  })
  await writeLayout(join(desk.dir, 'layout'), [{ tag: 'good', image }])
}

describe('check', () => {
  async function check(text: string, args: readonly string[] = []) {
    writeFileSync(join(desk.dir, 'app.yaml'), text)
    const result = await desk.run(['check', '-f', 'app.yaml', '-o', 'json', ...args])
    return {
      ...result,
      report: json(result.stdout) as {
        ok: boolean
        issues: { severity: string; reason: string; path: string; message: string }[]
      },
    }
  }

  test('finds nothing wrong with an app that would run', async () => {
    await goodLayout()
    const { code, report } = await check(appText('oci:layout:good'))
    expect(report).toEqual({ ok: true, issues: [] })
    expect(code).toBe(0)
  })

  test('finds all problems of an image at once and ends with 1', async () => {
    await goodLayout()
    const { code, report } = await check(
      appText('oci:layout:good', '  command: [/none]\n  hooks: [{path: /data}, {path: /missing}]\n'),
    )
    expect(code).toBe(1)
    expect(report.issues.map(({ reason, path }) => [path, reason])).toEqual([
      ['spec.command[0]', 'ExecNotFound'],
      ['spec.hooks[0].path', 'ExecNotRegularFile'],
      ['spec.hooks[1].path', 'ExecNotFound'],
    ])
  })

  test.each([['oci:layout:none'], ['oci:nowhere:one'], ['oci-archive:nowhere.tar:one']])(
    'names the field of %s that is not there',
    async (image) => {
      await goodLayout()
      const { report } = await check(appText(image, ''))
      expect(report.issues.map(({ reason, path }) => [reason, path])).toEqual([
        ['ImageNotFound', 'spec.image'],
      ])
    },
  )

  test.each([
    ['an image that can not be found', 'oci:layout:none', '', 'ImageNotFound'],
    ['a user that the image does not have', 'oci:layout:good', '  user: nobody\n', 'UserNotFound'],
    [
      'a Secret that nobody brought',
      'oci:layout:good',
      '  envFrom: [{secretRef: {name: none}}]\n',
      'NotFound',
    ],
    [
      'a pull secret that nobody brought',
      'oci:layout:good',
      '  pullSecrets: [{name: none}]\n',
      'PullSecretInvalid',
    ],
    [
      'a field that this engine can not honour',
      'oci:layout:good',
      '  ports: [{name: a, port: 80, hostPort: 81}]\n',
      'UnsupportedField',
    ],
  ])('says why for %s', async (_title, image, spec, reason) => {
    await goodLayout()
    const { code, report } = await check(appText(image, spec))
    expect(report.issues.map((issue) => issue.reason)).toContain(reason)
    expect(code).toBe(1)
  })

  test('warns and ends with 0 about what has no meaning here', async () => {
    await goodLayout()
    const { code, report, stderr } = await check(
      appText('oci:layout:good', '  volumes: [{path: /data, storageClassName: fast}]\n'),
    )
    expect(report).toMatchObject({
      ok: true,
      issues: [{ severity: 'warning', reason: 'UnsupportedField', path: 'spec.volumes[0].storageClassName' }],
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('sees the Secrets of the same files, and reads no image when told not to', async () => {
    await goodLayout()
    const secret = '---\napiVersion: v1\nkind: Secret\nmetadata: {name: there}\nstringData: {A: b}\n'
    expect(
      (await check(appText('oci:layout:good', '  envFrom: [{secretRef: {name: there}}]\n', secret))).report
        .ok,
    ).toBe(true)
    expect((await check(appText('oci:layout:none'), ['--no-images'])).report.ok).toBe(true)
  })

  test('leaves nothing behind, neither beside the file nor in the state folder nor among temporary files', async () => {
    await goodLayout()
    const before = process.env['TMPDIR']
    const temporary = join(desk.dir, 'tmp')
    mkdirSync(temporary)
    process.env['TMPDIR'] = temporary
    try {
      await check(appText('oci:layout:good'))
      await check(appText('oci:layout:good', '  user: nobody\n'))
    } finally {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    }
    expect(readdirSync(temporary)).toEqual([])
    expect(readdirSync(desk.dir).toSorted()).toEqual(['app.yaml', 'layout', 'tmp'])
  })
})

describe('render', () => {
  const render = (args: readonly string[] = []) =>
    desk.run(['render', '-f', 'app.yaml', '--engine', 'local', ...args])

  test('prints the words with a pin, then the bundle that the controller would write', async () => {
    await goodLayout()
    writeFileSync(join(desk.dir, 'app.yaml'), appText('oci:layout:good', '  hooks: []\n'))
    const { code, stdout } = await render()
    expect(code).toBe(0)
    const [app, instance, ...rest] = parseAllDocuments(stdout).map(
      (document) => document.toJS() as Record<string, Record<string, Record<string, unknown>>>,
    )
    expect(app).toMatchObject({
      kind: 'ContainerApp',
      spec: { image: 'oci:layout:good' },
      status: { image: { reference: 'oci:layout:good', canonical: `oci:${desk.dir}/layout:good` } },
    })
    expect(instance).toMatchObject({
      kind: 'LocalInstance',
      spec: { app: 'web', digest: app?.['status']?.['image']?.['digest'] },
    })
    const { files } = (instance as unknown as { spec: { files: Record<string, string> } }).spec
    const config = JSON.parse(files['config.json'] ?? '') as {
      process: { args: string[] }
      mounts: { destination: string; source: string; options: string[] }[]
    }
    expect(config.process.args).toEqual(['/app'])
    const data = config.mounts.find(({ destination }) => destination === '/data')
    expect(data?.source.startsWith(`${desk.state}/volumes/default/web/`)).toBe(true)
    expect(data?.options).toContain('exec')
    expect(rest).toEqual([])
  })

  test('prints the same twice, and its own output rendered again is the same bundle', async () => {
    await goodLayout()
    writeFileSync(join(desk.dir, 'app.yaml'), appText('oci:layout:good'))
    const now = () => Date.parse(NOON)
    const first = (await desk.run(['render', '-f', 'app.yaml', '--engine', 'local'], { now })).stdout
    expect((await desk.run(['render', '-f', 'app.yaml', '--engine', 'local'], { now })).stdout).toBe(first)
    const again = await desk.run(['render', '-f', '-', '--engine', 'local'], { input: first })
    expect(again.stdout).toBe(first)
  })

  test('stays with the pin of the document although the tag has moved', async () => {
    await goodLayout()
    writeFileSync(join(desk.dir, 'app.yaml'), appText('oci:layout:good'))
    const pinned = (await render()).stdout
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pinned)?.[1]
    const [before] = JSON.parse(readFileSync(join(desk.dir, 'layout/index.json'), 'utf8')).manifests as {
      digest: string
    }[]
    await writeLayout(join(desk.dir, 'layout'), [{ tag: 'good', image: TWO }])
    const again = await desk.run(['render', '-f', '-', '--engine', 'local'], { input: pinned })
    expect([before?.digest, again.code, /digest: (sha256:[0-9a-f]{64})/.exec(again.stdout)?.[1]]).toEqual([
      digest,
      0,
      digest,
    ])
  })

  test('refuses a pin that the source does not have', async () => {
    await goodLayout()
    const status = `status: {image: {reference: "oci:layout:good", canonical: x, digest: "${DIGEST_A}", resolvedAt: "${NOON}"}}\n`
    writeFileSync(join(desk.dir, 'app.yaml'), appText('oci:layout:good', '', status))
    expect(await render()).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^ImageNotFound: /) as string,
    })
  })

  test('brings Secrets and ConfigMaps along, so that the stream is complete', async () => {
    await goodLayout()
    const sources =
      '---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {A: b}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {C: d}\n'
    writeFileSync(
      join(desk.dir, 'app.yaml'),
      appText('oci:layout:good', '  envFrom: [{secretRef: {name: s}}, {configMapRef: {name: c}}]\n', sources),
    )
    const { stdout } = await render()
    expect(parseAllDocuments(stdout).map((document) => document.get('kind'))).toEqual([
      'ContainerApp',
      'LocalInstance',
      'ConfigMap',
      'Secret',
    ])
    expect(await desk.run(['check', '-f', '-'], { input: stdout })).toMatchObject({
      code: 0,
      stdout: 'ok: 1 app\n',
    })
  })

  test('prints nothing when anything would be refused', async () => {
    await goodLayout()
    writeFileSync(
      join(desk.dir, 'app.yaml'),
      `${appText('oci:layout:good')}---\n${appText('oci:layout:good', '  command: [/none]\n').replace('web', 'bad')}`,
    )
    expect(await render()).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^ExecNotFound: spec\.command\[0\]/m) as string,
    })
  })
})

test.each([
  ['missing/report.json', 'its folder does not exist'],
  ['file/report.json', 'is no folder'],
  ['.', 'is a folder'],
])('unpack refuses the report %s before it writes anything', async (report, words) => {
  await layout()
  writeFileSync(join(desk.dir, 'file'), '')
  const { code, stderr } = await desk.run(['unpack', 'oci:layout:one', 'out', '--report', report])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(words) as string })
  expect(existsSync(join(desk.dir, 'out'))).toBe(false)
})

test.skipIf(geteuid?.() !== 0)(
  'unpack writes its report where it is asked to, into its own folder too',
  async () => {
    await layout()
    for (const [out, report] of [
      ['a', 'report.json'],
      ['b', 'b/report.json'],
    ] as const) {
      expect((await desk.run(['unpack', 'oci:layout:one', out, '--report', report])).code).toBe(0)
      expect(JSON.parse(readFileSync(join(desk.dir, report), 'utf8'))).toHaveProperty('dropped')
    }
  },
)

test.skipIf(geteuid?.() !== 0)('unpack writes its report to standard output for -', async () => {
  await layout()
  const { stdout, stderr } = await desk.run(['unpack', 'oci:layout:one', 'out', '--report', '-'])
  expect(JSON.parse(stdout)).toHaveProperty('dropped')
  expect(stderr).toMatch(/out\/rootfs: \d+ entr/)
  expect(existsSync(join(desk.dir, '-'))).toBe(false)
})

test('unpack refuses a folder that holds something', async () => {
  await layout()
  mkdirSync(join(desk.dir, 'full/x'), { recursive: true })
  expect(await desk.run(['unpack', 'oci:layout:one', 'full'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^NameConflict: /) as string,
  })
  expect(existsSync(join(desk.dir, 'full/rootfs'))).toBe(false)
})
