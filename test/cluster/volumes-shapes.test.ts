/** VOLUMEs of unusual shape on a real node: nested, behind links, brought by ConfigMap and Secret, in memory, read-only. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxImage } from '../support/busybox-image.ts'
import { dir, file, hardlink, symlink } from '../support/layer.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { volumeApp } from './support/small-apps.ts'
import { Workbench } from './support/workbench.ts'

const SMALL = { volumeDefaults: { size: '64Mi' } }
const OWNER = { uid: 2000, gid: 2000 }

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)('volumes of any shape', () => {
  let bench: Workbench

  beforeAll(async () => {
    bench = await Workbench.create('e2e-shapes')
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  test('a VOLUME below another one has a claim of its own, and both have their content', async () => {
    const image = busyboxImage({
      parts: [
        dir('data', OWNER),
        file('data/outer', 'outer', OWNER),
        dir('data/inner', OWNER),
        file('data/inner/file', 'inner', OWNER),
      ],
      config: { User: '2000', Volumes: ['/data', '/data/inner'] },
    })
    await bench.apply('nested', await bench.push('nested', '1', image), SMALL)
    await bench.untilReady('nested')
    expect(await bench.sh('nested', 'cat /data/outer /data/inner/file; touch /data/inner/own')).toBe(
      'outerinner',
    )
    expect(await bench.claims('nested')).toHaveLength(2)
    await bench.kubectl('delete', 'pod', 'nested-0')
    await bench.untilReady('nested')
    expect(await bench.sh('nested', 'ls /data/inner')).toBe('file\nown\n')
    await bench.deleteApp('nested')
  })

  test('a VOLUME behind a link is where the link leads', async () => {
    const image = busyboxImage({
      parts: [
        dir('real', OWNER),
        file('real/file', 'real', OWNER),
        symlink('var', 'real'),
        symlink('alias', '/real'),
      ],
      config: { User: '2000', Volumes: ['/alias'] },
    })
    await bench.apply('linked', await bench.push('linked', '1', image), SMALL)
    await bench.untilReady('linked')
    expect(await bench.sh('linked', 'cat /alias/file; echo kept >/alias/own; cat /real/own')).toBe(
      'realkept\n',
    )
    await bench.kubectl('delete', 'pod', 'linked-0')
    await bench.untilReady('linked')
    expect(await bench.sh('linked', 'cat /real/own')).toBe('kept\n')
    await bench.deleteApp('linked')
  })

  test('links, modes and owners of the image are in the claim', async () => {
    const image = busyboxImage({
      parts: [
        dir('data', { uid: 2000, gid: 2000, mode: 0o2775 }),
        file('data/set', 'x', { uid: 0, gid: 2000, mode: 0o4755 }),
        file('data/other', 'x', { uid: 77, gid: 88, mode: 0o600 }),
        hardlink('data/twin', 'data/set', { uid: 0, gid: 2000, mode: 0o4755 }),
        symlink('data/absolute', '/etc/passwd'),
        symlink('data/dangling', 'nowhere'),
        dir('data/sticky', { ...OWNER, mode: 0o1777 }),
      ],
      config: { User: '2000', Volumes: ['/data'] },
    })
    await bench.apply('exact', await bench.push('exact', '1', image), SMALL)
    await bench.untilReady('exact')
    const words = await bench.sh(
      'exact',
      'cd /data; stat -c "%n %a %u:%g %h" . absolute dangling other set sticky twin; busybox readlink absolute; busybox readlink dangling',
    )
    expect(words.trim().split('\n')).toEqual([
      '. 2775 2000:2000 3',
      'absolute 777 0:0 1',
      'dangling 777 0:0 1',
      'other 600 77:88 1',
      'set 4755 0:2000 2',
      'sticky 1777 2000:2000 2',
      'twin 4755 0:2000 2',
      '/etc/passwd',
      'nowhere',
    ])
    await bench.deleteApp('exact')
  })

  test('files of ConfigMap and Secret, memory and read-only volumes are as the user says', async () => {
    await bench.kubectl('create', 'configmap', 'settings', '--from-literal=motd=hello')
    await bench.kubectl('create', 'secret', 'generic', 'keys', '--from-literal=token=s3cret')
    await bench.apply('mixed', await bench.push('app', '1', volumeApp('1')), {
      ...SMALL,
      envFrom: [{ secretRef: { name: 'keys' } }],
      volumes: [
        { path: '/data', readOnly: true },
        { path: '/plugins', medium: 'Memory', size: '8Mi' },
        { path: '/settings', source: { configMap: { name: 'settings' } } },
        { path: '/keys', source: { secret: { secretName: 'keys' } } },
      ],
    })
    await bench.untilReady('mixed')
    expect(await bench.sh('mixed', 'cat /settings/motd; echo; cat /keys/token; echo; echo $token')).toBe(
      'hello\ns3cret\ns3cret\n',
    )
    expect(await bench.sh('mixed', 'cat /data/shipped')).toBe('shipped with 1\n')
    await expect(bench.sh('mixed', 'touch /data/x')).rejects.toThrow('Read-only file system')
    expect(await bench.sh('mixed', 'grep " /plugins " /proc/self/mounts')).toMatch(/^tmpfs \/plugins tmpfs/)
    expect(bench.log).not.toContain('s3cret')
    expect(JSON.stringify(await bench.status('mixed'))).not.toContain('s3cret')
    await bench.deleteApp('mixed')
  })

  test('a claim that somebody deletes under the running app is told, and the app runs on', async () => {
    await bench.apply('robbed', await bench.push('app', '1', volumeApp('1')), SMALL)
    await bench.untilReady('robbed')
    const before = await bench.pod('robbed')
    const claim =
      (await bench.status('robbed')).volumes?.find(({ path }) => path === '/data')?.claimName ?? ''
    await bench.kubectl('delete', 'pvc', claim, '--wait=false')
    await bench.untilConditions('robbed', [
      { type: 'Ready', status: 'False', reason: 'VolumePending', message: /being deleted/ },
      { type: 'WorkloadAvailable', status: 'True' },
    ])
    expect((await bench.pod('robbed')).metadata.uid).toBe(before.metadata.uid)
    // Once its last pod is gone the cluster removes it; the next pod waits until a new one is seeded.
    await bench.kubectl('delete', 'pod', 'robbed-0')
    await bench.untilReady('robbed')
    expect(await bench.sh('robbed', 'cat /data/shipped')).toBe('shipped with 1\n')
    await bench.deleteApp('robbed')
  })
})
