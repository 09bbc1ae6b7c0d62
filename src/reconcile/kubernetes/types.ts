/**
 * The cluster's half of the middle: what is rendered for an app, what was seen of it, and what is to be done. All plain
 * data; objects are JSON as the API server takes and gives it.
 */
import type { InventoryItem } from '../../crd/status.ts'
import type { Issue } from '../../errors.ts'
import type { Digest } from '../../image/types.ts'
import type { Desired, DesiredVolume, Observed } from '../types.ts'

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  /** RFC 3339. */
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly [other: string]: unknown
}

/** Any API object, as JSON. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** `Deployment` only where no volume is single-writer (DESIGN §6). */
export type WorkloadKind = 'StatefulSet' | 'Deployment'
export type ChildKind = WorkloadKind | 'Service' | 'PersistentVolumeClaim' | 'Pod'

/** What the operator and the cluster decide about rendering; nothing of it may change an app that already runs. */
export interface ClusterOptions {
  /** Image that preflight pods run: the controller's own, by digest where known. */
  readonly fairleadImage: string
  /** Pull policy and secrets of `fairleadImage`. */
  readonly fairleadPullSecrets: readonly string[]
  /** Whether image volumes survive a server dry-run and every ready node's runtime has them. */
  readonly imageVolumes: boolean
  /** What the namespace enforces (label `pod-security.kubernetes.io/enforce`). */
  readonly podSecurity: 'privileged' | 'baseline' | 'restricted'
  /** Capacity of a claim for which nobody named one, such as `10Gi`. */
  readonly defaultVolumeSize: string
}

/** A claim that Fairlead makes. With `OneClaim` several volumes share one. */
export interface RenderedClaim {
  readonly name: string
  /** Volumes on it, with the folder of each inside the claim; '' is its root. */
  readonly volumes: readonly { readonly path: string; readonly subPath: string }[]
  readonly object: KubeObject
  readonly retain: 'Retain' | 'Delete'
  /** Bytes asked for. */
  readonly sizeBytes: bigint
}

/** Everything that an app needs in the cluster, but for the preflight pod. */
export interface RenderedCluster {
  /** `metadata.name` of workload and Service is the app's name. */
  readonly workload: KubeObject & { readonly kind: WorkloadKind }
  readonly service: KubeObject | undefined
  readonly claims: readonly RenderedClaim[]
  /** Hash over the user's words and the pin; equal means that nothing has to be rendered again. */
  readonly inputs: string
  readonly warnings: readonly Issue[]
}

/** What all observed objects have. `ours` is decided by labels and, for owned kinds, by the owner's uid. */
export interface ObservedObject {
  readonly kind: ChildKind
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  /** Carries our labels for this app. */
  readonly ours: boolean
  /** Name of the app that its label names; a claim brought by `source.claimName` may be another app's. */
  readonly app?: string | undefined
  /** uid of the ContainerApp that owns it, where one does. */
  readonly ownerUid: string | undefined
  /** Name of that ContainerApp, where it is not the one that the label names. */
  readonly otherOwner?: string | undefined
  readonly deleting: boolean
}

export interface ObservedWorkload extends ObservedObject {
  readonly kind: WorkloadKind
  /** Revision and digest of its pod template (annotations). */
  readonly revision: string
  readonly digest: Digest | undefined
  readonly inputs: string | undefined
  /** A field that we applied has another value now: somebody else wrote it. */
  readonly drifted: boolean
  /** The document that was applied last, from its annotation. */
  readonly applied: KubeObject | undefined
  readonly specReplicas: number
  readonly replicas: number
  readonly readyReplicas: number
  readonly updatedReplicas: number
  readonly availableReplicas: number
  /** The workload's controller has seen its current spec. */
  readonly observed: boolean
  /** A StatefulSet's hash of its pod template, as `controller-revision-hash` on its pods. */
  readonly updateRevision?: string | undefined
  /** Claims of its pod template; absent: none. */
  readonly claims?: readonly PodClaim[] | undefined
  /** Message of a failing condition (`ReplicaFailure`, `ProgressDeadlineExceeded`), such as a quota's. */
  readonly trouble: { readonly reason: string; readonly message: string } | undefined
}

export interface ObservedService extends ObservedObject {
  readonly kind: 'Service'
  readonly drifted: boolean
  readonly applied: KubeObject | undefined
  readonly clusterIP: string | undefined
  /** Addresses of a load balancer. */
  readonly ingress: readonly string[]
}

export interface ObservedClaim extends ObservedObject {
  readonly kind: 'PersistentVolumeClaim'
  /** Paths of the app's volumes on it (annotation), in the order of its folders. */
  readonly paths: readonly string[]
  readonly phase: 'Pending' | 'Bound' | 'Lost'
  readonly requestBytes: bigint | undefined
  readonly capacityBytes: bigint | undefined
  readonly storageClassName: string | undefined
  readonly accessModes: readonly string[]
  /**
   * Per path: digest that it was seeded from, `empty` when there was nothing to copy, `kept` when it had content
   * already; absent: not prepared yet.
   */
  readonly seeded: Readonly<Record<string, string>>
  /** Per path: what a preflight pod saw its mount allow. */
  readonly exec?: Readonly<Record<string, 'exec' | 'noexec'>> | undefined
  /** Per path: what could not be kept when it was seeded, for people. */
  readonly lost?: Readonly<Record<string, string>> | undefined
  /** What it was cloned from: as immutable as its access modes, so an apply repeats it. */
  readonly dataSourceRef?: unknown
  /** Our ownerReference, made by `retain: Delete`. */
  readonly retain: 'Retain' | 'Delete'
  /** It has an owner although we made it one that stays: somebody else wrote that. */
  readonly ownedByHand?: true | undefined
  /** What the resizer says, when it says something. */
  readonly resize: { readonly reason: string; readonly message: string } | undefined
  readonly volumeName: string | undefined
  readonly createdAtMs?: number | undefined
}

export interface ObservedContainer {
  readonly name: string
  readonly ready: boolean
  readonly restarts: number
  /** `waiting` with its reason (`ImagePullBackOff`, `CreateContainerConfigError`), `running`, `terminated`. */
  readonly state: 'waiting' | 'running' | 'terminated'
  readonly reason: string | undefined
  readonly message: string | undefined
  readonly exitCode: number | undefined
  readonly startedAtMs: number | undefined
  readonly finishedAtMs: number | undefined
  readonly last:
    | {
        readonly exitCode: number
        readonly reason: string | undefined
        readonly message: string | undefined
        readonly startedAtMs: number
        readonly finishedAtMs: number
      }
    | undefined
}

export interface ObservedPod extends ObservedObject {
  readonly kind: 'Pod'
  readonly role: 'app' | 'preflight'
  /** uid of the StatefulSet or ReplicaSet that made it; undefined: nobody keeps it alive. */
  readonly controllerUid?: string | undefined
  /** Label `controller-revision-hash`: the template that a StatefulSet made it from. */
  readonly templateHash?: string | undefined
  /** Claims that it mounts; absent: none. */
  readonly claims?: readonly PodClaim[] | undefined
  /** Volumes that a preflight pod was told of, in the order of its report. */
  readonly taskPaths?: readonly string[] | undefined
  readonly revision: string
  readonly digest: Digest | undefined
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
  readonly ready: boolean
  readonly nodeName: string | undefined
  /** Message of `PodScheduled=False`. */
  readonly unschedulable: string | undefined
  readonly createdAtMs: number
  readonly initContainers: readonly ObservedContainer[]
  readonly containers: readonly ObservedContainer[]
  /** Pod-level reason and message, such as `Evicted`. */
  readonly reason: string | undefined
  readonly message: string | undefined
}

/** The engine-neutral view plus everything that planning on a cluster needs. */
export interface ClusterObserved extends Observed {
  /** Every StatefulSet and Deployment of the app's name: one usually, two while its kind changes, also foreign ones. */
  readonly workloads: readonly ObservedWorkload[]
  readonly service: ObservedService | undefined
  /** Claims with the app's labels, and those that the spec names. */
  readonly claims: readonly ObservedClaim[]
  /** What other apps do with these claims, by the engine that plans; absent: nobody looked. */
  readonly claimUses?: readonly ClaimUse[] | undefined
  readonly pods: readonly ObservedPod[]
  /** StorageClasses by name: whether claims may grow; absent where we may not read them. */
  readonly expandable: Readonly<Record<string, boolean>> | undefined
  readonly inventory: readonly InventoryItem[]
  /** When time alone will change what is seen; nobody tells it then. Milliseconds since the epoch. */
  readonly wakeAtMs?: number | undefined
}

/** One thing to do in a cluster. */
export type ClusterStep =
  | { readonly kind: 'keep'; readonly id: string }
  /** POST; an object that is there already and is not ours is `NameConflict`. */
  | { readonly kind: 'create'; readonly id: string; readonly object: KubeObject }
  /**
   * Server-side apply with our field manager, force, and `metadata.uid` of what was seen. An apply takes away only what
   * it gave; `disown` takes any ContainerApp away from the owners.
   */
  | { readonly kind: 'apply'; readonly id: string; readonly object: KubeObject; readonly disown?: true }
  /** With uid (and, where it matters, resourceVersion) as precondition. */
  | {
      readonly kind: 'delete'
      readonly id: string
      readonly target: Pick<ObservedObject, 'kind' | 'name' | 'uid'>
      readonly propagation: 'Background' | 'Foreground' | 'Orphan'
      readonly why: string
    }

export interface PreflightWish {
  readonly desired: Desired
  readonly rendered: RenderedCluster
  /** Volumes that are new: they are seeded and given their owner. */
  readonly toSeed: readonly DesiredVolume[]
  /** Volumes whose mount is proven: all that the pod can mount beside what runs. */
  readonly toCheck: readonly DesiredVolume[]
  /** Node of the running pod, where there is one: single-writer claims are attached there. */
  readonly nodeName: string | undefined
  readonly options: ClusterOptions
}

/** A claim that a pod mounts. `readOnly` absent: something in the pod may write to it. */
export interface PodClaim {
  readonly name: string
  readonly readOnly?: true
}

/** A claim that another app of the namespace mounts, or is to mount. */
export interface ClaimUse {
  readonly claim: string
  /** Name of that app. */
  readonly app: string
  /** What says so, for people: `Pod/one-0`. */
  readonly by: string
  readonly readOnly: boolean
  /** `wants`: nothing of it runs yet, so whoever runs with the claim already keeps it. */
  readonly is: 'runs' | 'wants'
}
