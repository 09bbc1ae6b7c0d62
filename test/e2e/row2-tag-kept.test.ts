/**
 * Row 2, the tag is kept: the user's words stay byte for byte, what runs is a digest, and only asking moves it. On a
 * real registry on loopback.
 */
import { parseAllDocuments } from 'yaml'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AppStatus } from '../../src/crd/status.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { dir, file } from '../support/layer.ts'
import { pushImage } from '../support/layout.ts'
import { startRegistry } from '../support/real-registry.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'

let registry: Awaited<ReturnType<typeof startRegistry>>

beforeAll(async () => {
  registry = await startRegistry()
})
afterAll(async () => {
  await registry.stop()
})

/** Images that differ only in what they say of themselves. */
function saying(word: string, env: readonly string[] = []) {
  return busyboxImage({
    parts: [dir('say'), file('say/word', word)],
    run: WAIT_FOREVER,
    config: { Env: ['PATH=/bin', ...env] },
  })
}

function condition(status: AppStatus, type: string) {
  return status.conditions?.find((entry) => entry.type === type)
}

async function runningWord(sandbox: Sandbox, name: string): Promise<string> {
  return sandbox.ok(['exec', name, '--', 'cat', '/say/word'])
}

describe('a tag', () => {
  test('is not mixed up with another: app:apache and app:latest differ, and rebuild brings apache again', async () => {
    await using sandbox = await Sandbox.create()
    await pushImage(registry.host, 'kept/app', 'apache', saying('apache 1'))
    await pushImage(registry.host, 'kept/app', 'latest', saying('latest'))
    const image = `${registry.host}/kept/app:apache`
    await sandbox.mustUp([app('kept', image)])
    expect(await runningWord(sandbox, 'kept')).toBe('apache 1')
    await pushImage(registry.host, 'kept/app', 'apache', saying('apache 2'))
    await sandbox.ok(['rebuild', 'kept'])
    expect(await runningWord(sandbox, 'kept')).toBe('apache 2')
    const status = await sandbox.status('kept')
    expect(status.image?.reference).toBe(image)
    expect(status.image?.history).toHaveLength(1)
    await sandbox.ok(['rollback', 'kept'])
    expect(await runningWord(sandbox, 'kept')).toBe('apache 1')
    expect((await sandbox.status('kept')).image?.reference).toBe(image)
  })

  test('that moves is shown as ImageOutdated and changes nothing by itself', async () => {
    await using sandbox = await Sandbox.create()
    await pushImage(registry.host, 'moved/app', 'v1', saying('old'))
    await sandbox.mustUp([app('moved', `${registry.host}/moved/app:v1`)])
    const before = await sandbox.status('moved')
    await pushImage(registry.host, 'moved/app', 'v1', saying('new'))
    await eventually(
      'ImageOutdated is shown',
      async () => condition(await sandbox.status('moved'), 'ImageOutdated') !== undefined,
    )
    const after = await sandbox.status('moved')
    expect(after.image?.digest).toBe(before.image?.digest)
    expect(after.workload).toMatchObject({ revision: before.workload?.revision, restarts: 0 })
    expect(condition(after, 'Ready')?.status).toBe('True')
    expect(await runningWord(sandbox, 'moved')).toBe('old')
    expect(condition(after, 'ImageOutdated')?.message).toContain(
      ': the configuration is the same, 1 of 2 layers is new; what runs stays',
    )
    const secret = busyboxImage({
      run: WAIT_FOREVER,
      parts: [dir('say'), file('say/word', 'newer')],
      config: { Env: ['PATH=/bin', 'TOKEN=hidden'], User: '2000', Volumes: ['/data'] },
    })
    await pushImage(registry.host, 'moved/app', 'v1', secret)
    const words = ': adds VOLUME /data, user root → 2000, adds env TOKEN; what runs stays'
    await eventually('the next move is told in words', async () => {
      const { message = '' } = condition(await sandbox.status('moved'), 'ImageOutdated') ?? {}
      return message.includes(words) && !message.includes('hidden')
    })
    await sandbox.ok(['rebuild', 'moved'])
    expect(condition(await sandbox.status('moved'), 'ImageOutdated')).toBeUndefined()
  })

  test('keeps its digest through an edit of anything but the image', async () => {
    await using sandbox = await Sandbox.create()
    await pushImage(registry.host, 'edit/app', 'v1', saying('old'))
    const image = `${registry.host}/edit/app:v1`
    await sandbox.mustUp([app('edit', image)])
    await pushImage(registry.host, 'edit/app', 'v1', saying('new'))
    await sandbox.mustUp([app('edit', image, { env: [{ name: 'ADDED', value: 'yes' }] })])
    expect(await runningWord(sandbox, 'edit')).toBe('old')
    expect(await sandbox.ok(['exec', 'edit', '--', 'env'])).toContain('ADDED=yes')
  })
})

test('the same layers with another ENV are a new revision, and a variable that the new image drops is gone', async () => {
  await using sandbox = await Sandbox.create()
  await pushImage(registry.host, 'env/app', 'v1', saying('same', ['OLD=1', 'BOTH=1']))
  await sandbox.mustUp([app('env', `${registry.host}/env/app:v1`)])
  const before = await sandbox.status('env')
  await pushImage(registry.host, 'env/app', 'v1', saying('same', ['BOTH=2', 'NEW=2']))
  await sandbox.ok(['rebuild', 'env'])
  const after = await sandbox.status('env')
  expect(after.workload?.revision).not.toBe(before.workload?.revision)
  const env = (await sandbox.ok(['exec', 'env', '--', 'env'])).split('\n')
  expect(env).toEqual(expect.arrayContaining(['BOTH=2', 'NEW=2']))
  expect(env.some((line) => line.startsWith('OLD='))).toBe(false)
})

test('a registry that is down changes nothing: still running, Ready unchanged, rebuild says why and keeps the pin', async () => {
  await using sandbox = await Sandbox.create()
  const own = await startRegistry()
  await pushImage(own.host, 'down/app', 'v1', saying('up'))
  await sandbox.mustUp([app('down', `${own.host}/down/app:v1`)])
  const before = await sandbox.status('down')
  await own.stop()
  const rebuild = await sandbox.cli(['rebuild', 'down', '--wait-timeout', '5s'])
  expect(rebuild.code).toBe(1)
  expect(rebuild.stderr).toContain('RegistryUnavailable')
  await sandbox.stopController('SIGKILL')
  await sandbox.mustUp([app('down', `${own.host}/down/app:v1`, { env: [{ name: 'EDIT', value: 'works' }] })])
  const after = await sandbox.status('down')
  expect(after.image?.digest).toBe(before.image?.digest)
  expect(condition(after, 'Ready')).toMatchObject({ status: 'True', lastTransitionTime: expect.any(String) })
  expect(await sandbox.ok(['exec', 'down', '--', 'env'])).toContain('EDIT=works')
})

test.each([
  ['status', (sandbox: Sandbox) => sandbox.ok(['status', 'words', '-o', 'yaml'])],
  [
    'render',
    async (sandbox: Sandbox) =>
      sandbox.ok(['render', '-f', '-', '--engine', 'local'], {
        input: await sandbox.ok(['status', 'words', '-o', 'yaml']),
      }),
  ],
])(
  'what %s prints, applied on an empty state, brings back the digest and the words',
  async (_name, print) => {
    await using sandbox = await Sandbox.create()
    await pushImage(registry.host, 'words/app', 'v1', saying('first'))
    const image = `${registry.host}/words/app:v1`
    await sandbox.mustUp([app('words', image)])
    const before = await sandbox.status('words')
    const text = await print(sandbox)
    expect(parseAllDocuments(text)[0]?.getIn(['spec', 'image'])).toBe(image)
    await pushImage(registry.host, 'words/app', 'v1', saying('second'))

    await using empty = await Sandbox.create()
    await sandbox.ok(['down', 'words'])
    await empty.ok(['up', '-f', '-'], { input: text })
    const after = await empty.status('words')
    expect(after.image).toMatchObject({ reference: image, digest: before.image?.digest })
    expect(await runningWord(empty, 'words')).toBe('first')
  },
)
