/**
 * Row 4, hooks: what would fail inside the container is refused before anything starts, each with its own reason, while
 * the plain runtime says nothing. A good hook runs as the container's user; a failing one is told from an app's crash.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { HOOK_PARTS, HOOK_VOLUMES, REFUSED_HOOKS } from '../support/hook-cases.ts'
import { writeLayout } from '../support/layout.ts'
import { app, eventually, runProgram, Sandbox } from '../support/sandbox.ts'

async function hookLayout(sandbox: Sandbox, run = WAIT_FOREVER): Promise<string> {
  const layout = path.join(sandbox.dir, 'layout')
  await writeLayout(layout, [
    { tag: 'latest', image: busyboxImage({ parts: HOOK_PARTS, run, config: { User: 'app' } }) },
  ])
  return `oci:${layout}:latest`
}

describe('a hook that could not run is refused before start', () => {
  test.each(REFUSED_HOOKS)('%s: %s is %s', async (_title, hook, reason) => {
    await using sandbox = await Sandbox.create()
    const resource = app('hooked', await hookLayout(sandbox), {
      volumes: HOOK_VOLUMES,
      hooks: [{ path: hook }],
    })
    const result = await sandbox.up([resource])
    expect(result.code, result.stderr).toBe(1)
    expect(result.stderr).toContain(`${reason}:`)
    const status = await sandbox.status('hooked')
    expect(status.conditions?.find(({ type }) => type === 'Stalled')).toMatchObject({
      status: 'True',
      reason,
    })
    expect(status.workload).toMatchObject({ replicas: 0 })
  })

  test('all at once: check names every hook with its own reason and path', async () => {
    await using sandbox = await Sandbox.create()
    const resource = app('all', await hookLayout(sandbox), {
      volumes: HOOK_VOLUMES,
      hooks: REFUSED_HOOKS.map(([, hook]) => ({ path: hook })),
    })
    await writeFile(path.join(sandbox.dir, 'app.json'), JSON.stringify(resource))
    const result = await sandbox.cli(['check', '-f', path.join(sandbox.dir, 'app.json'), '-o', 'json'])
    const report = JSON.parse(result.stdout) as {
      ok: boolean
      issues: { severity: string; reason: string; path: string }[]
    }
    expect(report.ok).toBe(false)
    const errors = report.issues
      .filter(({ severity }) => severity === 'error')
      .map(({ reason, path: field }) => `${field} ${reason}`)
    // One hook may have two problems with one reason: neither executable nor readable for the app's user.
    expect([...new Set(errors)]).toEqual(
      REFUSED_HOOKS.map(([, , reason], index) => `spec.hooks[${index}].path ${reason}`),
    )
  })

  test('while the old revision keeps running', async () => {
    await using sandbox = await Sandbox.create()
    const image = await hookLayout(sandbox)
    await sandbox.mustUp([app('steady', image)])
    const before = await sandbox.status('steady')
    const result = await sandbox.up([app('steady', image, { hooks: [{ path: '/hooks/none' }] })])
    expect(result.code).toBe(1)
    const after = await sandbox.status('steady')
    const states = Object.fromEntries((after.conditions ?? []).map(({ type, status }) => [type, status]))
    expect(states).toMatchObject({ Ready: 'False', Stalled: 'True', WorkloadAvailable: 'True' })
    expect(after.workload).toMatchObject({ ready: 1, revision: before.workload?.revision, restarts: 0 })
  })
})

test.each(['missing', 'not executable', 'a script without #!', 'a program without its loader'])(
  'the plain runtime says 0 at start for the same bundle with a hook that is %s',
  async (title) => {
    await using sandbox = await Sandbox.create()
    const hook = REFUSED_HOOKS.find(([name]) => name === title)?.[1] ?? ''
    const bundle = path.join(sandbox.dir, 'bundle')
    await sandbox.ok(['unpack', await hookLayout(sandbox), bundle, '--bundle'])
    const config = JSON.parse(await readFile(path.join(bundle, 'config.json'), 'utf8')) as Record<
      string,
      unknown
    >
    const hooks = { startContainer: [{ path: hook, args: [hook] }] }
    await writeFile(path.join(bundle, 'config.json'), JSON.stringify({ ...config, hooks }))
    const root = path.join(sandbox.dir, 'runc')
    await mkdir(root)
    const runc = (...args: string[]) => runProgram('runc', ['--root', root, ...args])
    const id = `plain-${path.basename(sandbox.dir)}`
    // `create` keeps our pipes open through the container's stdio; files let the call end.
    execFileSync('sh', [
      '-c',
      'exec runc --root "$1" create --bundle "$2" "$3" >"$2/out" 2>&1 </dev/null',
      'sh',
      root,
      bundle,
      id,
    ])
    try {
      expect((await runc('start', id)).code).toBe(0)
      await eventually(
        'the container is stopped',
        async () => (JSON.parse((await runc('state', id)).stdout) as { status: string }).status === 'stopped',
      )
    } finally {
      await runc('delete', '--force', id)
    }
  },
)

describe.each(['runc', 'crun'] as const)('under %s', (runtime) => {
  test('a good hook runs before the app, in the container, as its user, without the controller’s environment', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const image = await hookLayout(sandbox, `[ -s /out/uid ] && echo after-hook >/out/order; ${WAIT_FOREVER}`)
    const hooks = [
      { path: '/hooks/good', args: ['it\'s $(id) "quoted"'], env: [{ name: 'OWN', value: 'mine; id' }] },
    ]
    await sandbox.mustUp([app('good', image, { volumes: [{ path: '/out' }], hooks })])
    const out = await sandbox.volumeDir('good', '/out')
    const read = (name: string) => readFileSync(path.join(out, name), 'utf8')
    await eventually('the app ran after the hook', () => existsSync(path.join(out, 'order')))
    expect(read('uid')).toBe('2000\n2000\n')
    expect(read('arg')).toBe('it\'s $(id) "quoted"\n')
    const env = read('env').trim().split('\n')
    expect(env).toContain('OWN=mine; id')
    expect(env.some((line) => line.startsWith('FAIRLEAD'))).toBe(false)
  })

  test.each([
    ['fails', '/hooks/fails', 5, ['spec.hooks[1]', '/hooks/fails', 'exit code 3', 'the reason is here']],
    ['runs past its timeout', '/hooks/slow', 1, ['spec.hooks[1]', '/hooks/slow', 'timeout']],
  ])(
    'a hook that %s is HookFailed with which one and its stderr',
    async (_title, hook, timeoutSeconds, words) => {
      await using sandbox = await Sandbox.create({ runtime })
      const hooks = [{ path: '/hooks/good' }, { path: hook, timeoutSeconds }]
      const result = await sandbox.up([
        app('failing', await hookLayout(sandbox), { volumes: [{ path: '/out' }], hooks }),
      ])
      expect(result.code, result.stdout + result.stderr).toBe(1)
      expect(result.stderr).toContain('HookFailed')
      for (const word of words) expect(result.stderr).toContain(word)
      expect((await sandbox.status('failing')).workload?.lastTermination?.reason).toBe('HookFailed')
    },
  )

  test('an app that crashes is not taken for a hook that failed', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const hooks = [{ path: '/hooks/good' }]
    await sandbox.up(
      [app('crash', await hookLayout(sandbox, 'exit 7'), { volumes: [{ path: '/out' }], hooks })],
      ['--wait-timeout', '5s'],
    )
    await eventually('the crash is told', async () => {
      const last = (await sandbox.status('crash')).workload?.lastTermination
      return last?.reason === 'Exited' && last.exitCode === 7
    })
  })
})
