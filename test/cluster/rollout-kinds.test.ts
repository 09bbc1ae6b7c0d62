/** Changes of shape on a real node: from Deployment to StatefulSet and back, suspended, scaled, orphaned, rolled back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { volumeApp, webApp } from './support/small-apps.ts'
import { Workbench } from './support/workbench.ts'

const SMALL = { volumeDefaults: { size: '64Mi' } }

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)('changes of shape', () => {
  let bench: Workbench

  beforeAll(async () => {
    bench = await Workbench.create('e2e-kinds')
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  async function kinds(name: string): Promise<string> {
    return await bench.kubectl('get', 'sts,deployment', '-l', `fairlead.dev/app=${name}`, '-o', 'name')
  }

  test('an image that gets a VOLUME becomes a StatefulSet, and one that loses it a Deployment', async () => {
    const name = 'shifting'
    await bench.apply(name, await bench.push('shifting', 'bare', webApp('1')), {
      ...SMALL,
      ports: [{ name: 'http', port: 8080 }],
    })
    await bench.untilReady(name)
    const address = await bench.kubectl('get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}')
    expect(await kinds(name)).toBe(`deployment.apps/${name}\n`)

    const image = await bench.push('shifting', 'full', volumeApp('2'))
    await bench.patch(name, { image })
    await bench.untilReady(name)
    await bench.until(
      'only the StatefulSet is left',
      async () => (await kinds(name)) === `statefulset.apps/${name}\n`,
    )
    expect(await bench.sh(name, 'cat /version; echo own >/data/own')).toBe('2')

    await bench.patch(name, { image: image.replace(/:full$/, ':bare') })
    await bench.untilReady(name)
    await bench.until(
      'only the Deployment is left',
      async () => (await kinds(name)) === `deployment.apps/${name}\n`,
    )

    await bench.patch(name, { image })
    await bench.untilReady(name)
    await bench.until('one pod is left', async () => (await bench.pods(name)).length === 1)
    expect(await bench.sh(name, 'cat /data/own')).toBe('own\n')
    expect(await bench.kubectl('get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}')).toBe(address)
    await bench.deleteApp(name)
  })

  test('a suspended app has no pod and keeps its claims; scaling to nothing is the same by another name', async () => {
    const name = 'paused'
    await bench.apply(name, await bench.push('app', '1', volumeApp('1')), SMALL)
    await bench.untilReady(name)
    await bench.sh(name, 'echo own >/data/own')
    const claims = (await bench.claims(name)).map(({ metadata }) => metadata.uid).toSorted()
    await bench.patch(name, { suspend: true })
    await bench.untilConditions(name, [{ type: 'Ready', status: 'True', reason: 'Suspended' }])
    await bench.until('no pod is left', async () => (await bench.pods(name)).length === 0)
    // The new digest is prepared and not started.
    await bench.patch(name, { image: await bench.push('app', '2', volumeApp('2')) })
    await bench.untilConditions(name, [{ type: 'Ready', status: 'True', reason: 'Suspended' }])
    await bench.patch(name, { suspend: false })
    await bench.untilReady(name)
    expect(await bench.sh(name, 'cat /version /data/own')).toBe('2own\n')
    await bench.kubectl('scale', 'capp', name, '--replicas=0')
    await bench.until('no pod is left', async () => (await bench.pods(name)).length === 0)
    await bench.kubectl('scale', 'capp', name, '--replicas=1')
    await bench.untilReady(name)
    await bench.until('a pod is back', async () => (await bench.pods(name)).length === 1)
    expect((await bench.claims(name)).map(({ metadata }) => metadata.uid).toSorted()).toEqual(claims)
    await bench.deleteApp(name)
  })

  test('goes back to a digest of its history', async () => {
    const name = 'regrets'
    const first = await bench.push('regrets', 'stable', volumeApp('1'))
    await bench.apply(name, first, SMALL)
    await bench.untilReady(name)
    const good = (await bench.status(name)).image?.digest ?? ''
    await bench.patch(name, { image: await bench.push('regrets', 'next', volumeApp('2')) })
    await bench.untilReady(name)
    expect(await bench.sh(name, 'cat /version')).toBe('2')
    await bench.kubectl('annotate', 'capp', name, `${ROLLBACK_TO}=${good}`, `${RESOLVE_REQUESTED_AT}=back`)
    await bench.until(
      'the old digest runs',
      async () =>
        (await bench.status(name)).image?.digest === good &&
        (await bench.condition(name, 'Ready'))?.status === 'True',
    )
    expect(await bench.sh(name, 'cat /version')).toBe('1')
    await bench.deleteApp(name)
  })

  test('a resource that is deleted with --cascade=orphan leaves the pod running, and is found again', async () => {
    const name = 'orphan'
    const image = await bench.push('app', '1', volumeApp('1'))
    await bench.apply(name, image, SMALL)
    await bench.untilReady(name)
    const before = await bench.pod(name)
    await bench.kubectl('delete', 'capp', name, '--cascade=orphan')
    await bench.apply(name, image, SMALL)
    await bench.untilReady(name)
    expect((await bench.pod(name)).metadata.uid).toBe(before.metadata.uid)
    expect((await bench.object('sts', name)).metadata.ownerReferences).toMatchObject([
      { kind: 'ContainerApp', name },
    ])
    await bench.deleteApp(name)
  })

  test('a pod that crashes is told with its exit code, and mended by the next edit', async () => {
    const name = 'crashing'
    const image = await bench.push('app', '1', volumeApp('1'))
    await bench.apply(name, image, { ...SMALL, command: ['/bin/sh', '-c', 'exit 7'] })
    await bench.untilConditions(name, [
      { type: 'Ready', status: 'False', reason: 'CrashLoopBackOff', message: /exit code 7/ },
      { type: 'WorkloadAvailable', status: 'False' },
    ])
    await bench.patch(name, { command: null })
    await bench.untilReady(name)
    expect(await bench.sh(name, '/plugins/hello')).toBe('hello from a plugin\n')
    await bench.deleteApp(name)
  })
})
