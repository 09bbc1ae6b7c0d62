import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { engineFileContents, hostsFile, updateEngineFiles } from '../../../src/engine/local/engine-files.ts'
import { KEY } from '../../support/builders.ts'
import { temporaryFolder, withUmask } from './temporary.ts'

const OTHERS = [
  { namespace: 'chat', name: 'db' },
  { namespace: 'shop', name: 'web' },
]

describe('/etc/hosts', () => {
  test('knows every app under the names of its Service, short ones in its own namespace only', () => {
    expect(hostsFile(KEY, [KEY, ...OTHERS])).toBe(
      [
        '127.0.0.1 localhost',
        '::1 localhost ip6-localhost ip6-loopback',
        '127.0.0.1 mattermost mattermost.chat mattermost.chat.svc mattermost.chat.svc.cluster.local',
        '127.0.0.1 db db.chat db.chat.svc db.chat.svc.cluster.local',
        '127.0.0.1 web.shop web.shop.svc web.shop.svc.cluster.local',
        '',
      ].join('\n'),
    )
  })

  test('knows the app itself, also before it is listed, and once', () => {
    expect(hostsFile(KEY, OTHERS).match(/ mattermost\.chat /g)).toHaveLength(1)
    expect(hostsFile(KEY, [KEY]).match(/ mattermost\.chat /g)).toHaveLength(1)
  })
})

describe('updating', () => {
  const contents = { hosts: 'h\n', hostname: 'n\n', 'resolv.conf': 'r\n' }

  test('writes all of them, readable by every user of the container, whatever the umask', async () => {
    const dir = await temporaryFolder()
    expect(await withUmask(0o077, () => updateEngineFiles(dir, contents))).toBe(true)
    for (const [name, content] of Object.entries(contents)) {
      expect(await readFile(path.join(dir, name), 'utf8')).toBe(content)
      expect((await stat(path.join(dir, name))).mode & 0o777).toBe(0o644)
    }
  })

  test('what is right already writes nothing', async () => {
    const dir = await temporaryFolder()
    await updateEngineFiles(dir, contents)
    const before = (await stat(path.join(dir, 'hosts'), { bigint: true })).mtimeNs
    expect(await updateEngineFiles(dir, contents)).toBe(false)
    expect((await stat(path.join(dir, 'hosts'), { bigint: true })).mtimeNs).toBe(before)
  })

  test('keeps the inode, since a bind mount follows it', async () => {
    const dir = await temporaryFolder()
    await updateEngineFiles(dir, { ...contents, hosts: 'a much longer file than the next one\n' })
    const before = (await stat(path.join(dir, 'hosts'))).ino
    expect(await updateEngineFiles(dir, contents)).toBe(true)
    expect((await stat(path.join(dir, 'hosts'))).ino).toBe(before)
    expect(await readFile(path.join(dir, 'hosts'), 'utf8')).toBe('h\n')
  })

  test('undoes what the container wrote into it', async () => {
    const dir = await temporaryFolder()
    await updateEngineFiles(dir, contents)
    await writeFile(path.join(dir, 'hosts'), 'mine')
    expect(await updateEngineFiles(dir, contents)).toBe(true)
  })

  test('fails where there is no folder', async () => {
    const dir = path.join(await temporaryFolder(), 'none')
    await expect(updateEngineFiles(dir, contents)).rejects.toThrow('ENOENT')
    await mkdir(dir)
    expect(await updateEngineFiles(dir, contents)).toBe(true)
  })
})

test('an app gets its name and the resolver of the host', async () => {
  const contents = await engineFileContents(KEY, [])
  expect(contents.hostname).toBe('mattermost\n')
  expect(contents['resolv.conf']).toBe(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''))
})
