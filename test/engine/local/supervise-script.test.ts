/**
 * The script runs here for real, with every program that needs root replaced by one that only writes down how it was
 * called: what the shell makes of hostile names is then seen, not guessed. test/e2e runs it with the real ones.
 */
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { currentBootId } from '../../../src/engine/local/process-facts.ts'
import {
  LOCK_BUSY_EXIT_CODE,
  superviseScript,
  type SuperviseInput,
} from '../../../src/engine/local/supervise-script.ts'
import { takeLock } from '../../../src/engine/local/lock.ts'
import { runToEnd, temporaryFolder } from './temporary.ts'

/** Writes its name and arguments to $CALLS, NUL between words, newline and NUL at the end. */
const RECORD =
  'for word in "${0##*/}" "$@"; do printf "%s\\0" "$word" >>"$CALLS"; done; printf "\\n\\0" >>"$CALLS"'

const FAKES: Readonly<Record<string, string>> = {
  mount: RECORD,
  chown: RECORD,
  // unshare OPTIONS /bin/sh …: only the command.
  unshare: 'while [ "${1#-}" != "$1" ] || [ "$1" = private ]; do shift; done; exec "$@"',
  runtime: `${RECORD}; case "$*" in *" run "*|run*) for last in "$@"; do :; done; exit "\${EXIT_CODE:-0}";; esac`,
}

const HOSTILE = [
  'plain',
  'with space',
  "it's",
  'a "quoted" name',
  '$(touch pwned)',
  '`touch pwned`',
  '${HOME}',
  'semi;colon & more | done > x',
  'new\nline',
  'comma,colon:back\\slash',
  '-rf',
  '*?[a]',
  'tab\tbell\u0007',
  'ünï',
  '#!/bin/sh',
  '%s%n',
]

interface Bench {
  readonly dir: string
  readonly input: SuperviseInput
  readonly run: (env?: Readonly<Record<string, string>>) => ReturnType<typeof runToEnd>
  /** Every call of a fake, as words. */
  readonly calls: () => Promise<string[][]>
  readonly exit: () => Promise<Record<string, number>>
}

async function aBench(name = 'plain', changes: Partial<SuperviseInput> = {}): Promise<Bench> {
  const top = await temporaryFolder()
  const dir = path.join(top, name)
  const bin = path.join(top, 'bin')
  await mkdir(bin)
  for (const [fake, body] of Object.entries(FAKES)) {
    await writeFile(path.join(bin, fake), `#!/bin/sh\n${body}\n`)
    await chmod(path.join(bin, fake), 0o755)
  }
  const input: SuperviseInput = {
    id: 'chat_mattermost_0123456789',
    lockFile: path.join(dir, 'app.lock'),
    claimLocks: [],
    runsDir: path.join(dir, 'runs'),
    bundleDir: path.join(dir, 'bundle'),
    lowerDir: path.join(dir, 'lower'),
    overlayDir: path.join(dir, 'overlay'),
    runtime: ['runtime', '--root', path.join(dir, 'runtime')],
    ownCgroups: undefined,
    oomFile: undefined,
    memoryMounts: [],
    hookOwner: undefined,
    createWorkingDir: undefined,
    ...changes,
  }
  const script = path.join(dir, 'supervise.sh')
  await mkdir(path.join(dir, 'runs', '1'), { recursive: true })
  await mkdir(path.join(dir, 'lower'))
  await writeFile(script, superviseScript(input))
  const calls = path.join(top, 'calls')
  return {
    dir,
    input,
    run: (env = {}) =>
      runToEnd(['/bin/sh', script, '1'], {
        env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, CALLS: calls, ...env },
      }),
    calls: async () =>
      (await readFile(calls, 'utf8'))
        .split('\n\0')
        .filter((call) => call !== '')
        .map((call) => call.split('\0').slice(0, -1)),
    exit: async () =>
      JSON.parse(await readFile(path.join(input.runsDir, '1', 'exit'), 'utf8')) as Record<string, number>,
  }
}

const withEverything = (dir: string): Partial<SuperviseInput> => ({
  claimLocks: [path.join(dir, 'claim 1'), path.join(dir, "claim '2'")],
  ownCgroups: [{ controller: 'memory', writes: [{ file: 'memory.limit_in_bytes', value: '1' }] }],
  oomFile: path.join(dir, 'oom'),
  memoryMounts: [{ dir: path.join(dir, 'memory'), seedFrom: path.join(dir, 'seed'), options: 'size=1' }],
  hookOwner: { uid: 1, gid: 2 },
  createWorkingDir: { path: dir, uid: 1, gid: 2 },
})

describe('the script', () => {
  test.each(HOSTILE)('is one that a shell can read, whatever is in a name: %j', async (name) => {
    const dir = `/state/${name}`
    const { input } = await aBench()
    const ended = await runToEnd(['/bin/sh', '-n'], {
      input: superviseScript({
        ...input,
        ...withEverything(dir),
        lowerDir: dir,
        overlayDir: dir,
        bundleDir: dir,
        runsDir: dir,
        lockFile: dir,
        id: name,
      }),
    })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
  })

  test.each(HOSTILE)('runs the container from a state folder named %j', async (name) => {
    const bench = await aBench(name)
    expect(await bench.run({ EXIT_CODE: '7' })).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(await bench.exit()).toMatchObject({ exitCode: 7, oomKills: 0 })
    const { input } = bench
    expect(await bench.calls()).toContainEqual([
      ...input.runtime,
      '--log',
      path.join(input.runsDir, '1/runtime.log'),
      'run',
      '--keep',
      '--pid-file',
      path.join(input.runsDir, '1/pid'),
      '--bundle',
      input.bundleDir,
      input.id,
    ])
    expect((await readdir(bench.dir)).toSorted()).toEqual([
      'app.lock',
      'bundle',
      'lower',
      'overlay',
      'runs',
      'supervise.sh',
    ])
  })

  test.each(HOSTILE)('names the layers of the overlay so that the kernel finds them: %j', async (name) => {
    const bench = await aBench(name)
    await bench.run()
    const mount = (await bench.calls()).find((call) => call[0] === 'mount') ?? []
    const escaped = (dir: string) =>
      dir.replaceAll('\\', '\\\\').replaceAll(',', '\\,').replaceAll(':', '\\:')
    expect(mount).toEqual([
      'mount',
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=${escaped(path.join(bench.dir, 'lower'))},upperdir=${escaped(path.join(bench.dir, 'overlay'))}/upper,workdir=${escaped(path.join(bench.dir, 'overlay'))}/work`,
      path.join(bench.dir, 'bundle/rootfs'),
    ])
  })
})

test('it says who it is before anything else: its pid, start time and boot', async () => {
  const bench = await aBench()
  await bench.run()
  const line = await readFile(path.join(bench.input.runsDir, '1/supervisor'), 'utf8')
  expect(line).toMatch(new RegExp(`^\\d+ \\d+ ${currentBootId()}\\n$`))
})

test.each([0, 1, 98, 137, 255])('exit code %i is kept, with the time', async (code) => {
  const bench = await aBench()
  const before = Math.floor(Date.now() / 1000)
  await bench.run({ EXIT_CODE: String(code) })
  const { exitCode, startedAt = 0, finishedAt = 0 } = await bench.exit()
  expect(exitCode).toBe(code)
  expect(startedAt).toBeGreaterThanOrEqual(before)
  expect(finishedAt).toBeGreaterThanOrEqual(startedAt)
})

test.each([
  ['low 0\nmax 3\noom_kill 2\noom_group_kill 9\n', 2],
  ['oom_kill_disable 0\nunder_oom 0\noom_kill 5\n', 5],
  ['nothing of the kind\n', 0],
  [undefined, 0],
])('the count of kills for memory in %j is %i', async (content, kills) => {
  const dir = await temporaryFolder()
  const oomFile = path.join(dir, 'memory events')
  if (content !== undefined) await writeFile(oomFile, content)
  const bench = await aBench('plain', { oomFile })
  await bench.run()
  expect(await bench.exit()).toMatchObject({ oomKills: kills })
})

describe('what can not be set up', () => {
  test('is the end of the run, with the reason in its log', async () => {
    const bench = await aBench()
    await writeFile(path.join(path.dirname(bench.dir), 'bin', 'mount'), '#!/bin/sh\nexit 32\n')
    expect(await bench.run()).toMatchObject({ code: 0 })
    expect(await bench.exit()).toMatchObject({ exitCode: 98 })
    expect(await readFile(path.join(bench.input.runsDir, '1/runtime.log'), 'utf8')).toBe(
      'fairlead: cannot mount the overlay\n',
    )
  })

  test('for want of the folder of the run starts nothing at all', async () => {
    const bench = await aBench('plain', { runsDir: '/nowhere' })
    expect(await bench.run()).toMatchObject({ code: 98 })
    await expect(bench.calls()).rejects.toThrow('ENOENT')
  })
})

describe('locks', () => {
  test.each<[string, (bench: Bench) => string]>([
    ['the app', ({ input }) => input.lockFile],
    ['a claim', ({ input }) => input.claimLocks[0] ?? ''],
    ["another claim with 'quotes'", ({ input }) => input.claimLocks[1] ?? ''],
  ])('of %s that somebody else holds keep it from starting', async (_title, fileOf) => {
    const top = await temporaryFolder()
    const bench = await aBench('plain', {
      claimLocks: [path.join(top, 'claim a'), path.join(top, "claim 'b'")],
    })
    const lock = await takeLock(fileOf(bench), { wait: false })
    expect(await bench.run()).toMatchObject({ code: LOCK_BUSY_EXIT_CODE })
    await expect(bench.calls()).rejects.toThrow('ENOENT')
    await lock?.release()
    expect(await bench.run()).toMatchObject({ code: 0 })
    expect(await bench.exit()).toMatchObject({ exitCode: 0 })
  })
})

describe('the working directory that the image lacks', () => {
  test('is made with parents that everybody can enter, and given to the user', async () => {
    const bench = await aBench('plain', {
      createWorkingDir: { path: '/srv/my app/deep', uid: 2000, gid: 2001 },
    })
    await bench.run()
    const root = path.join(bench.input.bundleDir, 'rootfs')
    const modes = await runToEnd([
      'stat',
      '-c',
      '%a',
      `${root}/srv`,
      `${root}/srv/my app`,
      `${root}/srv/my app/deep`,
    ])
    expect(modes.stdout).toBe('755\n755\n755\n')
    expect(await bench.calls()).toContainEqual(['chown', '2000:2001', '--', `${root}/srv/my app/deep`])
  })

  test('is left alone where it is', async () => {
    const bench = await aBench('plain', { createWorkingDir: { path: '/', uid: 2000, gid: 2001 } })
    await bench.run()
    expect((await bench.calls()).some(([name]) => name === 'chown')).toBe(false)
  })
})

test('a volume in memory is mounted with its options and seeded', async () => {
  const dir = await temporaryFolder()
  const seedFrom = path.join(dir, "the seed's")
  await mkdir(path.join(seedFrom, 'below'), { recursive: true })
  const memory = path.join(dir, 'memory $(x)')
  const bench = await aBench('plain', {
    memoryMounts: [{ dir: memory, seedFrom, options: 'size=1,mode=755' }],
  })
  await bench.run()
  expect(await bench.calls()).toContainEqual([
    'mount',
    '-t',
    'tmpfs',
    '-o',
    'size=1,mode=755',
    'tmpfs',
    memory,
  ])
  expect(await readdir(memory)).toEqual(['below'])
})

test('results of hooks lie on a small tmpfs of the user and are kept after the run', async () => {
  const bench = await aBench('plain', { hookOwner: { uid: 2000, gid: 2001 } })
  const results = path.join(bench.input.runsDir, '1/hooks-mount')
  await mkdir(results)
  await writeFile(path.join(results, 'ok'), '')
  await runToEnd(['mkfifo', path.join(results, 'fifo')])
  await runToEnd(['ln', '-s', '/etc/passwd', path.join(results, 'link')])
  await bench.run()
  const calls = await bench.calls()
  expect(calls).toContainEqual([
    'mount',
    '-t',
    'tmpfs',
    '-o',
    'size=1m,nr_inodes=256,mode=700,uid=2000,gid=2001,nosuid,nodev,noexec',
    'tmpfs',
    results,
  ])
  expect(calls).toContainEqual(['mount', '--bind', results, path.join(bench.input.bundleDir, 'hooks')])
  const kept = await runToEnd(
    ['stat', '-c', '%n %F', 'fifo', 'link', 'ok'].map((word, index) =>
      index < 3 ? word : path.join(bench.input.runsDir, '1/hooks', word),
    ),
  )
  expect(kept.stdout.split('\n').map((line) => line.replace(/^.*\//, ''))).toEqual([
    'ok regular empty file',
    '',
  ])
})

test('a second run begins with an empty writable layer', async () => {
  const bench = await aBench()
  await bench.run()
  await writeFile(path.join(bench.input.overlayDir, 'upper', 'left over'), '')
  await bench.run()
  expect(await readdir(path.join(bench.input.overlayDir, 'upper'))).toEqual([])
})

test('the container is removed from the runtime before and after each run', async () => {
  const bench = await aBench()
  await bench.run()
  const words = (await bench.calls())
    .filter(([name]) => name === 'runtime')
    .map((call) => (call[3] === '--log' ? call[5] : call[3]))
  expect(words).toEqual(['delete', 'run', 'delete'])
})
