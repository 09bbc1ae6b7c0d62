/**
 * Every example does what its comments promise, byte for byte as a user finds it: under its own image names and on its
 * own ports, in a network that has nothing but loopback and a mirror of Docker Hub with images of the same shape.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { chown, copyFile, cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findCondition } from '../../src/crd/conditions.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { openLocal } from '../../src/engine/local/open.ts'
import { runPaths } from '../../src/engine/local/paths.ts'
import { builtApp, writeExampleImages, writeKimai } from '../support/example-images.ts'
import { writeLayout } from '../support/layout.ts'
import { startMirror, type LoopbackMirror } from '../support/loopback-mirror.ts'
import { eventually, runProgram, Sandbox, type CliResult } from '../support/sandbox.ts'

const ROOT = path.join(import.meta.dirname, '../..')

let folder: string
let mirror: LoopbackMirror

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'fairlead-mirror-'))
  await writeExampleImages(folder)
  mirror = await startMirror(folder)
})
afterAll(async () => {
  await mirror[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

interface Resource {
  readonly status: AppStatus
}

/** One user with one example, inside the mirror's network. */
class User implements AsyncDisposable {
  readonly sandbox: Sandbox
  readonly file: string

  private constructor(sandbox: Sandbox, file: string) {
    this.sandbox = sandbox
    this.file = file
  }

  static async with(example: string): Promise<User> {
    const registries = { 'docker.io': { mirrors: [{ url: mirror.url, resolve: true }] } }
    return new User(await Sandbox.create({ config: { registries } }), path.join(ROOT, 'examples', example))
  }

  async fairlead(...args: readonly string[]): Promise<CliResult> {
    const [program, ...words] = mirror.inside(path.join(ROOT, 'bin/fairlead'), ...args)
    return runProgram(program, words, { env: this.sandbox.env })
  }

  async ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.fairlead(...args)
    if (code !== 0) throw new Error(`fairlead ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`)
    return stdout
  }

  /** Submits the example, or another file; every app of it must get ready, with no field left out. */
  async up(file = this.file): Promise<void> {
    await this.ok('check', '-f', file)
    const answer = JSON.parse(await this.ok('up', '-f', file, '-o', 'json')) as
      | Resource
      | { readonly items: readonly Resource[] }
    for (const { status } of 'items' in answer ? answer.items : [answer]) {
      const rendered = findCondition(status.conditions ?? [], 'Rendered')
      if (rendered?.status !== 'True' || /spec\.(?!image:)/.test(rendered.message))
        throw new Error(`a field is left out: ${rendered?.message}`)
    }
  }

  /** A page of an app, asked for inside the network; empty until it answers. */
  async page(url: string, ...options: readonly string[]): Promise<string> {
    const [program, ...words] = mirror.inside('/bin/busybox', 'wget', '-q', '-O', '-', ...options, url)
    return (await runProgram(program, words)).stdout
  }

  async shows(url: string, text: string): Promise<void> {
    await eventually(`${url} shows ${text}`, async () => (await this.page(url)).includes(text))
  }

  /** The container of an app: its first process, its supervisor, and where its hooks leave what they wrote. */
  async container(name: string) {
    const { instances, paths } = openLocal({ stateDir: this.sandbox.state })
    const [record] = await instances.list({ namespace: 'default', name })
    if (record === undefined) throw new Error(`no instance of ${name}`)
    const files = runPaths(paths, record.id, (await instances.runs(record.id)).at(-1) ?? 0)
    const [supervisor] = readFileSync(files.supervisor, 'utf8').split(' ')
    const proc = (file: string) => readFileSync(`/proc/${readFileSync(files.pid, 'utf8')}/${file}`, 'utf8')
    return { id: record.id, proc, hookResults: `/proc/${supervisor}/root${files.hookMount}` }
  }

  async environment(name: string): Promise<ReadonlyMap<string, string>> {
    const lines = (await this.container(name)).proc('environ').split('\0').filter(Boolean)
    return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
  }

  async volumes(name: string): Promise<readonly (string | undefined)[][]> {
    const { volumes } = await this.sandbox.status(name)
    return (volumes ?? []).map(({ path: at, origin, exec }) => [at, origin, exec])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sandbox[Symbol.asyncDispose]()
  }
}

test('mattermost: both apps run, the database is reached with the address of the Secret, plugins run, posts stay', async () => {
  await using user = await User.with('mattermost/mattermost.yaml')
  await user.up()
  await user.shows('http://localhost:8065/plugins', 'hello: shipped in the image')
  expect(await user.volumes('mattermost')).toEqual(
    ['client/plugins', 'config', 'data', 'logs', 'plugins'].map((name) => [
      `/mattermost/${name}`,
      'Image',
      'Allowed',
    ]),
  )
  expect(await user.volumes('mattermost-database')).toContainEqual([
    '/var/lib/postgresql/data',
    'Image',
    'Allowed',
  ])

  const address = (await user.environment('mattermost')).get('MM_SQLSETTINGS_DATASOURCE') ?? ''
  expect(address).toContain('@mattermost-database:5432/')
  const ask = (statement: string) =>
    user.fairlead('exec', 'mattermost-database', '--', 'psql', '-XqtA', address, '-c', statement)
  await eventually('the database answers', async () => (await ask('SELECT 1')).code === 0)
  expect((await ask('SELECT current_user, current_database()')).stdout).toBe('mmuser|mattermost\n')
  // 5432 is 1538 in hexadecimal, 127.0.0.1 is written backwards, 0A is LISTEN (proc_net_tcp of the kernel's documentation).
  const sockets = (await user.container('mattermost-database'))
    .proc('net/tcp')
    .match(/[0-9A-F]{8}:1538 [0-9A-F:]+ 0A/g)
  expect(sockets).toEqual(['0100007F:1538 00000000:0000 0A'])

  await ask('CREATE TABLE kept AS SELECT 1 AS one')
  expect(await user.page('http://localhost:8065/posts', '--post-data', 'first post')).toContain('posted')
  await user.ok('down', 'mattermost', 'mattermost-database')
  await user.up()
  await user.shows('http://localhost:8065/posts', 'first post')
  await eventually('the table is there', async () => (await ask('SELECT one FROM kept')).stdout === '1\n')
  await user.ok('down', '-f', user.file)
})

test('kimai: the tag apache is taken, and again by rebuild; data and plugins are volumes of their own and stay', async () => {
  await using user = await User.with('kimai/kimai.yaml')
  await user.up()
  await user.shows('http://localhost:8001', 'apache, first build')
  expect(await user.volumes('kimai')).toEqual([
    ['/opt/kimai/var', 'Image', 'Allowed'],
    ['/opt/kimai/var/data', 'Spec', 'Allowed'],
    ['/opt/kimai/var/plugins', 'Spec', 'Allowed'],
  ])
  const environment = await user.environment('kimai')
  expect(environment.get('DATABASE_URL')).toMatch(/^mysql:/)
  expect(environment.get('ADMINMAIL')).toBe('admin@example.com')
  const [data, plugins] = [
    await user.sandbox.volumeDir('kimai', '/opt/kimai/var/data'),
    await user.sandbox.volumeDir('kimai', '/opt/kimai/var/plugins'),
  ]
  const installed = 'installed for admin@example.com\n'
  await eventually('it is installed', () => existsSync(path.join(data, 'installed')))
  expect(readFileSync(path.join(data, 'installed'), 'utf8')).toBe(installed)
  expect(lstatSync(plugins)).toMatchObject({ uid: 33, gid: 33, mode: 0o40775 })
  writeFileSync(path.join(plugins, 'mine'), 'kept')

  await writeKimai(folder, 'second')
  await user.ok('rebuild', 'kimai')
  await user.shows('http://localhost:8001', 'apache, second build')
  expect((await user.sandbox.status('kimai')).image?.reference).toBe('kimai/kimai2:apache')
  expect(await user.ok('exec', 'kimai', '--', 'cat', 'var/data/installed', 'var/plugins/mine')).toBe(
    `${installed}kept`,
  )
  await user.ok('down', '-f', user.file)
})

test('read-only-layout: the layout is read and not touched, and a new build is taken when asked for', async () => {
  await using user = await User.with('read-only-layout/app.yaml')
  const project = path.join(user.sandbox.dir, 'project')
  await mkdir(project)
  const file = path.join(project, 'app.yaml')
  await copyFile(user.file, file)
  await using first = await bazelOutput(user.sandbox.dir, 'first')
  await symlink(first.dir, path.join(project, 'bazel-bin'))
  const before = first.facts()
  await user.up(file)
  expect(await user.ok('exec', 'from-layout', '--', 'cat', '/build')).toBe('first')

  await using second = await bazelOutput(user.sandbox.dir, 'second')
  await symlink(second.dir, path.join(project, 'next'))
  await rename(path.join(project, 'next'), path.join(project, 'bazel-bin'))
  await user.up(file)
  expect(await user.ok('exec', 'from-layout', '--', 'cat', '/build')).toBe('first')
  await user.ok('rebuild', 'from-layout')
  expect(await user.ok('exec', 'from-layout', '--', 'cat', '/build')).toBe('second')
  await user.ok('down', '-f', file)
  expect(first.facts()).toBe(before)
})

describe('hooks', () => {
  test('nginx: both hooks run in order, as the container’s user, with nothing in their environment but PATH and their own', async () => {
    await using user = await User.with('hooks/nginx.yaml')
    await user.up()
    await user.shows('http://localhost:8080', 'hello')
    expect(await user.volumes('nginx')).toEqual([['/etc/nginx/conf.d', 'Spec', 'Allowed']])
    const tested = (await user.ok('exec', 'nginx', '--', 'cat', '/run/tested')).trim().split('\n')
    const names = tested.slice(1).map((line) => line.split('=')[0] ?? '')
    // PWD, SHLVL and _ are the shell's own, in which this nginx is written.
    expect([tested[0], names.filter((name) => !['PWD', 'SHLVL', '_'].includes(name))]).toEqual([
      '0',
      ['PATH'],
    ])
    const { hookResults } = await user.container('nginx')
    const said = (await readdir(hookResults)).filter((name) => name.endsWith('.stderr')).toSorted()
    expect(said.map((name) => readFileSync(path.join(hookResults, name), 'utf8'))).toEqual([
      'nginx: configuration file /etc/nginx/conf.d/default.conf test is successful\n',
      'configuration is fine\n',
    ])
    await user.ok('down', '-f', user.file)
  })

  test('nginx: a hook that fails keeps it from starting, and the status says which one and what it wrote', async () => {
    await using user = await User.with('hooks/nginx.yaml')
    const broken = path.join(user.sandbox.dir, 'broken.yaml')
    writeFileSync(broken, readFileSync(user.file, 'utf8').replace('listen 127', 'lisen 127'))
    expect((await user.fairlead('up', '-f', broken, '--wait-timeout', '60s')).code).toBe(1)
    const ready = findCondition((await user.sandbox.status('nginx')).conditions ?? [], 'Ready')
    expect(ready).toMatchObject({ status: 'False', reason: 'HookFailed' })
    expect(ready?.message).toMatch(/spec\.hooks\[0\].*\/usr\/sbin\/nginx.*no listen in/)
    expect(await user.page('http://localhost:8080')).toBe('')
  })
})

test('every-field: each field does what its comment says', async () => {
  await using user = await User.with('every-field/gitea.yaml')
  await user.up()
  const { id, proc, hookResults } = await user.container('gitea')
  const inside = (...command: readonly string[]) => user.ok('exec', 'gitea', '--', ...command)

  // imagePolicy, user, workingDir, command, hooks
  expect(await inside('cat', '/etc/gitea/app.ini.example')).toBe('; amd64\n')
  expect(proc('status')).toMatch(/^Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000$/m)
  expect(proc('status')).toMatch(/^Groups:\t1000 $/m)
  expect(await inside('sh', '-c', 'pwd')).toBe('/var/lib/gitea\n')
  expect(proc('cmdline')).toBe('/bin/sh\0/usr/local/bin/docker-entrypoint.sh\0')
  expect(await inside('cat', '/tmp/gitea/version')).toBe('Gitea version 1.24 for /tmp/gitea\n')
  expect(existsSync(path.join(hookResults, 'ok'))).toBe(true)

  // env, envFrom
  const environment = await user.environment('gitea')
  expect(Object.fromEntries(environment)).toMatchObject({
    GITEA_ADMIN_PASSWORD: 'change-me',
    FROM_SECRET_GITEA_ADMIN_PASSWORD: 'change-me',
    FROM_SECRET_GITEA__security__SECRET_KEY: 'change-me-too',
    GITEA__server__ROOT_URL: 'http://localhost:3000/',
    GITEA__server__HTTP_PORT: '3000',
  })
  expect(environment.has('BANNER')).toBe(false)

  // volumes: what is mounted where, and how
  const mounts = new Map(
    proc('mountinfo')
      .split('\n')
      .map((line) => line.split(' '))
      .map((words) => [words[4], words]),
  )
  const options = (at: string) => mounts.get(at)?.[5]?.split(',') ?? []
  expect(options('/')).toContain('ro')
  expect(options('/var/lib/gitea')).toEqual(expect.arrayContaining(['rw', 'nosuid', 'nodev']))
  expect(options('/var/lib/gitea')).not.toContain('noexec')
  expect(options('/etc/gitea')).toEqual(expect.arrayContaining(['rw', 'noexec']))
  expect(mounts.get('/tmp/gitea')?.slice(-3)).toEqual([
    'tmpfs',
    'tmpfs',
    expect.stringContaining('size=65536k'),
  ])
  expect(options('/usr/local/share/ca-certificates')).toContain('ro')
  expect(await inside('ls', '/usr/local/share/ca-certificates')).toContain('mozilla')
  const modes = await inside(
    'stat',
    '-c',
    '%a %n',
    '/etc/gitea-settings/robots.txt',
    '/run/secrets/gitea/GITEA_ADMIN_PASSWORD',
  )
  expect(modes).toBe('444 /etc/gitea-settings/robots.txt\n444 /run/secrets/gitea/GITEA_ADMIN_PASSWORD\n')
  expect(await inside('cat', '/etc/gitea-settings/robots.txt')).toBe('User-agent: *\nDisallow: /\n')

  expect(await inside('ls', '-A', '/var/lib/gitea/cache')).toBe('')
  expect(await inside('cat', '/var/lib/gitea/shipped')).toBe('with the image')

  // ports, resources, securityContext
  expect((await user.sandbox.status('gitea')).workload?.addresses).toEqual([
    '127.0.0.1:3000',
    '127.0.0.1:2222',
  ])
  expect(limit(id, 'memory', 'memory.limit_in_bytes', 'memory.max')).toBe(String(512 * 2 ** 20))
  expect(limit(id, 'cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0]).toBe('100000')
  expect(proc('status')).toMatch(/^CapEff:\t0{16}\nCapBnd:\t0{13}400$/m)
  expect(proc('status')).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m)

  // retain
  await user.ok('down', '-f', user.file)
  const left = JSON.parse(await user.ok('volumes', 'ls', 'gitea', '-o', 'json')) as {
    readonly items: readonly { readonly path: string }[]
  }
  expect(left.items.map(({ path: at }) => at)).toEqual(['/etc/gitea', '/var/lib/gitea'])
})

// The last one: it looks at what the examples above have asked for.
test('nothing but the mirror was asked, and no credentials were sent to it', () => {
  const wanted = [
    'gitea/gitea',
    'kimai/kimai2',
    'library/nginx',
    'library/postgres',
    'mattermost/mattermost-team-edition',
  ]
  const asked = mirror.requests.map(
    ({ path: at }) => /^\/v2\/(.+)\/(?:manifests|blobs)\/[^/]+$/.exec(at)?.[1] ?? at,
  )
  expect([...new Set(asked)].toSorted()).toEqual(wanted)
  expect(mirror.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([])
  expect(mirror.routes()).toEqual([])
  expect(mirror.strayAttempts()).toBe(0)
  // The kernel does count: one attempt of our own.
  const [program, ...words] = mirror.inside('/bin/busybox', 'nc', '-w', '1', '192.0.2.1', '80')
  expect(() => execFileSync(program, words, { stdio: 'ignore' })).toThrow('Command failed')
  expect(mirror.strayAttempts()).toBe(1)
})

/** What bazel leaves: a folder of links into its cache, nobody's and read-only, here on a read-only mount as well. */
async function bazelOutput(parent: string, build: string) {
  const dir = path.join(parent, `bazel-out-${build}`)
  const cache = path.join(parent, `bazel-cache-${build}`)
  const layout = path.join(dir, 'app/image')
  await writeLayout(cache, [{ image: builtApp(build) }])
  await mkdir(path.join(dir, 'app'), { recursive: true })
  await cp(cache, layout, { recursive: true })
  const blobs = path.join(layout, 'blobs/sha256')
  for (const name of await readdir(blobs)) {
    await rm(path.join(blobs, name))
    await symlink(path.join(cache, 'blobs/sha256', name), path.join(blobs, name))
  }
  execFileSync('chmod', ['-R', 'a-w', layout])
  await chown(layout, 65534, 65534)
  execFileSync('mount', ['--bind', '-o', 'ro', layout, layout])
  const facts = () =>
    execFileSync('find', [layout, cache, '-printf', '%p %i %m %U %s %T@ %C@ %l\\n'], { encoding: 'utf8' })
  return {
    dir,
    facts,
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', [layout])
      await rm(dir, { recursive: true })
    },
  }
}

/** A limit as the kernel has it, on a host with version 1 or 2 of cgroups. */
function limit(id: string, controller: string, one: string, two: string): string {
  const first = `/sys/fs/cgroup/${controller}/fairlead/${id}/${one}`
  return readFileSync(existsSync(first) ? first : `/sys/fs/cgroup/fairlead/${id}/${two}`, 'utf8').trim()
}
