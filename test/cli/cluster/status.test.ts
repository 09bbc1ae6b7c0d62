import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryKube } from '../../support/memory-kube.ts'
import { ExpectedError } from '../../../src/errors.ts'
import { condition, runningStatus } from '../prepared-state.ts'
import { ClusterDesk } from './world.ts'

let desk: ClusterDesk
beforeEach(() => {
  desk = new ClusterDesk()
  return () => desk[Symbol.dispose]()
})

async function threeApps(): Promise<void> {
  await desk.app('chat/web', runningStatus())
  await desk.app('chat/fresh')
  await desk.app(
    'other/bad',
    runningStatus({
      conditions: [condition('Ready', 'False', 'ExecNotFound'), condition('Stalled', 'True', 'ExecNotFound')],
    }),
  )
}

describe('the table', () => {
  test.each([
    [['status'], ['chat/fresh', 'chat/web']],
    [['status', '-n', 'other'], ['other/bad']],
    [
      ['status', '-A'],
      ['chat/fresh', 'chat/web', 'other/bad'],
    ],
  ])('of %j has %j', async (args, names) => {
    await threeApps()
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const rows = stdout.split('\n').slice(1, -1)
    expect(rows.map((line) => line.split(' ')[0])).toEqual(names)
  })

  test('fits into 80 columns', async () => {
    await desk.app(`${'n'.repeat(60)}/${'m'.repeat(60)}`, runningStatus(), {
      image: `${'long/'.repeat(20)}app:1`,
    })
    const { stdout } = await desk.run(['status', '-A'], { outputIsTerminal: true, env: { NO_COLOR: '1' } })
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBe(80)
  })

  test('cuts images before names', async () => {
    await desk.app('production/mattermost', runningStatus(), { image: 'registry.example.com/team/chat:1.0' })
    const { stdout } = await desk.run(['status', '-A'], { outputIsTerminal: true, env: { NO_COLOR: '1' } })
    expect(stdout).toMatch(/^production\/mattermost {2}registry.*….*:1\.0 {2}/m)
  })

  test('says where there is nothing', async () => {
    expect(await desk.run(['status'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'no apps in namespace chat\n',
    })
  })
})

describe('one app', () => {
  test('is the whole resource in JSON', async () => {
    await threeApps()
    const { stdout } = await desk.run(['status', 'web', '-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'fairlead.dev/v1alpha1',
      kind: 'ContainerApp',
      metadata: { name: 'web', namespace: 'chat', generation: 1 },
      spec: { image: 'example/app:1' },
      status: { observedGeneration: 1, conditions: [{ type: 'Ready' }, { type: 'Rendered' }] },
    })
  })

  test('is a page for people', async () => {
    await threeApps()
    const { stdout } = await desk.run(['status', 'other/bad'])
    expect(stdout).toContain('other/bad  ExecNotFound')
    expect(stdout).toContain('/data')
  })

  test('that nobody looks at makes its reader think of what is watched', async () => {
    await threeApps()
    expect((await desk.run(['status', 'fresh'])).stdout).toContain('does it watch this namespace?\n')
    const { stdout } = await desk.run(['explain', 'fresh'])
    expect(stdout).toContain('\n  No controller has looked at it yet; if that stays so: does one run')
    expect((await desk.run(['explain', 'web'])).stdout).not.toContain('has looked at it')
  })

  test('says how to go back in the words of the plugin', async () => {
    const image = runningStatus().image
    if (image === undefined) throw new Error('no image')
    const history = [{ digest: image.digest, reference: image.reference, resolvedAt: image.resolvedAt }]
    await desk.app('chat/web', runningStatus({ image: { ...image, history } }))
    expect((await desk.run(['status', 'web'])).stdout).toContain(
      '1 other digest; kubectl fairlead rollback goes to the one pinned before',
    )
  })

  test('that is not there ends with 1 and its reason', async () => {
    const { code, stdout, stderr } = await desk.run(['status', 'none'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^NotFound: there is no ContainerApp none in namespace chat/)
  })
})

test('--watch prints again what changed, until interrupted', async () => {
  await desk.app('chat/web')
  const abort = new AbortController()
  const answers: string[] = []
  const onStdout = (text: string) => {
    answers.push(text)
    if (answers.length === 1) void desk.writeStatus('chat/web', runningStatus())
    if (answers.length === 2) abort.abort()
  }
  await desk.run(['status', '-w'], { signal: abort.signal, onStdout })
  expect(answers.map((text) => /Pending|Running/.exec(text)?.[0])).toEqual(['Pending', 'Running'])
})

test('the server refuses: reason and sentence, exit 1', async () => {
  const before = () => {
    throw new ExpectedError('ClusterForbidden', 'user u may not list containerapps in namespace chat')
  }
  using refused = new ClusterDesk(new MemoryKube({ before }))
  expect(await refused.run(['status'])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'ClusterForbidden: user u may not list containerapps in namespace chat\n',
  })
})
