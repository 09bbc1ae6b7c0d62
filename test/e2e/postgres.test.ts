/**
 * Real PostgreSQL: a server that trusts its disk, checks who owns it, loads libraries from where it is told and minds
 * how it is stopped. What was committed must be there again, whatever happens to the server, to us or to the image.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chown, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustRun, run } from '../../scripts/lib/run.ts'
import { openLocal } from '../../src/engine/local/open.ts'
import { runPaths } from '../../src/engine/local/paths.ts'
import { postgresLayout } from '../support/fixtures.ts'
import { layoutIndex, readLayoutImage } from '../support/layout.ts'
import { freePort } from '../support/free-ports.ts'
import { app, eventually, Sandbox, type CliResult } from '../support/sandbox.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const DATA = '/var/lib/postgresql/data'
const LIBRARIES = '/usr/lib/postgresql/15/lib'
const PASSWORD = 'correct horse $(battery) staple'
const SECRET = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'database' },
  stringData: { PASSWORD },
}
const PASSWORD_FROM_SECRET = { valueFrom: { secretKeyRef: { name: 'database', key: 'PASSWORD' } } }
const NOEXEC_FAILURE =
  'could not load library "/ext/auto_explain.so": /ext/auto_explain.so: failed to map segment from shared object'
const UNCLEAN = 'database system was not properly shut down'
const MEMORY_LIMIT = 256 * 2 ** 20

/** One PostgreSQL app of its own in a sandbox that tests share: the image is unpacked once. */
class Database {
  readonly sandbox: Sandbox
  readonly name: string
  readonly #image: string
  readonly #port: number

  private constructor(sandbox: Sandbox, name: string, image: string, port: number) {
    this.sandbox = sandbox
    this.name = name
    this.#image = image
    this.#port = port
  }

  /** Ready to answer, with a table `kept` that has the row `first`. */
  static async start(sandbox: Sandbox, name: string, image?: string): Promise<Database> {
    const reference = image ?? `oci:${await postgresLayout()}:15`
    const database = new Database(sandbox, name, reference, await freePort())
    await database.up()
    await database.sql('CREATE TABLE kept (id serial PRIMARY KEY, word text)')
    await database.keep('first')
    return database
  }

  get port(): number {
    return this.#port
  }

  resource(spec: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    return app(this.name, this.#image, {
      env: [
        { name: 'PGPORT', value: String(this.#port) },
        { name: 'POSTGRES_PASSWORD', ...PASSWORD_FROM_SECRET },
      ],
      ports: [{ name: 'postgres', port: this.#port }],
      resources: { limits: { memory: String(MEMORY_LIMIT) } },
      terminationGracePeriodSeconds: 60,
      ...spec,
    })
  }

  async up(spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.sandbox.mustUp([SECRET, this.resource(spec)])
    await this.answers()
  }

  async answers(): Promise<void> {
    await eventually(`${this.name} answers`, async () => (await this.trySql('SELECT 1')).code === 0)
  }

  /** Runs statements in one session, as the app's own user and over the server's socket. */
  trySql(...statements: readonly string[]): Promise<CliResult> {
    return this.sandbox.cli(['exec', this.name, '--', ...psql(statements)])
  }

  async sql(...statements: readonly string[]): Promise<string> {
    return (await this.sandbox.ok(['exec', this.name, '--', ...psql(statements)])).trim()
  }

  keep(word: string): Promise<string> {
    return this.sql(`INSERT INTO kept (word) VALUES ('${word}')`)
  }

  async words(): Promise<readonly string[]> {
    return (await this.sql('SELECT word FROM kept ORDER BY id')).split('\n')
  }

  /** What it said since its container was made. */
  log(): Promise<string> {
    return this.sandbox.ok(['logs', this.name])
  }

  /** The server itself: the entrypoint becomes it. */
  async postmaster(): Promise<number> {
    const { instances, paths } = openLocal({ stateDir: this.sandbox.state })
    const [record] = await instances.list({ namespace: 'default', name: this.name })
    if (record === undefined) throw new Error(`no instance of ${this.name}`)
    const run = (await instances.runs(record.id)).at(-1) ?? 0
    return Number(await readFile(runPaths(paths, record.id, run).pid, 'utf8'))
  }
}

/** Fails at the first statement that fails; prints values only. */
function psql(statements: readonly string[]): readonly string[] {
  const commands = statements.flatMap((statement) => ['-c', statement])
  return ['psql', '-X', '-q', '-t', '-A', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', ...commands]
}

/** What the cluster's own record says of its state; 1 is "shut down" (src/include/catalog/pg_control.h). */
async function clusterState(dataDir: string): Promise<number> {
  return (await readFile(path.join(dataDir, 'pgdata/global/pg_control'))).readUInt32LE(16)
}

describe.each(['runc', 'crun'] as const)('PostgreSQL under %s', (runtime) => {
  let sandbox: Sandbox

  beforeAll(async () => {
    sandbox = await Sandbox.create({ runtime })
  })
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]()
  })

  test('starts as the user postgres and loads libraries from its second volume, unless exec is forbidden there', async () => {
    const database = await Database.start(sandbox, 'extended')
    expect((await sandbox.ok(['exec', 'extended', '--', 'id', '-un'])).trim()).toBe('postgres')
    expect(readFileSync(`/proc/${await database.postmaster()}/comm`, 'utf8').trim()).toBe('postgres')
    // One library came with the image; the other one is put there as an operator would.
    const volume = await sandbox.volumeDir('extended', '/ext')
    const added = path.join(volume, 'passwordcheck.so')
    await copyFile(`/proc/${await database.postmaster()}/root${LIBRARIES}/passwordcheck.so`, added)
    await chown(added, 0, 0)
    const maps = await database.sql(
      "LOAD '/ext/auto_explain.so'",
      "LOAD '/ext/passwordcheck.so'",
      "SELECT pg_read_file('/proc/self/maps')",
    )
    for (const name of ['auto_explain.so', 'passwordcheck.so'])
      expect(maps).toMatch(new RegExp(`r-xp .* /ext/${name}$`, 'm'))
    const weak = await database.trySql("LOAD '/ext/passwordcheck.so'", "CREATE ROLE weak PASSWORD 'x'")
    expect(weak.stderr).toContain('password is too short')

    await database.up({ volumes: [{ path: '/ext', exec: 'Forbidden' }] })
    const refused = await database.trySql("LOAD '/ext/auto_explain.so'")
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(NOEXEC_FAILURE)])
    expect(await database.words()).toEqual(['first'])
    const { volumes } = await sandbox.status('extended')
    expect(volumes?.map(({ path, origin, exec, seeded }) => ({ path, origin, exec, seeded }))).toEqual([
      { path: '/ext', origin: 'Image', exec: 'Denied', seeded: true },
      { path: DATA, origin: 'Image', exec: 'Allowed', seeded: true },
    ])
  })

  test('keeps rows when the server is killed, and starts it again', async () => {
    const database = await Database.start(sandbox, 'killed')
    const before = await database.postmaster()
    process.kill(before, 'SIGKILL')
    await eventually('it was started again', async () => {
      const { workload } = await sandbox.status('killed')
      return workload?.restarts === 1 && workload.ready === 1
    })
    await database.answers()
    expect(await database.words()).toEqual(['first'])
    expect(await database.postmaster()).not.toBe(before)
    const { workload } = await sandbox.status('killed')
    expect(workload?.lastTermination).toMatchObject({ exitCode: 137, signal: 9, reason: 'Exited' })
    expect(await database.log()).toContain(UNCLEAN)
  })

  test('goes on when the controller is killed, and the next controller adopts it', async () => {
    const database = await Database.start(sandbox, 'adopted')
    const before = [await database.postmaster(), await database.sql('SELECT pg_postmaster_start_time()')]
    await sandbox.stopController('SIGKILL')
    await database.keep('while nobody looks')
    const logged = (await sandbox.controllerLog()).length
    await database.up()
    await eventually('the next controller has looked at it', async () =>
      (await sandbox.controllerLog()).slice(logged).includes('"app":"default/adopted","ready":"True"'),
    )
    expect([await database.postmaster(), await database.sql('SELECT pg_postmaster_start_time()')]).toEqual(
      before,
    )
    expect((await sandbox.status('adopted')).workload).toMatchObject({ ready: 1, restarts: 0 })
    expect(await database.words()).toEqual(['first', 'while nobody looks'])
  })

  test('is stopped by its own StopSignal: a fast and clean shutdown although somebody is connected', async () => {
    const database = await Database.start(sandbox, 'stopped')
    const idler = spawn(
      path.join(ROOT, 'bin/fairlead'),
      ['exec', 'stopped', '--', ...psql(['SELECT pg_sleep(3600)'])],
      {
        stdio: 'ignore',
        env: { ...process.env, ...sandbox.env },
      },
    )
    const idlerEnded = once(idler, 'exit')
    const sleepers = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'"
    await eventually('somebody is connected', async () => (await database.sql(sleepers)) === '1')
    const data = await sandbox.volumeDir('stopped', DATA)
    expect(await clusterState(data)).not.toBe(1)
    // SIGTERM would wait for the client until the grace period ends, and SIGKILL would leave the cluster running.
    await sandbox.ok(['down', 'stopped'])
    expect(await clusterState(data)).toBe(1)
    await idlerEnded
    await database.up()
    expect(await database.words()).toEqual(['first'])
    const log = await database.log()
    expect(log).toContain('database system was shut down at')
    expect(log).not.toContain(UNCLEAN)
  })

  test('is held by its memory limit, and loses no row over it', async () => {
    const database = await Database.start(sandbox, 'limited')
    const postmaster = await database.postmaster()
    const hungry = await database.trySql(`SELECT length(repeat('x', ${MEMORY_LIMIT * 2}))`)
    expect(hungry.code).toBe(2)
    expect(await database.log()).toMatch(/server process \(PID \d+\) was terminated by signal 9: Killed/)
    await database.answers()
    expect(await database.words()).toEqual(['first'])
    expect(await database.postmaster()).toBe(postmaster)
  })

  test('keeps rows over a new digest of the tag', async () => {
    const layout = await movableLayout(sandbox)
    const database = await Database.start(sandbox, 'rebuilt', `oci:${layout.dir}:15`)
    const before = await sandbox.status('rebuilt')
    await layout.move('15-next')
    await sandbox.ok(['rebuild', 'rebuilt'])
    await database.answers()
    const after = await sandbox.status('rebuilt')
    expect(after.image?.reference).toBe(`oci:${layout.dir}:15`)
    expect(after.image?.digest).not.toBe(before.image?.digest)
    expect(await sandbox.ok(['exec', 'rebuilt', '--', 'printenv', 'IMAGE_REVISION'])).toBe('2\n')
    expect(await database.words()).toEqual(['first'])
    expect(await database.log()).not.toContain(UNCLEAN)
  })

  test('moves with its volumes: export, down with all data, import, up', async () => {
    const database = await Database.start(sandbox, 'moved')
    await sandbox.mustUp([SECRET, database.resource({ suspend: true })])
    const archives = new Map(
      [DATA, '/ext'].map((volume) => [volume, path.join(sandbox.dir, `${path.basename(volume)}.tar`)]),
    )
    for (const [volume, archive] of archives)
      await sandbox.ok(['volumes', 'export', 'moved', volume, '-o', archive])
    await sandbox.ok(['down', 'moved', '--volumes'])
    expect(await sandbox.ok(['volumes', 'ls', 'moved', '-o', 'json'])).not.toContain(DATA)
    for (const [volume, archive] of archives)
      await sandbox.ok(['volumes', 'import', 'moved', volume, archive])
    await database.up()
    expect(await database.words()).toEqual(['first'])
    expect(await database.sql("LOAD '/ext/auto_explain.so'", 'SHOW auto_explain.log_min_duration')).toBe('-1')
    const log = await database.log()
    expect(log).not.toContain(UNCLEAN)
    expect(log).not.toContain('initdb')
  })

  test('is reached by its name from another app of the same file, with the password of their Secret', async () => {
    const port = await freePort()
    const image = `oci:${await postgresLayout()}:15`
    const connection = [
      { name: 'PGPORT', value: String(port) },
      { name: 'PGUSER', value: 'writer' },
    ]
    const server = app('postgres', image, {
      env: [
        ...connection,
        { name: 'POSTGRES_USER', value: 'writer' },
        { name: 'POSTGRES_PASSWORD', ...PASSWORD_FROM_SECRET },
      ],
    })
    const script = [
      "until psql -X -h postgres -c 'CREATE TABLE by_name (word text)'; do sleep 0.1; done",
      `psql -X -h postgres -c "INSERT INTO by_name VALUES ('from ' || '$HOSTNAME')"`,
      'PGPASSWORD=wrong psql -X -h postgres.default -c "SELECT 1"',
      'echo done',
      'exec sleep infinity',
    ]
    const client = app('client', image, {
      args: ['sh', '-c', script.join('\n')],
      env: [...connection, { name: 'PGPASSWORD', ...PASSWORD_FROM_SECRET }],
      terminationGracePeriodSeconds: 1,
    })
    await sandbox.mustUp([SECRET, client, server])
    await eventually('the client is done', async () =>
      (await sandbox.ok(['logs', 'client'])).includes('done\n'),
    )
    expect(await sandbox.ok(['logs', 'client'])).toContain(
      'FATAL:  password authentication failed for user "writer"',
    )
    const words = psql(['SELECT word FROM by_name']).map((word) => (word === 'postgres' ? 'writer' : word))
    expect(await sandbox.ok(['exec', 'postgres', '--', ...words])).toBe('from client\n')
  })
})

test('the same library does not load where plain umoci and runc put the volume: on a noexec tmpfs', async () => {
  await using plain = await plainContainer(`${await postgresLayout()}:15`)
  await mustRun('runc', plain.exec('root', ['cp', `${LIBRARIES}/auto_explain.so`, '/ext/']))
  const load = (library: string) =>
    run(
      'runc',
      plain.exec('own', ['sh', '-c', `echo "LOAD '${library}'" | postgres --single -D /tmp/cluster`]),
    )
  await mustRun('runc', plain.exec('own', ['initdb', '-D', '/tmp/cluster', '--no-sync']))
  expect((await load('/ext/auto_explain.so')).stderr).toContain(NOEXEC_FAILURE)
  expect((await load(`${LIBRARIES}/auto_explain.so`)).stderr).not.toContain('ERROR')
})

interface PlainContainer extends AsyncDisposable {
  /** Arguments of runc that run a command in it. */
  exec(user: 'root' | 'own', command: readonly string[]): readonly string[]
}

/** The image as umoci unpacks it and runc runs it, with nothing but a process that waits. */
async function plainContainer(image: string): Promise<PlainContainer> {
  const dir = await mkdtemp(path.join(tmpdir(), 'fairlead-plain-'))
  const runc = ['--root', path.join(dir, 'runc')]
  const id = `fairlead-plain-${process.pid}`
  const dispose = async () => {
    await run('runc', [...runc, 'delete', '--force', id])
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const bundle = path.join(dir, 'bundle')
    await mustRun('umoci', ['unpack', '--image', image, bundle])
    const config = JSON.parse(await readFile(path.join(bundle, 'config.json'), 'utf8')) as { process: object }
    Object.assign(config.process, { terminal: false, args: ['sleep', 'infinity'] })
    await writeFile(path.join(bundle, 'config.json'), JSON.stringify(config))
    // A detached container would keep pipes of ours open.
    await mustRun('sh', [
      '-c',
      `runc ${runc.join(' ')} run --detach --bundle ${bundle} ${id} >/dev/null 2>&1 </dev/null`,
    ])
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    exec: (user, command) => [...runc, 'exec', ...(user === 'root' ? ['--user', '0:0'] : []), id, ...command],
    [Symbol.asyncDispose]: dispose,
  }
}

/** A layout with one tag `15` that can be moved; its blobs are links to those of the real one. */
async function movableLayout(
  sandbox: Sandbox,
): Promise<{ readonly dir: string; move(tag: string): Promise<void> }> {
  const real = await postgresLayout()
  const dir = path.join(sandbox.dir, 'movable')
  await mkdir(path.join(dir, 'blobs'), { recursive: true })
  await copyFile(path.join(real, 'oci-layout'), path.join(dir, 'oci-layout'))
  await symlink(path.join(real, 'blobs/sha256'), path.join(dir, 'blobs/sha256'))
  const move = async (tag: string) => {
    const index = layoutIndex([{ image: await readLayoutImage(real, tag), tag: '15' }])
    await writeFile(path.join(dir, 'index.json'), JSON.stringify(index))
  }
  await move('15')
  return { dir, move }
}
