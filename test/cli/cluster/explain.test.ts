import { beforeEach, describe, expect, test } from 'vitest'
import type { AppStatus } from '../../../src/crd/status.ts'
import { IMAGE_DIGEST, REVISION } from '../../../src/crd/labels.ts'
import { CLAIMS, EVENTS, PODS, STATEFUL_SETS } from '../../../src/engine/kubernetes/resources.ts'
import { ExpectedError } from '../../../src/errors.ts'
import { childLabels } from '../../../src/reconcile/kubernetes/metadata.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { MemoryKube } from '../../support/memory-kube.ts'
import { condition, DIGEST_A, DIGEST_B, NOON, runningStatus } from '../prepared-state.ts'
import { aClaim, aPod, ClusterDesk } from './world.ts'

type ImageChange = Partial<NonNullable<AppStatus['image']>>

let desk: ClusterDesk
beforeEach(() => {
  desk = new ClusterDesk()
  return () => desk[Symbol.dispose]()
})

function aStatefulSet(ready: number, digest: string = DIGEST_A): KubeObject {
  const annotations = { [REVISION]: 'r1', [IMAGE_DIGEST]: digest }
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { namespace: 'chat', name: 'web', labels: childLabels('web', 'app') },
    spec: { replicas: 1, template: { metadata: { annotations } } },
    status: { replicas: 1, readyReplicas: ready, observedGeneration: 1 },
  }
}

function anEvent(
  name: string,
  kind: string,
  about: string,
  rest: Readonly<Record<string, unknown>>,
): KubeObject {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace: 'chat', name },
    regarding: { kind, name: about, namespace: 'chat' },
    type: 'Warning',
    ...rest,
  }
}

const crashing = {
  containerStatuses: [
    {
      name: 'app',
      restartCount: 4,
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
      lastState: {
        terminated: {
          exitCode: 7,
          reason: 'Error',
          startedAt: NOON,
          finishedAt: NOON,
          message: 'no \u001b[31mconfig',
        },
      },
    },
  ],
}

async function aBrokenApp(status: AppStatus = runningStatus()): Promise<void> {
  const conditions = [condition('Ready', 'False', 'CrashLoopBackOff', 'container app ended with exit code 7')]
  await desk.app('chat/web', { ...status, conditions })
  await desk.put(STATEFUL_SETS, aStatefulSet(0))
  await desk.put(CLAIMS, aClaim('chat/web', ['/data'], { seeded: { '/data': DIGEST_A } }))
  await desk.put(PODS, aPod('chat/web', { claims: ['web-data'], status: crashing }))
}

async function explained(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await desk.run(['explain', 'web', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

describe('explain', () => {
  test('tells image, pods, volumes and what to do', async () => {
    await aBrokenApp()
    const page = (await explained()).replaceAll(/\s+/g, ' ')
    for (const said of [
      'chat/web CrashLoopBackOff',
      `example/app:1 named ${DIGEST_A} when it was resolved at 2026-01-01T12:00:00Z by docker.io.`,
      'somebody asks: "kubectl fairlead rebuild web -n chat".',
      'StatefulSet web wants 1 pod of revision r1; ready: 0.',
      'web-0 node-1 no 4 r1 aaaaaaaaaaaa CrashLoopBackOff',
      '/data 1.0 GiB Bound aaaaaaaaaaaa Allowed Retain web-data',
      'Ready: CrashLoopBackOff container app ended with exit code 7 Do: Read "kubectl logs" of the pod;',
      'Pod web-0: CrashLoopBackOff',
    ])
      expect(page).toContain(said)
  })

  const terminal = { outputIsTerminal: true, env: { NO_COLOR: '1' } }

  test('fits into a terminal of 80 columns and lets no control character through', async () => {
    await aBrokenApp()
    const { stdout: page } = await desk.run(['explain', 'web'], terminal)
    expect(page.split('\n').filter((line) => line.length > 80)).toEqual([])
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/)
  })

  test('tells two long volumes apart in 80 columns', async () => {
    await desk.app('chat/mattermost', runningStatus())
    const paths = ['/mattermost/client/plugins', '/mattermost/plugins']
    await desk.put(CLAIMS, aClaim('chat/mattermost', paths))
    const { stdout } = await desk.run(['explain', 'mattermost'], terminal)
    for (const path of paths) expect(stdout).toMatch(new RegExp(`^ {2}${path} +of 1\\.0 GiB `, 'm'))
    expect(stdout).toContain('\n    retain Retain  claim mattermost-mattermost-client-plugins\n')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  test('goes into a pipe whole: a line for each sentence', async () => {
    await aBrokenApp()
    expect(await explained()).toContain(
      `\n  example/app:1 named ${DIGEST_A} when it was resolved at 2026-01-01T12:00:00Z by docker.io.\n`,
    )
  })

  test('gives each command that is to be copied its own line', async () => {
    const commands = [
      'kubectl create role fairlead-pull-login --verb=get --resource=secrets --resource-name=login -n chat &&',
      'kubectl create rolebinding fairlead-pull-login --role=fairlead-pull-login --serviceaccount=a:b -n chat',
    ]
    const message = `the secret may not be read; allow it with: ${commands.join(' ')}`
    await desk.app(
      'chat/web',
      runningStatus({ conditions: [condition('Ready', 'False', 'PullSecretForbidden', message)] }),
    )
    const { stdout } = await desk.run(['explain', 'web'], terminal)
    expect(stdout).toContain(
      `    the secret may not be read; allow it with:\n    ${commands.join('\n    ')}\n`,
    )
  })

  test('is the whole of it in JSON', async () => {
    await aBrokenApp()
    expect(JSON.parse(await explained('-o', 'json'))).toMatchObject({
      namespace: 'chat',
      name: 'web',
      state: 'CrashLoopBackOff',
      upToDate: true,
      image: { words: 'example/app:1', digest: DIGEST_A },
      workload: { kind: 'StatefulSet', name: 'web', revision: 'r1', digest: DIGEST_A, wanted: 1, ready: 0 },
      pods: [{ name: 'web-0', node: 'node-1', role: 'app', restarts: 4, state: 'CrashLoopBackOff' }],
      volumes: [
        { path: '/data', claimName: 'web-data', seededFrom: DIGEST_A, origin: 'Image', exec: 'Allowed' },
      ],
      findings: [{ about: 'Ready' }, { about: 'Pod web-0' }],
      events: [],
    })
  })

  test.each<[string, ImageChange | undefined, Readonly<Record<string, unknown>>, string]>([
    ['nothing is resolved', undefined, {}, 'example/app:1 has not been resolved to a digest yet.'],
    ['the image was edited', {}, { image: 'example/app:2' }, 'spec.image says example/app:2 now'],
    ['the tag moved', { availableDigest: DIGEST_B }, {}, `The tag names ${DIGEST_B} meanwhile`],
    [
      'it is known what that changes',
      { availableDigest: DIGEST_B, availableChanges: 'user root → 5' },
      {},
      `The tag names ${DIGEST_B} meanwhile: user root → 5; "`,
    ],
    ['it asks by itself', {}, { imagePolicy: { resolve: 'Interval' } }, 'anew at every interval'],
    ['it never asks', {}, { imagePolicy: { resolve: 'Never' } }, 'nothing else can ever run'],
    ['it is suspended', {}, { suspend: true }, 'no pod is wanted'],
    ['nothing is made', {}, {}, 'No workload has been made yet.'],
  ])('says so when %s', async (_title, image, spec, said) => {
    const status = runningStatus()
    if (status.image === undefined) throw new Error('no image')
    const { image: _image, ...rest } = status
    await desk.app(
      'chat/web',
      image === undefined ? rest : { ...rest, image: { ...status.image, ...image } },
      spec,
    )
    expect((await explained()).replaceAll(/\s+/g, ' ')).toContain(said)
  })

  test('says that the new digest is still being prepared', async () => {
    await desk.app('chat/web', runningStatus())
    await desk.put(STATEFUL_SETS, aStatefulSet(1, DIGEST_B))
    expect((await explained()).replaceAll(/\s+/g, ' ')).toContain(`It still runs ${DIGEST_B}; it moves`)
  })

  test('shows a claim that the user brought at its path', async () => {
    const status = runningStatus()
    const volumes = [{ path: '/mine', claimName: 'mine', origin: 'Spec', phase: 'Ready' }] as const
    const spec = { volumes: [{ path: '/mine', source: { claimName: 'mine' } }] }
    await desk.app('chat/web', { ...status, volumes: [...volumes] }, spec)
    const claim = aClaim('chat/other', ['/x'])
    await desk.put(CLAIMS, { ...claim, metadata: { namespace: 'chat', name: 'mine' } })
    const { volumes: shown } = JSON.parse(await explained('-o', 'json')) as { volumes: unknown }
    expect(shown).toMatchObject([
      { path: '/mine', claimName: 'mine', origin: 'Spec', capacityBytes: 1 << 30 },
    ])
  })
})

describe('events', () => {
  test('of the app and its objects, oldest first, with how often', async () => {
    await aBrokenApp()
    const note = 'Back-off restarting'
    await desk.put(
      EVENTS,
      anEvent('b', 'Pod', 'web-0', {
        reason: 'BackOff',
        note,
        deprecatedCount: 3,
        deprecatedLastTimestamp: '2026-01-01T14:00:00Z',
      }),
    )
    await desk.put(
      EVENTS,
      anEvent('a', 'ContainerApp', 'web', {
        reason: 'ImageResolved',
        eventTime: '2026-01-01T13:00:00.000000Z',
        type: 'Normal',
      }),
    )
    await desk.put(
      EVENTS,
      anEvent('c', 'ReplicaSet', 'web-5f6b7', {
        reason: 'FailedCreate',
        eventTime: '2026-01-01T14:30:00.000000Z',
      }),
    )
    await desk.put(EVENTS, anEvent('d', 'Pod', 'web-other-0', { reason: 'NotOurs' }))
    await desk.put(EVENTS, anEvent('e', 'ReplicaSet', 'web-api-5f6b7', { reason: 'NotOurs' }))
    const { events } = JSON.parse(await explained('-o', 'json')) as {
      events: { reason: string; count: number }[]
    }
    expect(events.map(({ reason, count }) => [reason, count])).toEqual([
      ['ImageResolved', 1],
      ['BackOff', 3],
      ['FailedCreate', 1],
    ])
    expect(await explained()).toContain('  60m ago  Pod web-0: BackOff (3 times)\n    Back-off restarting\n')
  })

  test('are told whole, as long as the server lets them be', async () => {
    await desk.app('chat/web', runningStatus())
    const note = 'n'.repeat(1024)
    await desk.put(EVENTS, anEvent('a', 'ContainerApp', 'web', { reason: 'PullSecretForbidden', note }))
    expect(await explained()).toContain(`    ${note}\n`)
  })

  test('that may not be read leave the rest as it is', async () => {
    const before = ({ plural }: { readonly plural: string }) => {
      if (plural === 'events') throw new ExpectedError('ClusterForbidden', 'may not list events')
    }
    desk[Symbol.dispose]()
    desk = new ClusterDesk(new MemoryKube({ before }))
    await desk.app('chat/web', runningStatus())
    expect(await explained()).toContain('Events\n  may not be read with these rights\n')
    expect(JSON.parse(await explained('-o', 'json'))).not.toHaveProperty('events')
  })
})

test('an app that is not there ends with 1', async () => {
  expect(await desk.run(['explain', 'none'])).toMatchObject({ code: 1, stdout: '' })
})
