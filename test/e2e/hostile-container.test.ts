/**
 * What a process in a container can do to the host by what it leaves behind: in volumes, in the results of hooks, in
 * the files that the engine lends it. A canary outside of the state folder must never be reached.
 */
import { existsSync, readdirSync, readFileSync, type Dirent } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLocal } from '../../src/engine/local/open.ts'
import { runPaths } from '../../src/engine/local/paths.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { writeLayout } from '../support/layout.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'

async function image(sandbox: Sandbox, run: string): Promise<string> {
  const layout = path.join(sandbox.dir, 'layout')
  await writeLayout(layout, [{ tag: 'latest', image: busyboxImage({ run }) }])
  return `oci:${layout}:latest`
}

async function canaryIn(sandbox: Sandbox): Promise<string> {
  const canary = path.join(sandbox.dir, 'canary')
  await mkdir(canary)
  await writeFile(path.join(canary, 'secret'), "the host's\n")
  return canary
}

async function lastRun(sandbox: Sandbox, name: string) {
  const { instances, paths } = openLocal({ stateDir: sandbox.state })
  const [record] = await instances.list({ namespace: 'default', name })
  if (record === undefined) throw new Error(`no instance of ${name}`)
  return runPaths(paths, record.id, (await instances.runs(record.id)).at(-1) ?? 0)
}

/** The app exits and is started again until `/data/starts` has this many lines, or refuses for good. */
async function settled(sandbox: Sandbox, name: string, reason: string): Promise<void> {
  await eventually(`${name} is ${reason}`, async () => {
    const { conditions } = await sandbox.status(name)
    return conditions?.some((condition) => condition.reason === reason) === true
  })
}

describe.each(['runc', 'crun'] as const)('under %s', (runtime) => {
  test.each([
    ['a folder', 'x', 'x', '/sub/secret'],
    ['a folder on the way', 'x/canary', 'x', '/sub/secret'],
    ['a file', 'x/secret', 'x', '/sub'],
    ['the file itself', 'file', 'file', '/sub'],
  ])('a subPath of which %s became a link is not mounted', async (_what, subPath, replaced, read) => {
    await using sandbox = await Sandbox.create({ runtime })
    const canary = await canaryIn(sandbox)
    const source = path.join(sandbox.dir, 'source')
    await mkdir(path.join(source, 'x/canary'), { recursive: true })
    await writeFile(path.join(source, 'x/secret'), 'own\n')
    await writeFile(path.join(source, 'file'), 'own\n')
    const target = { x: subPath === 'x/canary' ? sandbox.dir : canary, file: path.join(canary, 'secret') }
    const run = [
      `if [ -e /data/done ]; then cat ${read} >/data/stolen; echo mine >${read}; ${WAIT_FOREVER}; fi`,
      'touch /data/done',
      `rm -rf /data/${replaced}`,
      `/bin/busybox ln -s ${target[replaced as 'x' | 'file']} /data/${replaced}`,
      'exit 1',
    ].join('\n')
    const hostPath = { path: source }
    const volumes = [
      { path: '/data', source: { hostPath } },
      { path: '/sub', source: { hostPath, subPath } },
    ]
    await sandbox.up([app('thief', await image(sandbox, run), { volumes })], ['--no-wait'])
    await settled(sandbox, 'thief', 'RuntimeFailed')
    expect(readdirSync(source)).toContain('done')
    expect(readdirSync(source)).not.toContain('stolen')
    expect(readFileSync(path.join(canary, 'secret'), 'utf8')).toBe("the host's\n")
    expect(readdirSync(canary)).toEqual(['secret'])
  })

  test('two parts of one claim, a folder and a file, are mounted and written to', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const fill = "mkdir -p '/data/it'\"'\"'s/deep'; echo a >/data/file; echo ready >/data/ready"
    const source = { claimName: 'shared' }
    await sandbox.mustUp([
      app('first', await image(sandbox, `${fill}; ${WAIT_FOREVER}`), {
        volumes: [{ path: '/data', source }],
      }),
    ])
    const { volumes } = openLocal({ stateDir: sandbox.state })
    const [stored] = await volumes.listAll()
    const data = stored?.dataDir ?? ''
    await eventually('the claim is filled', () => readdirSync(data).includes('ready'))
    await sandbox.ok(['down', 'first'])
    const run = `echo one >/one/new; cat /two >/one/copy; ${WAIT_FOREVER}`
    const parts = [
      { path: '/one', source: { ...source, subPath: "it's/deep" } },
      { path: '/two', source: { ...source, subPath: 'file' } },
    ]
    await sandbox.mustUp([app('second', await image(sandbox, run), { volumes: parts })])
    await eventually('both were used', () => readdirSync(path.join(data, "it's/deep")).includes('copy'))
    expect(readFileSync(path.join(data, "it's/deep/copy"), 'utf8')).toBe('a\n')
    expect(readFileSync(path.join(data, "it's/deep/new"), 'utf8')).toBe('one\n')
  })

  test('folders deeper than any path can name go with their container and their volume', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const name = 'n'.repeat(200)
    const dig = `i=0; while [ $i -lt 30 ]; do mkdir ${name} && cd -P ./${name} || exit; i=$((i+1)); done`
    const run = `(cd /home; ${dig}); (cd /data; ${dig}); touch /data/deep; ${WAIT_FOREVER}`
    await sandbox.mustUp([app('deep', await image(sandbox, run), { volumes: [{ path: '/data' }] })])
    const data = await sandbox.volumeDir('deep', '/data')
    await eventually('it has dug', () => readdirSync(data).includes('deep'))
    await sandbox.ok(['down', 'deep', '--volumes'])
    const left = readdirSync(path.join(sandbox.state, 'instances')).filter((each) => !each.endsWith('.lock'))
    expect(left).toEqual([])
    expect(readdirSync(path.join(sandbox.state, 'volumes/default/deep'))).toEqual([])
  })

  test('of what is left as the result of hooks only plain files are kept', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const canary = await canaryIn(sandbox)
    const run = [
      'cd /.fairlead/run && rm -f 0.* ok',
      // The watchdog: only opening it would make it bite.
      '/bin/busybox mknod 0.stderr c 10 130; /bin/busybox mknod 0.code c 1 5; /bin/busybox mkfifo 0.timeout',
      `/bin/busybox ln -s ${canary}/secret 0.stdout; mkdir deep; /bin/busybox mknod deep/d b 8 0`,
      '/bin/busybox truncate -s 1000000000000 giant',
      'echo 0 >failed; exit 3',
    ].join('\n')
    const hooks = [{ stage: 'StartContainer', path: '/bin/true' }]
    await sandbox.up([app('liar', await image(sandbox, run), { hooks })], ['--no-wait'])
    await settled(sandbox, 'liar', 'HookFailed')
    // It is started again and again: the newest run may not have come to its end yet.
    let kinds: readonly Dirent[] = []
    await eventually('a run has left its result', async () => {
      const { hooks: dir } = await lastRun(sandbox, 'liar')
      if (!existsSync(path.join(dir, 'failed'))) return false
      kinds = readdirSync(dir, { withFileTypes: true, recursive: true })
      return true
    })
    expect(kinds.filter((entry) => !entry.isFile()).map((entry) => entry.name)).toEqual([])
    expect(JSON.stringify(await sandbox.status('liar'))).not.toContain("the host's")
  })

  test('giant and odd files in place of those that the engine lends keep no other app from its own', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const run = [
      'for name in hosts hostname resolv.conf; do /bin/busybox truncate -s 5000000000 /etc/$name; done',
      'echo done >/data/done',
      WAIT_FOREVER,
    ].join('\n')
    const spec = { volumes: [{ path: '/data' }] }
    await sandbox.mustUp([app('giant', await image(sandbox, run), spec)])
    const data = await sandbox.volumeDir('giant', '/data')
    await eventually('the files are giant', () => readdirSync(data).includes('done'))
    await sandbox.mustUp([app('other', await image(sandbox, WAIT_FOREVER))])
    await eventually('giant knows other', async () =>
      (await sandbox.ok(['exec', 'giant', '--', 'cat', '/etc/hosts'])).includes('other.default'),
    )
    expect(await sandbox.controllerLog()).not.toContain('internal error')
    expect((await sandbox.status('giant')).conditions?.map(({ reason }) => reason)).not.toContain(
      'InternalError',
    )
  })
})
