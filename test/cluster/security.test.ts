/** Namespaces that enforce Pod Security `restricted`, on a real node: the app runs as it may, and what is lost is said. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxImage } from '../support/busybox-image.ts'
import { dir, file } from '../support/layer.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { expectHarmless } from './support/hostile-image.ts'
import { volumeApp } from './support/small-apps.ts'
import { Workbench } from './support/workbench.ts'

const SMALL = { volumeDefaults: { size: '64Mi' } }

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)(
  'a namespace that enforces Pod Security restricted',
  () => {
    let bench: Workbench

    beforeAll(async () => {
      bench = await Workbench.create('e2e-restricted', {
        labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
      })
    })

    afterAll(async () => await bench[Symbol.asyncDispose]())

    test('an app of a plain user is seeded and runs its plugins', async () => {
      const image = await bench.push('app', '1', volumeApp('1'))
      await bench.apply('plain', image, SMALL)
      await bench.untilReady('plain')
      expect(await bench.sh('plain', 'cat /data/shipped; /plugins/hello; touch /data/own')).toBe(
        'shipped with 1\nhello from a plugin\n',
      )
      expect((await bench.status('plain')).volumes?.map(({ exec, seeded }) => [exec, seeded])).toEqual([
        ['Allowed', true],
        ['Allowed', true],
      ])
      await bench.deleteApp('plain')
    })

    test('owners that root alone could give are lost, and the status says so', async () => {
      const image = busyboxImage({
        parts: [
          dir('data', { uid: 2000, gid: 2000 }),
          file('data/of-root', 'x', { uid: 0, gid: 0 }),
          file('data/own', 'x', { uid: 2000, gid: 2000 }),
        ],
        config: { User: '2000', Volumes: ['/data'] },
      })
      await bench.apply('lossy', await bench.push('lossy', '1', image), SMALL)
      await bench.untilReady('lossy')
      const rendered = await bench.condition('lossy', 'Rendered')
      expect(rendered).toMatchObject({ status: 'True', reason: 'RenderedWithWarnings' })
      expect(rendered?.message).toMatch(/owner/)
      expect(await bench.sh('lossy', 'stat -c %u /data/of-root')).toBe('2000\n')
      await bench.patch('lossy', { env: [{ name: 'ANOTHER', value: 'revision' }] })
      await bench.untilReady('lossy')
      expect((await bench.condition('lossy', 'Rendered'))?.message).toBe(rendered?.message)
      await bench.deleteApp('lossy')
    })

    test.each([
      { what: 'root', spec: { user: '0' }, message: /spec\.user|root/ },
      {
        what: 'a capability',
        spec: { securityContext: { capabilities: { add: ['NET_ADMIN'] } } },
        message: /capability/,
      },
    ])('$what is refused before any pod is made', async ({ what, spec, message }) => {
      const image = await bench.push('app', '1', volumeApp('1'))
      const name = `refused-${what.replaceAll(' ', '-')}`
      await bench.apply(name, image, { ...SMALL, ...spec })
      await bench.untilConditions(name, [
        { type: 'Ready', status: 'False', reason: 'PodSecurityRestricted', message },
        { type: 'Stalled', status: 'True' },
      ])
      expect(await bench.pods(name)).toEqual([])
      expect(await bench.preflights(name)).toEqual([])
      await bench.deleteApp(name)
    })
  },
)

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)(
  'the same of a controller that does not know whether nodes have image volumes',
  () => {
    let bench: Workbench

    beforeAll(async () => {
      bench = await Workbench.create('e2e-restricted-narrow', {
        labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
        namespaced: 'reads namespaces',
      })
    })

    afterAll(async () => await bench[Symbol.asyncDispose]())

    test('an app of a plain user is seeded through a container of its image', async () => {
      await bench.apply('plain', await bench.push('app', '1', volumeApp('1')), SMALL)
      await bench.untilReady('plain')
      expect(await bench.sh('plain', 'cat /data/shipped; /plugins/hello')).toBe(
        'shipped with 1\nhello from a plugin\n',
      )
      await bench.deleteApp('plain')
    })

    test('nothing of a hostile image runs in the preflight', async () => {
      await expectHarmless(bench)
    })
  },
)
