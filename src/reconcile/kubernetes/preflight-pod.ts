/**
 * The pod that prepares a revision before anything of the old one stops (DESIGN §6): it pulls the image, seeds new
 * claims, proves that programs run on them, and is the first consumer of claims that wait for one. It owns root's
 * rights over files only where the namespace allows them.
 */
import { IMAGE_DIGEST, IMAGE_REFERENCE, REVISION, REVISION_LABEL } from '../../crd/labels.ts'
import { fieldsOf, itemsOf, type Fields } from '../../crd/view.ts'
import { canonicalJson } from '../canonical-json.ts'
import { shortHash } from '../names.ts'
import { compactFields, kubeObject } from './compact.ts'
import { APP_CONTAINER } from './container.ts'
import { imageByDigest, pinnedImage } from './image-name.ts'
import { childLabels, ownerReferences } from './metadata.ts'
import { podVolumes } from './pod-volumes.ts'
import { copyRuntimeArgs, preflightCommand, PREFLIGHT_ARGS } from './preflight-command.ts'
import { preflightMounts, preflightTask, preflightVolumes, SOURCE_ROOT } from './preflight-order.ts'
import { preflightResources } from './preflight-resources.ts'
import { preflightScheduling } from './preflight-scheduling.ts'
import type { KubeObject, PreflightWish } from './types.ts'

export const PREFLIGHT_CONTAINER = 'preflight'
/** Seeding a large image onto slow storage takes its time; a pod that hangs is still given up some day. */
const DEADLINE_SECONDS = 6 * 60 * 60
const GRACE_SECONDS = 5
const RUNTIME_DIR = '/fairlead'
const RUNTIME_VOLUME = 'fairlead-runtime'
const SOURCE_VOLUME = 'source'
const NAME_MAX = 63
/** What it takes to give files their owners, modes and file capabilities; `baseline` allows all of them. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETFCAP']
/** The image's own variables must not steer the program that we start in its container. */
const NEUTRAL_ENV = ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'NODE_OPTIONS']

/** One name for each revision of an app, at most 63 characters. */
export function preflightName(appName: string, revision: string): string {
  const hash = shortHash(`${appName}\0${revision}`, 8)
  const room = NAME_MAX - '-preflight-'.length - hash.length
  return `${appName.slice(0, room).replace(/-+$/, '')}-preflight-${hash}`
}

/** @throws ExpectedError ImageNotPullable for the image of a layout. */
export function renderPreflight(wish: PreflightWish): KubeObject {
  const { desired } = wish
  const { app, revision, image } = desired
  const { name, namespace } = app.metadata
  const pod = kubeObject(
    { apiVersion: 'v1', kind: 'Pod' },
    {
      name: preflightName(name, revision),
      namespace,
      labels: { ...childLabels(name, 'preflight'), [REVISION_LABEL]: revision },
      annotations: {
        [IMAGE_REFERENCE]: app.spec.image,
        [IMAGE_DIGEST]: image.digest,
        [REVISION]: revision,
      },
      ownerReferences: ownerReferences(app),
    },
    podSpec(wish),
  )
  return JSON.parse(canonicalJson(pod)) as KubeObject
}

function podSpec(wish: PreflightWish): Fields {
  const { options, desired, nodeName, rendered } = wish
  const template = fieldsOf(fieldsOf(rendered.workload['spec'])['template'])
  const appPod = fieldsOf(template['spec'])
  const mode = options.imageVolumes ? fromImageVolume(wish) : fromOwnImage(wish)
  const restricted = options.podSecurity === 'restricted'
  return {
    ...preflightScheduling(appPod, nodeName),
    ...compactFields({
      restartPolicy: 'Never',
      activeDeadlineSeconds: DEADLINE_SECONDS,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      imagePullSecrets: pullSecrets(appPod, options.fairleadPullSecrets),
      securityContext: {
        seccompProfile: { type: 'RuntimeDefault' },
        ...(restricted ? { fsGroup: fsGroupOf(appPod), fsGroupChangePolicy: 'OnRootMismatch' } : {}),
      },
      initContainers: mode.initContainers.map((container) => ({ ...container, ...common(wish, appPod) })),
      containers: [{ ...mode.container, ...common(wish, appPod) }],
      volumes: [...podVolumes(desired.app, preflightVolumes(wish)), ...mode.volumes],
    }),
  }
}

interface Mode {
  readonly initContainers: readonly Fields[]
  readonly container: Fields
  readonly volumes: readonly Fields[]
}

/** Fairlead's image with the app's mounted beside it: nothing of the app's image is ever run. */
function fromImageVolume(wish: PreflightWish): Mode {
  const { options, desired } = wish
  return {
    initContainers: [],
    container: {
      name: PREFLIGHT_CONTAINER,
      image: options.fairleadImage,
      args: PREFLIGHT_ARGS,
      env: [taskVariable(wish)],
      volumeMounts: [
        ...preflightMounts(wish),
        { name: SOURCE_VOLUME, mountPath: SOURCE_ROOT, readOnly: true },
      ],
    },
    volumes: [
      {
        name: SOURCE_VOLUME,
        image: { reference: imageByDigest(desired.image), pullPolicy: 'IfNotPresent' },
      },
    ],
  }
}

/** The app's image, in which our own runtime is started: it may have no shell and no libc (rule V11). */
function fromOwnImage(wish: PreflightWish): Mode {
  const { options, desired } = wish
  const runtime = { name: RUNTIME_VOLUME, mountPath: RUNTIME_DIR }
  return {
    initContainers: [
      {
        name: 'runtime',
        image: options.fairleadImage,
        args: copyRuntimeArgs(RUNTIME_DIR),
        volumeMounts: [runtime],
      },
    ],
    container: {
      name: PREFLIGHT_CONTAINER,
      image: pinnedImage(desired.image),
      command: preflightCommand(RUNTIME_DIR),
      workingDir: '/',
      env: [...NEUTRAL_ENV.map((name) => ({ name, value: '' })), taskVariable(wish)],
      volumeMounts: [...preflightMounts(wish), { ...runtime, readOnly: true }],
    },
    volumes: [{ name: RUNTIME_VOLUME, emptyDir: { sizeLimit: '1Gi' } }],
  }
}

/** A kubelet expands `$(NAME)` in values; JSON can write the dollar without one. */
function taskVariable(wish: PreflightWish): Fields {
  return {
    name: 'FAIRLEAD_PREFLIGHT',
    value: JSON.stringify(preflightTask(wish)).replaceAll('$', String.raw`\u0024`),
  }
}

function common({ options, desired, nodeName }: PreflightWish, appPod: Fields): Fields {
  const app = itemsOf(appPod['containers'])
    .map(fieldsOf)
    .find(({ name }) => name === APP_CONTAINER)
  const restricted = options.podSecurity === 'restricted'
  const { uid, gid } = desired.identity
  return {
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePolicy: 'File',
    resources: preflightResources(fieldsOf(app?.['resources']), nodeName !== undefined),
    securityContext: {
      runAsUser: restricted ? uid : 0,
      runAsGroup: restricted ? gid : 0,
      ...(restricted ? { runAsNonRoot: true } : {}),
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: restricted ? { drop: ['ALL'] } : { drop: ['ALL'], add: CAPABILITIES },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  }
}

/** As the app's pod has it, by the user's word or ours: another group would change every file twice. */
function fsGroupOf(appPod: Fields): unknown {
  return fieldsOf(appPod['securityContext'])['fsGroup']
}

function pullSecrets(appPod: Fields, ours: readonly string[]): readonly Fields[] {
  const names = itemsOf(appPod['imagePullSecrets']).map((secret) => fieldsOf(secret)['name'])
  return [...new Set([...names, ...ours])].map((name) => ({ name }))
}
