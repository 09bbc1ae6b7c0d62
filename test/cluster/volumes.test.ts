/**
 * Volumes on a real node (issue 4, proof 1): growth, layouts, claims that a user brings, storage of every kind, and what
 * stays when a path or the resource goes.
 */
import { readFile, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FIELD_MANAGER } from '../../src/crd/labels.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { volumeApp } from './support/small-apps.ts'
import { Workbench, type SeenObject } from './support/workbench.ts'

const SMALL = { size: '64Mi' }

// Storage classes are the bed's, and the content of claims is read on this machine.
describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)('volumes', () => {
  let bench: Workbench
  let image: string

  beforeAll(async () => {
    bench = await Workbench.create('e2e-volumes')
    image = await bench.push('app', '1', volumeApp('1'))
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  async function run(name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await bench.apply(name, image, { volumeDefaults: SMALL, ...spec })
    await bench.untilReady(name)
  }

  async function claimOf(name: string, at: string): Promise<SeenObject> {
    const found = (await bench.status(name)).volumes?.find((volume) => volume.path === at)?.claimName ?? ''
    return await bench.object('pvc', found)
  }

  test('a volume grows under the running app', async () => {
    await run('grows')
    const pod = (await bench.pod('grows')).metadata.uid
    await bench.patch('grows', { volumes: [{ path: '/data', size: '128Mi' }] })
    await bench.until('the claim has grown', async () => {
      const { status } = await claimOf('grows', '/data')
      return (status?.['capacity'] as { storage?: string } | undefined)?.storage === '128Mi'
    })
    await bench.untilReady('grows')
    expect((await bench.pod('grows')).metadata.uid).toBe(pod)
    expect((await claimOf('grows', '/plugins')).status?.['capacity']).toEqual({ storage: '64Mi' })
    await bench.deleteApp('grows')
  })

  test('a class that can’t grow is told, the app runs on, and the wish can be taken back', async () => {
    await run('fixed', { volumeDefaults: { ...SMALL, storageClassName: 'no-expand' } })
    const pod = (await bench.pod('fixed')).metadata.uid
    await bench.patch('fixed', { volumes: [{ path: '/data', size: '128Mi' }] })
    await bench.untilConditions('fixed', [
      { type: 'Ready', status: 'False', reason: 'VolumeNotExpandable', message: /no-expand/ },
      { type: 'VolumesReady', status: 'False', reason: 'VolumeNotExpandable' },
      { type: 'WorkloadAvailable', status: 'True' },
    ])
    await bench.patch('fixed', { volumes: [{ path: '/data', size: '32Mi' }] })
    await bench.untilConditions('fixed', [
      { type: 'Ready', status: 'False', reason: 'InvalidSpec', message: /ask for 64Mi or more/ },
      { type: 'WorkloadAvailable', status: 'True' },
    ])
    await bench.patch('fixed', { volumes: [{ path: '/data', size: '64Mi' }] })
    await bench.untilReady('fixed')
    expect((await bench.pod('fixed')).metadata.uid).toBe(pod)
    expect(await bench.sh('fixed', 'cat /data/shipped')).toBe('shipped with 1\n')
    await bench.deleteApp('fixed')
  })

  test('OneClaim: one claim, a folder for each path, all seeded', async () => {
    await run('one', { volumeDefaults: { ...SMALL, layout: 'OneClaim' } })
    expect(await bench.claims('one')).toHaveLength(1)
    expect(await bench.sh('one', 'cat /data/shipped; /plugins/hello; touch /data/a /plugins/b')).toBe(
      'shipped with 1\nhello from a plugin\n',
    )
    const folders = await readdir(await bench.folderOf('one', '/data'))
    expect(folders.toSorted()).toEqual([
      expect.stringMatching(/^data-[0-9a-f]{8}$/),
      expect.stringMatching(/^plugins-[0-9a-f]{8}$/),
    ])
    expect((await bench.status('one')).volumes?.map(({ exec, seeded }) => [exec, seeded])).toEqual([
      ['Allowed', true],
      ['Allowed', true],
    ])
    await bench.deleteApp('one')
  })

  test('a claim that the user brings is mounted and not written by us', async () => {
    await bench.applyObject({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'brought' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
    })
    await run('brings', { volumes: [{ path: '/data', source: { claimName: 'brought' } }] })
    await bench.sh('brings', 'echo mine >/data/own')
    expect((await bench.claims('brings')).map(({ metadata }) => metadata.name)).not.toContain('brought')
    await bench.deleteApp('brings')
    const { metadata } = await bench.object('pvc', 'brought')
    expect(metadata.managedFields?.map(({ manager }) => manager)).not.toContain(FIELD_MANAGER)
    expect(metadata.ownerReferences).toBeUndefined()
    const folder = (await bench.cluster.bed?.volumes.contentOf(bench.namespace, 'brought')) ?? ''
    expect(await readFile(path.join(folder, 'own'), 'utf8')).toBe('mine\n')
  })

  test('a claim that is named and not there is waited for', async () => {
    await bench.apply('waits', image, {
      volumeDefaults: SMALL,
      volumes: [{ path: '/data', source: { claimName: 'later' } }],
    })
    await bench.untilConditions('waits', [{ type: 'Ready', status: 'False', reason: 'VolumeSourceMissing' }])
    expect(await bench.pods('waits')).toEqual([])
    await bench.applyObject({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'later' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
    })
    await bench.untilReady('waits')
    await bench.deleteApp('waits')
  })

  test('noexec storage is refused before anything runs, unless the user says Any', async () => {
    const volumeDefaults = { ...SMALL, storageClassName: 'noexec' }
    await bench.apply('noexec', image, { volumeDefaults })
    await bench.untilConditions('noexec', [
      { type: 'Ready', status: 'False', reason: 'VolumeNotExecutable', message: /noexec/ },
    ])
    expect(await bench.kubectl('get', 'sts', '-o', 'name')).not.toContain('noexec')
    expect(await bench.pods('noexec')).toEqual([])
    await bench.patch('noexec', { volumeDefaults: { ...volumeDefaults, exec: 'Any' } })
    await bench.untilReady('noexec')
    await expect(bench.exec('noexec', '/plugins/hello')).rejects.toThrow(/[Pp]ermission denied/)
    expect((await bench.status('noexec')).volumes?.map(({ exec }) => exec)).toEqual(['Denied', 'Denied'])
    await bench.deleteApp('noexec')
  })

  test.each(['immediate', 'standard', 'ext4'])('the class %s is seeded and runs programs', async (name) => {
    await run(name, { volumeDefaults: { ...SMALL, storageClassName: name } })
    expect(await bench.sh(name, 'cat /data/shipped; /plugins/hello')).toBe(
      'shipped with 1\nhello from a plugin\n',
    )
    const folder = await bench.folderOf(name, '/data')
    const { uid, gid, mode } = await stat(folder)
    expect([uid, gid, mode & 0o7777]).toEqual([2000, 2000, 0o750])
    const names = (await readdir(folder)).toSorted()
    expect(names).toEqual(name === 'ext4' ? ['lost+found', 'shipped'] : ['shipped'])
    await bench.deleteApp(name)
  })

  test('a path that a new image no longer has is kept and shown', async () => {
    await run('orphans')
    await bench.sh('orphans', 'echo kept >/plugins/own')
    const before = await claimOf('orphans', '/plugins')
    const next = await bench.push('app', 'fewer', volumeApp('2', { Volumes: ['/data'] }))
    await bench.patch('orphans', { image: next })
    await bench.untilReady('orphans')
    expect(await bench.sh('orphans', 'cat /version')).toBe('2')
    const shown = (await bench.status('orphans')).volumes?.find(({ path: at }) => at === '/plugins')
    expect(shown).toMatchObject({ origin: 'Orphaned', claimName: before.metadata.name })
    await bench.patch('orphans', { image })
    await bench.untilReady('orphans')
    expect(await bench.sh('orphans', 'cat /plugins/own')).toBe('kept\n')
    expect((await claimOf('orphans', '/plugins')).metadata.uid).toBe(before.metadata.uid)
    await bench.deleteApp('orphans')
  })

  test('a VOLUME that a new image adds is seeded before the old pod stops', async () => {
    const fewer = await bench.push('app', 'only-data', volumeApp('1', { Volumes: ['/data'] }))
    await bench.apply('more', fewer, { volumeDefaults: SMALL })
    await bench.untilReady('more')
    await bench.patch('more', { image })
    await bench.untilReady('more')
    expect(await bench.sh('more', 'touch /plugins/mine; /plugins/hello')).toBe('hello from a plugin\n')
    expect(await bench.claims('more')).toHaveLength(2)
    await bench.deleteApp('more')
  })

  test('retain: Delete goes with the resource, everything else stays', async () => {
    await run('retains', { volumes: [{ path: '/data', retain: 'Delete' }] })
    const [gone, kept] = [await claimOf('retains', '/data'), await claimOf('retains', '/plugins')]
    expect(gone.metadata.ownerReferences).toMatchObject([{ kind: 'ContainerApp', name: 'retains' }])
    expect(kept.metadata.ownerReferences).toBeUndefined()
    await bench.deleteApp('retains')
    await bench.kubectl('wait', '--for=delete', `pvc/${gone.metadata.name}`, '--timeout=60s')
    expect((await bench.object('pvc', kept.metadata.name)).metadata.uid).toBe(kept.metadata.uid)
  })

  test('what the user deleted stays deleted: claims are found again and not seeded anew', async () => {
    await run('again')
    const before = (await bench.claims('again')).map(({ metadata }) => metadata.uid).toSorted()
    await bench.sh('again', 'rm /data/shipped && echo own >/data/own')
    await bench.deleteApp('again')
    await run('again')
    expect(await bench.sh('again', 'ls /data')).toBe('own\n')
    expect((await bench.claims('again')).map(({ metadata }) => metadata.uid).toSorted()).toEqual(before)
    const next = await bench.push('app', '2', volumeApp('2'))
    await bench.patch('again', { image: next })
    await bench.untilReady('again')
    expect(await bench.sh('again', 'ls /data; cat /version')).toBe('own\n2')
    await rm(path.join(await bench.folderOf('again', '/data'), 'own'))
    await bench.deleteApp('again')
  })
})
