/** What a kubelet and the program of a preflight pod would say, without either: for clusters without nodes. */
import type { PreflightTask } from '../../src/reconcile/kubernetes/preflight-task.ts'
import type { KubeObject, ObjectMeta } from '../../src/reconcile/kubernetes/types.ts'

type Fields = Readonly<Record<string, unknown>>

interface PodSpec {
  readonly containers: readonly {
    readonly env?: readonly { readonly name: string; readonly value?: string }[]
    readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
  }[]
  readonly volumes?: readonly {
    readonly name: string
    readonly persistentVolumeClaim?: { readonly claimName: string }
  }[]
}

/** What is on claims, by uid of the claim: folders that were prepared. Survives everything but the claim. */
export type Contents = Map<string, Set<string>>

export function isPreflight({ metadata }: KubeObject): boolean {
  return metadata.labels?.['fairlead.dev/component'] === 'preflight'
}

/** Names of the claims that a pod mounts. */
export function claimsOf(pod: KubeObject): readonly string[] {
  return ((pod['spec'] as PodSpec).volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
    claim === undefined ? [] : [claim.claimName],
  )
}

export function phaseOf({ status }: KubeObject): string | undefined {
  return (status as Fields | undefined)?.['phase'] as string | undefined
}

export function runningStatus({ creationTimestamp }: ObjectMeta): Fields {
  return {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: creationTimestamp }],
    containerStatuses: [
      {
        name: 'app',
        image: 'app',
        imageID: '',
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: creationTimestamp } },
      },
    ],
  }
}

/** The end of a preflight pod: `message` is its report; undefined: it left none. */
export function preflightEnd(message: string | undefined, failed: boolean, time: string): Fields {
  return {
    phase: failed ? 'Failed' : 'Succeeded',
    containerStatuses: [
      {
        name: 'preflight',
        image: 'preflight',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: {
          terminated: {
            exitCode: failed ? 1 : 0,
            reason: failed ? 'Error' : 'Completed',
            startedAt: time,
            finishedAt: time,
            ...(message === undefined ? {} : { message }),
          },
        },
      },
    ],
  }
}

/** Does to `contents` what the program in the pod does to claims, and reports: what has content is kept. */
export function prepared(pod: KubeObject, claims: readonly KubeObject[], contents: Contents): string {
  const { containers, volumes = [] } = pod['spec'] as PodSpec
  const [container] = containers
  const env = container?.env?.find(({ name }) => name === 'FAIRLEAD_PREFLIGHT')?.value ?? '{}'
  const task = JSON.parse(env) as PreflightTask
  const entries = task.volumes.map(({ mount, subPath, action, inImage }) => {
    if (action === 'Check') return '-x'
    const volume = container?.volumeMounts?.find(({ mountPath }) => mountPath === mount)?.name
    const claim = volumes.find(({ name }) => name === volume)?.persistentVolumeClaim?.claimName
    const uid = claims.find(({ metadata }) => metadata.name === claim)?.metadata.uid ?? ''
    const content = contents.get(uid) ?? new Set()
    contents.set(uid, content)
    if (content.has(subPath)) return 'kx'
    content.add(subPath)
    return action === 'Copy' && inImage ? 'cx' : 'ox'
  })
  return JSON.stringify({ version: 1, volumes: entries })
}
