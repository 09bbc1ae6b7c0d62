/** One claim and two apps on a real node (invariant 9), and owners that somebody writes onto a claim by hand. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { API_VERSION, KIND } from '../../src/crd/labels.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { volumeApp, webApp, witnessApp } from './support/small-apps.ts'
import { Workbench } from './support/workbench.ts'

const SMALL = { volumeDefaults: { size: '64Mi' } }

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)(
  'claims of several apps',
  () => {
    let bench: Workbench

    beforeAll(async () => {
      bench = await Workbench.create('e2e-shared')
    })

    afterAll(async () => await bench[Symbol.asyncDispose]())

    const inUse = (name: string, by: RegExp) =>
      bench.untilConditions(name, [
        { type: 'Ready', status: 'False', reason: 'VolumeInUse', message: by },
        { type: 'VolumesReady', status: 'False', reason: 'VolumeInUse' },
      ])

    test('a claim for one writer is given to one app after the other, never to both', async () => {
      // Whoever starts on a volume that another container holds writes that down.
      const image = await bench.push('witness', '1', witnessApp('1'))
      await bench.apply('one', image, { ...SMALL, terminationGracePeriodSeconds: 30 })
      await bench.untilReady('one')
      const claimName = (await bench.status('one')).volumes?.[0]?.claimName
      const volumes = [{ path: '/data', source: { claimName } }]
      await bench.apply('two', image, { volumes, terminationGracePeriodSeconds: 30 })
      await inUse('two', /app one mounts it/)
      expect(await bench.pods('two')).toEqual([])
      expect(await bench.kubectl('get', 'sts', '-o', 'name')).not.toContain('two')

      await bench.patch('one', { suspend: true })
      await bench.untilReady('two')
      await bench.patch('one', { suspend: false })
      await inUse('one', /app two mounts it/)
      expect(await bench.pods('one')).toEqual([])

      await bench.deleteApp('two')
      await bench.untilReady('one')
      expect(await bench.sh('one', 'ls /data; cat /data/starts')).toMatch(
        /^lock\nstarts\n1 on one-0\n1 on two-0\n1 on one-0\n$/,
      )
      await bench.deleteApp('one')
    })

    test('a claim of the pod template has one pod', async () => {
      await bench.applyObject({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'extra' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
      })
      const image = await bench.push('web', '1', webApp('1'))
      const volumes = [{ name: 'extra', persistentVolumeClaim: { claimName: 'extra' } }]
      const containers = [{ name: 'app', volumeMounts: [{ name: 'extra', mountPath: '/extra' }] }]
      await bench.apply('overlaid', image, { podTemplate: { spec: { volumes, containers } } })
      await bench.untilReady('overlaid')
      expect(await bench.kubectl('get', 'sts,deploy', '-o', 'name')).toBe('statefulset.apps/overlaid\n')
      await bench.patch('overlaid', { replicas: 2 })
      await bench.untilConditions('overlaid', [
        { type: 'Ready', status: 'False', reason: 'InvalidSpec', message: /claim extra of podTemplate/ },
        { type: 'WorkloadAvailable', status: 'True' },
      ])
      expect(await bench.pods('overlaid')).toHaveLength(1)
      await bench.deleteApp('overlaid')
    })

    test('an owner that somebody gave to a claim that is to stay is taken off, and the data stays', async () => {
      const image = await bench.push('app', '1', volumeApp('1'))
      await bench.apply('owned', image, SMALL)
      await bench.untilReady('owned')
      const { uid } = (await bench.object('capp', 'owned')).metadata
      const [claim] = await bench.claims('owned')
      const name = claim?.metadata.name ?? ''
      const ownerReferences = [{ apiVersion: API_VERSION, kind: KIND, name: 'owned', uid }]
      const patch = JSON.stringify({ metadata: { ownerReferences } })
      await bench.kubectl('patch', 'pvc', name, '--field-manager=somebody', '--type=merge', '-p', patch)
      await bench.until('the owner is gone', async () => {
        return (await bench.object('pvc', name)).metadata.ownerReferences === undefined
      })
      await bench.untilReady('owned')
      await bench.deleteApp('owned')
      const stays = (await bench.object('pvc', name)).metadata
      expect([stays.uid, stays.deletionTimestamp]).toEqual([claim?.metadata.uid, undefined])
    })
  },
)
