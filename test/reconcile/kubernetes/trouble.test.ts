import { describe, expect, test } from 'vitest'
import { podTrouble } from '../../../src/reconcile/kubernetes/trouble.ts'
import type {
  ObservedContainer,
  ObservedPod,
  ObservedWorkload,
} from '../../../src/reconcile/kubernetes/types.ts'
import { NOW_MS } from '../../support/builders.ts'
import { aContainer, aSeenPod, aSeenWorkload } from './seen.ts'

const UNREADY = aSeenWorkload({ readyReplicas: 0 })
const END = { exitCode: 3, reason: 'Error', message: 'no database', startedAtMs: 1, finishedAtMs: 2 }

function unready(container: Partial<ObservedContainer>, pod: Partial<ObservedPod> = {}): ObservedPod {
  return aSeenPod({ ready: false, containers: [aContainer({ ready: false, ...container })], ...pod })
}

/** Runs since a moment, after it had ended. */
function cameBack(changes: Partial<ObservedContainer> = {}): ObservedContainer {
  return aContainer({ restarts: 4, startedAtMs: NOW_MS - 9000, last: END, ...changes })
}

function waits(reason: string, message?: string): ObservedPod {
  return unready({ state: 'waiting', reason, message }, { phase: 'Pending' })
}

describe('why an app is not ready', () => {
  test.each<[string, readonly ObservedPod[], ObservedWorkload, string | undefined, string]>([
    ['nothing is wrong', [aSeenPod()], aSeenWorkload(), undefined, ''],
    ['nothing is wanted', [], aSeenWorkload({ specReplicas: 0, readyReplicas: 0 }), undefined, ''],
    [
      'the image is not there',
      [waits('ImagePullBackOff', 'manifest unknown')],
      UNREADY,
      'ImageNotPullable',
      'manifest unknown',
    ],
    [
      'the image was tried once',
      [waits('ErrImagePull', 'i/o timeout')],
      UNREADY,
      'ImageNotPullable',
      'i/o timeout',
    ],
    [
      'a Secret is missing',
      [waits('CreateContainerConfigError', 'secret "db" not found')],
      UNREADY,
      'NotFound',
      'secret "db" not found',
    ],
    [
      'the runtime refuses',
      [waits('CreateContainerError', 'exec: not found')],
      UNREADY,
      'RuntimeFailed',
      'exec: not found',
    ],
    [
      'it ends again and again',
      [unready({ state: 'waiting', reason: 'CrashLoopBackOff', restarts: 4, last: END })],
      UNREADY,
      'CrashLoopBackOff',
      'exit code 3: no database; started 5 times',
    ],
    [
      'it ended again and again and was just started',
      [aSeenPod({ containers: [cameBack()] })],
      aSeenWorkload(),
      'CrashLoopBackOff',
      'exit code 3: no database; it was started again and counts as ready when it has run for 10 s',
    ],
    [
      'it ended once and was just started',
      [aSeenPod({ containers: [cameBack({ restarts: 1 })] })],
      aSeenWorkload({ kind: 'Deployment' }),
      'Exited',
      'it was started again',
    ],
    [
      'it ended after a long time and was just started',
      [aSeenPod({ containers: [cameBack({ last: { ...END, finishedAtMs: 700_000 } })] })],
      aSeenWorkload(),
      'Exited',
      'it was started again',
    ],
    [
      'a sidecar of it was killed and just started',
      [aSeenPod({ initContainers: [cameBack({ name: 'mesh', last: { ...END, reason: 'OOMKilled' } })] })],
      aSeenWorkload(),
      'OutOfMemory',
      'container mesh',
    ],
    [
      'it ended again and again and has run for a while since',
      [aSeenPod({ containers: [cameBack({ startedAtMs: NOW_MS - 10_000 })] })],
      aSeenWorkload(),
      undefined,
      '',
    ],
    [
      "it ended, and the node's clock is far ahead of ours",
      [aSeenPod({ containers: [cameBack({ startedAtMs: NOW_MS + 60_000 })] })],
      aSeenWorkload(),
      undefined,
      '',
    ],
    [
      'it used too much memory',
      [unready({ state: 'waiting', reason: 'CrashLoopBackOff', last: { ...END, reason: 'OOMKilled' } })],
      UNREADY,
      'OutOfMemory',
      'spec.resources.limits.memory',
    ],
    [
      'it just ended',
      [unready({ state: 'terminated', exitCode: 1, reason: 'Error' })],
      UNREADY,
      'Exited',
      'exit code 1',
    ],
    [
      'it could not even start',
      [unready({ state: 'terminated', exitCode: 128, reason: 'StartError' })],
      UNREADY,
      'RuntimeFailed',
      'exit code 128',
    ],
    [
      'no node takes it',
      [unready({ state: 'waiting' }, { phase: 'Pending', unschedulable: '0/3 nodes are available' })],
      UNREADY,
      'Unschedulable',
      '0/3 nodes are available',
    ],
    [
      'it was evicted',
      [unready({ state: 'running' }, { phase: 'Failed', reason: 'Evicted', message: 'low on memory' })],
      UNREADY,
      'Exited',
      'Evicted: low on memory',
    ],
    ['its probes fail', [unready({ state: 'running' })], UNREADY, 'Starting', 'runs and is not ready yet'],
    ['it is being started', [waits('ContainerCreating')], UNREADY, 'Starting', 'is being started'],
    ['there is no pod yet', [], UNREADY, 'Starting', 'the pod is being made'],
    ['the old one is ending', [aSeenPod({ deleting: true })], UNREADY, 'Progressing', 'is ending'],
    [
      'a quota is used up',
      [],
      aSeenWorkload({
        readyReplicas: 0,
        trouble: { reason: 'FailedCreate', message: 'pods "x" is forbidden: exceeded quota: small' },
      }),
      'QuotaExceeded',
      'exceeded quota: small',
    ],
    [
      'Pod Security refuses the pod',
      [],
      aSeenWorkload({
        readyReplicas: 0,
        trouble: { reason: 'FailedCreate', message: 'violates PodSecurity "restricted:latest"' },
      }),
      'PodSecurityRestricted',
      'violates PodSecurity',
    ],
    [
      'a webhook refuses the pod',
      [],
      aSeenWorkload({
        readyReplicas: 0,
        trouble: { reason: 'FailedCreate', message: 'admission webhook "x" denied the request' },
      }),
      'ClusterRejected',
      'denied the request',
    ],
    [
      'an init container that ended well is no trouble',
      [aSeenPod({ initContainers: [aContainer({ name: 'init', state: 'terminated', exitCode: 0 })] })],
      aSeenWorkload(),
      undefined,
      '',
    ],
    [
      'a preflight pod says nothing about the app',
      [aSeenPod(), { ...waits('ImagePullBackOff', 'x'), role: 'preflight' }],
      aSeenWorkload(),
      undefined,
      '',
    ],
  ])('%s', (_title, pods, workload, reason, words) => {
    const found = podTrouble(pods, workload, NOW_MS)
    expect(found?.reason).toBe(reason)
    expect(found?.message ?? '').toContain(words)
  })

  test('the newest pod is told of first, and no words are endless or move the cursor', () => {
    const message = `\u001b[31m${'x'.repeat(9000)}`
    const old = { ...waits('CrashLoopBackOff'), name: 'old', createdAtMs: 1 }
    const found = podTrouble(
      [old, { ...waits('ImagePullBackOff', message), createdAtMs: 2 }],
      UNREADY,
      NOW_MS,
    )
    expect(found?.reason).toBe('ImageNotPullable')
    expect(found?.message.length).toBeLessThan(600)
    expect(found?.message).not.toContain('\u001b')
  })
})
