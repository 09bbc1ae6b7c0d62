/**
 * What is running while something changes, on a real node (issue 4, proofs 1 and 3): never two containers on one claim,
 * an old pod that goes on whatever the new image is, and a controller that may be killed at any step.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT } from '../../src/crd/labels.ts'
import { busyboxImage } from '../support/busybox-image.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { volumeApp, webApp, witnessApp } from './support/small-apps.ts'
import { Workbench, type SeenPod } from './support/workbench.ts'

const SMALL = { volumeDefaults: { size: '64Mi' } }
/** More than the witness takes to stop. */
const PATIENT = { ...SMALL, terminationGracePeriodSeconds: 60 }
/** Steps after which the controller is killed, in a rollout: before, between and after its writes. */
const KILLED_AFTER = [0, 1, 2, 3]

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)('rollout', () => {
  let bench: Workbench

  beforeAll(async () => {
    bench = await Workbench.create('e2e-rollout')
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  describe('an app that takes its time to stop', () => {
    const name = 'witness'
    let repository: string

    beforeAll(async () => {
      const image = await bench.push('witness', '1', witnessApp('1'))
      repository = image.slice(0, image.lastIndexOf(':'))
      await bench.apply(name, image, PATIENT)
      await bench.untilReady(name)
    })

    async function violations(): Promise<string> {
      return await bench.sh(name, 'cat /data/violation 2>/dev/null || true')
    }

    /** Starts that the volume has seen, the oldest first. */
    async function starts(): Promise<readonly string[]> {
      return (await bench.sh(name, 'cat /data/starts')).trim().split('\n')
    }

    async function anotherPodThan({ metadata }: SeenPod): Promise<void> {
      await bench.until('another pod runs', async () => {
        const [pod] = await bench.pods(name)
        return pod !== undefined && pod.metadata.uid !== metadata.uid
      })
      await bench.untilReady(name)
      expect(await violations()).toBe('')
    }

    test('never meets another one over a new image, a deleted pod, a restart and a moved tag', async () => {
      let pod = await bench.pod(name)
      await bench.push('witness', '2', witnessApp('2'))
      await bench.patch(name, { image: `${repository}:2` })
      await anotherPodThan(pod)

      pod = await bench.pod(name)
      await bench.kubectl('delete', 'pod', pod.metadata.name, '--wait=false')
      await anotherPodThan(pod)

      pod = await bench.pod(name)
      await bench.kubectl('annotate', 'capp', name, `${RESTART_REQUESTED_AT}=once`)
      await anotherPodThan(pod)

      pod = await bench.pod(name)
      await bench.push('witness', '2', witnessApp('2 rebuilt'))
      await bench.kubectl('annotate', 'capp', name, `${RESOLVE_REQUESTED_AT}=once`)
      await anotherPodThan(pod)

      pod = await bench.pod(name)
      await bench.kubectl('rollout', 'restart', `statefulset/${name}`)
      await anotherPodThan(pod)

      expect((await starts()).map((line) => line.replace(/ on .*/, ''))).toEqual([
        '1',
        '2',
        '2',
        '2',
        '2 rebuilt',
        '2 rebuilt',
      ])
      expect(await violations()).toBe('')
    })

    test.each(KILLED_AFTER)(
      'never meets another one when the controller is killed after %d steps',
      async (steps) => {
        const before = await starts()
        const pod = await bench.pod(name)
        const version = `killed after ${steps}`
        await bench.push('witness', `killed-${steps}`, witnessApp(version))
        const done = () => bench.log.split('"msg":"did step"').length
        const goal = done() + steps
        await bench.patch(name, { image: `${repository}:killed-${steps}` })
        await bench.until(`${steps} steps are done`, async () => done() >= goal)
        await bench.restartController()
        await anotherPodThan(pod)
        expect(await violations()).toBe('')
        expect((await starts()).slice(before.length).map((line) => line.replace(/ on .*/, ''))).toEqual([
          version,
        ])
      },
    )

    test('would be noticed: a second pod on the claim is seen at once', async () => {
      const [claim] = await bench.claims(name)
      const container = {
        name: 'intruder',
        image: `${repository}:2`,
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      }
      await bench.applyObject({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'intruder' },
        spec: {
          containers: [container],
          terminationGracePeriodSeconds: 0,
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName: claim?.metadata.name } }],
        },
      })
      await bench.until('the intruder is noticed', async () =>
        (await violations()).includes('on intruder met'),
      )
      expect(await violations()).not.toContain('met intruder')
      await bench.kubectl('delete', 'pod', 'intruder')
    })
  })

  describe('a new image that is not good', () => {
    const name = 'steady'
    let good: string

    beforeAll(async () => {
      good = await bench.push('steady', 'good', volumeApp('1'))
      await bench.apply(name, good, SMALL)
      await bench.untilReady(name)
    })

    /** A manifest that is there with a layer that is not. */
    async function hollow(): Promise<string> {
      const image = busyboxImage({ layers: [], parts: [Buffer.alloc(512)], config: { User: '2000' } })
      const reference = await bench.push('hollow', '1', image)
      const blob = image.manifest.layers.at(-1)?.digest ?? ''
      const [host = ''] = reference.split('/')
      const url = `http://${host}/v2/${bench.namespace}/hollow/blobs/${blob}`
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(202)
      return reference
    }

    interface Refusal {
      readonly what: string
      readonly change: () => Promise<Readonly<Record<string, unknown>>>
      readonly undo?: Readonly<Record<string, unknown>>
      readonly reason: string
      /** Whether only an edit helps, or time may. */
      readonly sign: 'Stalled' | 'Reconciling'
    }

    const refusals: readonly Refusal[] = [
      {
        what: 'an unknown tag',
        change: async () => ({ image: good.replace(/:good$/, ':unknown') }),
        reason: 'ImageNotFound',
        sign: 'Stalled',
      },
      {
        what: 'a tag whose blob is gone',
        change: async () => ({ image: await hollow() }),
        reason: 'ImageNotFound',
        sign: 'Stalled',
      },
      {
        what: 'a command that is not there',
        change: async () => ({ command: ['/no/such/program'] }),
        undo: { command: null },
        reason: 'ExecNotFound',
        sign: 'Stalled',
      },
      {
        what: 'hooks',
        change: async () => ({ hooks: [{ stage: 'StartContainer', path: '/bin/true' }] }),
        undo: { hooks: null },
        reason: 'HooksUnsupported',
        sign: 'Stalled',
      },
    ]

    test.each(refusals)('$what: the old pod goes on', async ({ change, undo, reason, sign }) => {
      const before = await bench.pod(name)
      await bench.patch(name, await change())
      await bench.untilConditions(name, [
        { type: 'Ready', status: 'False', reason },
        { type: sign, status: 'True' },
        { type: 'WorkloadAvailable', status: 'True' },
      ])
      expect((await bench.pod(name)).metadata.uid).toBe(before.metadata.uid)
      expect(await bench.sh(name, '/plugins/hello')).toBe('hello from a plugin\n')
      await bench.patch(name, { image: good, ...undo })
      await bench.untilReady(name)
      expect((await bench.pod(name)).metadata.uid).toBe(before.metadata.uid)
      expect((await bench.pod(name)).status.containerStatuses?.[0]?.restartCount).toBe(0)
    })

    test('a registry that is down changes nothing that runs', async () => {
      const registry = bench.cluster.bed?.registry
      const before = await bench.pod(name)
      await registry?.stop()
      try {
        await bench.restartController()
        await bench.kubectl('delete', 'pod', before.metadata.name)
        await bench.untilReady(name)
        expect((await bench.pod(name)).metadata.uid).not.toBe(before.metadata.uid)
        await bench.patch(name, { image: good.replace(/:good$/, ':later') })
        await bench.untilConditions(name, [
          { type: 'Ready', status: 'False', reason: 'RegistryUnavailable' },
          { type: 'Reconciling', status: 'True' },
          { type: 'WorkloadAvailable', status: 'True' },
        ])
      } finally {
        await registry?.start()
      }
      await bench.push('steady', 'later', volumeApp('2'))
      await bench.kubectl('annotate', 'capp', name, `${RESOLVE_REQUESTED_AT}=now`)
      await bench.untilReady(name)
      expect(await bench.sh(name, 'cat /version')).toBe('2')
    })
  })

  describe('a workload without claims', () => {
    const name = 'web'

    beforeAll(async () => {
      await bench.apply(name, await bench.push('web', '1', webApp('1')), {
        replicas: 2,
        ports: [{ name: 'http', port: 8080 }],
      })
      await bench.untilReady(name)
    })

    test('is a Deployment of as many replicas as wished, and follows kubectl scale', async () => {
      expect((await bench.status(name)).workload).toMatchObject({ replicas: 2, ready: 2 })
      await bench.kubectl('scale', 'capp', name, '--replicas=3')
      await bench.until('three are ready', async () => (await bench.status(name)).workload?.ready === 3)
      expect(await bench.kubectl('get', 'deployment', name, '-o', 'jsonpath={.spec.replicas}')).toBe('3')
      await bench.kubectl('scale', 'capp', name, '--replicas=2')
      await bench.until('two are left', async () => (await bench.status(name)).workload?.ready === 2)
    })

    test('answers by its Service, whose address stays over a new image', async () => {
      const address = async () => bench.kubectl('get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}')
      const before = await address()
      const ask = async () => (await fetch(`http://${before}:8080/`)).text()
      // The witness is another pod; it knows the Service by its name alone.
      const askByName = async () => bench.sh('witness', `busybox wget -qO- http://${name}:8080/`)
      for (const way of [ask, askByName])
        await bench.until('the service answers', () =>
          way().then(
            (text) => text === '1',
            () => false,
          ),
        )
      await bench.patch(name, { image: await bench.push('web', '2', webApp('2')) })
      await bench.untilReady(name)
      await bench.until('the new one answers', () =>
        ask().then(
          (text) => text === '2',
          () => false,
        ),
      )
      expect(await address()).toBe(before)
    })

    test('is not called ready by its old pod while the new one is not', async () => {
      await bench.patch(name, { replicas: 1 })
      await bench.until('one is left', async () => (await bench.pods(name)).length === 1)
      const probes = { readiness: { httpGet: { path: '/missing', port: 8080 }, periodSeconds: 1 } }
      await bench.patch(name, { probes })
      await bench.until('a new pod runs beside the old one', async () => {
        const pods = await bench.pods(name)
        return pods.length === 2 && pods.every(({ status }) => status.phase === 'Running')
      })
      // A new controller has no memory: it judges by what is there now.
      await bench.restartController()
      await bench.until('the app was looked at again', async () =>
        bench.log.includes(`"object":"Deployment/${name}","msg":"nothing to do"`),
      )
      await bench.untilConditions(name, [
        { type: 'Ready', status: 'False' },
        { type: 'Reconciling', status: 'True' },
        { type: 'WorkloadAvailable', status: 'True', message: /still runs/ },
      ])
      await bench.patch(name, { probes: null, replicas: 2 })
      await bench.untilReady(name)
      expect(await bench.pods(name)).toHaveLength(2)
    })

    test('is restarted by kubectl rollout restart, and stays so', async () => {
      const before = (await bench.pods(name)).map(({ metadata }) => metadata.uid)
      await bench.kubectl('rollout', 'restart', `deployment/${name}`)
      await bench.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s')
      await bench.untilReady(name)
      const after = await bench.pods(name)
      expect(after).toHaveLength(2)
      expect(after.filter(({ metadata }) => before.includes(metadata.uid))).toEqual([])
    })

    test('suspend stops it and keeps Service and resource; then it comes back', async () => {
      const service = (await bench.object('service', name)).metadata.uid
      await bench.patch(name, { suspend: true })
      await bench.untilConditions(name, [
        { type: 'Ready', status: 'True', reason: 'Suspended' },
        { type: 'WorkloadAvailable', status: 'False' },
      ])
      await bench.until('no pod is left', async () => (await bench.pods(name)).length === 0)
      await bench.patch(name, { suspend: false })
      await bench.until('both are back', async () => (await bench.status(name)).workload?.ready === 2)
      expect((await bench.object('service', name)).metadata.uid).toBe(service)
    })

    test('takes a sidecar of podTemplate', async () => {
      const sidecar = {
        name: 'beside',
        image: await bench.push('web', '1', webApp('1')),
        command: ['/bin/sh', '-c', 'echo beside >/www/beside; trap "exit 0" TERM; sleep 1000 & wait $!'],
        securityContext: { runAsUser: 0 },
      }
      await bench.patch(name, { podTemplate: { spec: { containers: [sidecar] } } })
      await bench.untilReady(name)
      const pods = await bench.pods(name)
      expect(pods.map(({ spec }) => spec.containers.map((container) => container.name).toSorted())).toEqual([
        ['app', 'beside'],
        ['app', 'beside'],
      ])
    })
  })
})
