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
import { holderCommand, PREFLIGHT_ARGS, writeHolderArgs } from './preflight-command.ts'
import { preflightMounts, preflightTask, preflightVolumes, SOURCE_ROOT } from './preflight-order.ts'
import { preflightResources, withHolder } from './preflight-resources.ts'
import { preflightScheduling } from './preflight-scheduling.ts'
import type { KubeObject, PreflightWish } from './types.ts'
import type { Desired } from '../types.ts'

export const PREFLIGHT_CONTAINER = 'preflight'
/** Seeding a large image onto slow storage takes its time; a pod that hangs is still given up some day. */
const DEADLINE_SECONDS = 6 * 60 * 60
const GRACE_SECONDS = 5
const HOLDER_VOLUME = 'holder'
const SOURCE_VOLUME = 'source'
const NAME_MAX = 63
/** What it takes to give files their owners, modes and file capabilities; `baseline` allows all of them. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETFCAP']

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
  const mode = options.imageVolumes
    ? fromImageVolume(wish, resourcesOf(wish, appPod))
    : fromHolder(wish, resourcesOf(wish, appPod))
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
      ...mode,
      volumes: [...podVolumes(desired.app, preflightVolumes(wish)), ...mode.volumes],
    }),
  }
}

/** Fields of the pod that depend on how the app's image is seen. */
interface Mode {
  readonly shareProcessNamespace?: boolean
  readonly initContainers: readonly Fields[]
  readonly containers: readonly Fields[]
  readonly volumes: readonly Fields[]
}

/** Fairlead's image with the app's mounted beside it: nothing of the app's image is started. */
function fromImageVolume(wish: PreflightWish, resources: Fields): Mode {
  const mount = { name: SOURCE_VOLUME, mountPath: SOURCE_ROOT, readOnly: true }
  const reference = imageByDigest(wish.desired.image)
  return {
    initContainers: [],
    containers: [preflightContainer(wish, resources, [mount])],
    volumes: [{ name: SOURCE_VOLUME, image: { reference, pullPolicy: 'IfNotPresent' } }],
  }
}

/**
 * Fairlead's image, and beside it a container of the app's image, whose files are seen through the holder's process. Only
 * the holder is started there: it needs nothing of the image, which may have no shell and no libc (rule V11), and it has
 * no rights and no claims.
 */
function fromHolder(wish: PreflightWish, resources: Fields): Mode {
  const { options, desired } = wish
  const mount = { name: HOLDER_VOLUME, mountPath: holderDir(desired) }
  const shares = withHolder(resources)
  return {
    shareProcessNamespace: true,
    initContainers: [
      {
        name: 'write-holder',
        image: options.fairleadImage,
        args: writeHolderArgs(mount.mountPath),
        volumeMounts: [mount],
        ...common(wish, resources),
      },
      {
        name: 'holder',
        image: pinnedImage(desired.image),
        command: holderCommand(mount.mountPath),
        workingDir: '/',
        // It is started before our container and ended after it, and how it ends does not count.
        restartPolicy: 'Always',
        volumeMounts: [{ ...mount, readOnly: true }],
        ...common(wish, shares.holder),
      },
    ],
    containers: [preflightContainer(wish, shares.preflight, [])],
    volumes: [{ name: HOLDER_VOLUME, emptyDir: { sizeLimit: '1Mi' } }],
  }
}

/**
 * Where the holder lies. A link or a VOLUME of the image could put something of the image there, but no image can name
 * its own digest.
 */
function holderDir({ image }: Desired): string {
  return `/fairlead-${image.digest.replace(':', '-')}`
}

/** The one container that does something, and has rights over files. */
function preflightContainer(wish: PreflightWish, resources: Fields, mounts: readonly Fields[]): Fields {
  return {
    name: PREFLIGHT_CONTAINER,
    image: wish.options.fairleadImage,
    args: PREFLIGHT_ARGS,
    env: [taskVariable(wish)],
    volumeMounts: [...preflightMounts(wish), ...mounts],
    ...common(wish, resources, CAPABILITIES),
  }
}

/** A kubelet expands `$(NAME)` in values; JSON can write the dollar without one. */
function taskVariable(wish: PreflightWish): Fields {
  return {
    name: 'FAIRLEAD_PREFLIGHT',
    value: JSON.stringify(preflightTask(wish)).replaceAll('$', String.raw`\u0024`),
  }
}

function resourcesOf({ nodeName }: PreflightWish, appPod: Fields): Fields {
  const app = itemsOf(appPod['containers'])
    .map(fieldsOf)
    .find(({ name }) => name === APP_CONTAINER)
  return preflightResources(fieldsOf(app?.['resources']), nodeName !== undefined)
}

function common({ options, desired }: PreflightWish, resources: Fields, rights: readonly string[] = []) {
  const restricted = options.podSecurity === 'restricted'
  const { uid, gid } = desired.identity
  return {
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePolicy: 'File',
    resources,
    securityContext: {
      runAsUser: restricted ? uid : 0,
      runAsGroup: restricted ? gid : 0,
      ...(restricted ? { runAsNonRoot: true } : {}),
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], ...(restricted || rights.length === 0 ? {} : { add: rights }) },
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
