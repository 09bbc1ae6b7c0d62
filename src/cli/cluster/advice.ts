/**
 * What a person at a cluster can do about each reason: one sentence, the long form of which stands in
 * `docs/troubleshooting.md`. A record over the closed set, so that a new reason does not compile without its advice.
 */
import { REASONS, type Reason } from '../../errors.ts'

const ADVICE: Readonly<Record<Reason, string>> = {
  InvalidSpec: 'Change the field that the message names.',
  UnsupportedField: 'Remove or change the field; a warning can stay.',
  NameConflict: 'Rename the app, or rename or delete the other object, which Fairlead never takes over.',
  NotFound: 'Check the name and the namespace; create the Secret or ConfigMap that the message names.',
  InvalidReference: 'Write spec.image as registry/repository:tag or with @sha256:<digest>.',
  ImageNotFound: 'Check name and tag with "fairlead resolve REFERENCE"; it is asked for again by itself.',
  ImageNotPullable: 'Use a registry that the nodes reach, with a pull secret where it asks for one.',
  PinnedImageGone:
    'Push the digests that the message names again, or give the nodes a mirror that has them; what runs goes on.',
  PullSecretInvalid: 'Create a Secret of type kubernetes.io/dockerconfigjson in the namespace of the app.',
  RegistryUnauthorized: 'Name a pull secret with valid credentials under spec.pullSecrets.',
  RegistryUnavailable:
    'Check network, DNS and proxy of the controller; what is pinned runs on without the registry.',
  RegistryInvalid: 'Check the host in the reference, and whether a proxy or portal answers in its place.',
  LayoutInvalid: 'Mend the OCI layout that the message names, or wait until it is written.',
  PlatformNotFound:
    'Choose an image that is built for the nodes, or set imagePolicy.platform and a node selector.',
  DigestMismatch: 'It is tried again; if it stays, the registry or its mirror is damaged: ask its operator.',
  DigestRequired: 'Write the digest into spec.image, or remove imagePolicy.resolve: Never.',
  UnsupportedMediaType: 'Name the container image itself, not a chart, signature or other artifact.',
  InvalidManifest: 'Build or push the image again.',
  InvalidConfig: 'Build the image again.',
  InvalidLayer: 'Build the image again.',
  LayersDiverge:
    'Build the image so that its layers mean the same everywhere; docs/layers.md says how, rule by rule.',
  InvalidWhiteout: 'Build the image again, with another tool if need be.',
  PathEscape: 'Do not use this image: an entry of it tries to leave its root.',
  LimitExceeded: 'If the image is trusted, choose a smaller one or let the operator raise the limit.',
  UserNotFound: 'Use a number for spec.user, or a name that the image has in its /etc/passwd.',
  CommandMissing: 'Set spec.command: neither image nor resource says what to run.',
  WorkingDirInvalid: 'Set spec.workingDir to an absolute path.',
  MountConflict: 'Change or remove one of the paths under spec.volumes.',
  UnsafeRootfs: 'Have the image rebuilt with a plain directory where the message says.',
  ExecNotFound: 'Correct the path; it is looked up inside the image, with the volumes mounted.',
  ExecNotAbsolute: 'Write the full path, beginning with /.',
  ExecNotRegularFile: 'Name the program itself, not the directory that holds it.',
  ExecNotExecutable:
    'Set the execute bit when the image is built, or run as a user who may execute the file.',
  ExecNotSearchable: 'Let the directories on the way be entered by the user, or run as another user.',
  ExecDanglingSymlink: 'Mend the link; a file that only a node has is not there inside the container.',
  ExecHiddenByMount: 'Put the program into the volume, or mount the volume elsewhere.',
  ExecOnNoexecMount: 'Remove exec: Forbidden from the volume, or keep programs outside of it.',
  ExecFormatUnknown: 'Give the script a first line such as #!/bin/sh, or name the right file.',
  ExecWrongArchitecture: 'Build the image for the platform that it claims.',
  ExecInterpreterMissing: "Put the script's interpreter into the image, or use a static program.",
  ExecLoaderMissing: "Link the program statically, or build it for the image's own distribution.",
  ExecLibraryMissing: 'Put the library into the image.',
  HookOnHostOnly: 'Put the hook into the image, or mount it from a ConfigMap.',
  HookNotAllowed: 'Use a StartContainer hook; others need the word of an operator.',
  HooksUnsupported: 'Remove spec.hooks, or run the app on a host: pods have no field for OCI hooks.',
  LabelIgnored: 'Nothing has to be done; the label was left out.',
  VolumePathInvalid: 'Change the path; one that the image declares has to be mended there.',
  VolumeNotDirectory: 'Mount the folder above it, or a single file with source.subPath.',
  VolumeNotExecutable:
    'Use a StorageClass whose mounts allow execution, or say exec: Any where no program lies on the volume.',
  VolumeInUse: 'Suspend or delete the app first; its volumes are kept.',
  VolumeNotFound: 'Use a path that "kubectl fairlead volumes ls" shows.',
  VolumeSourceMissing: "Create the claim, Secret or ConfigMap that the volume's source names.",
  SeedFailed: 'Read the end of the message; seeding is tried again by itself.',
  VolumePending:
    'Look at the claim with "kubectl describe pvc": a class without a provisioner leaves it pending.',
  VolumeNotExpandable: 'Use a StorageClass with allowVolumeExpansion: true, or put the old size back.',
  VolumeLost: 'Restore the PersistentVolume or a backup; a lost claim is never replaced by an empty one.',
  ClusterUnavailable: 'Nothing, if it passes: it is tried again; else look at the API server.',
  ClusterForbidden: 'Grant the rule that the message names.',
  ClusterRejected: 'Change the field that leads to the refused object, most often under spec.podTemplate.',
  ClusterConflict: 'Nothing, if it passes; if it stays, two controllers serve the same resources.',
  QuotaExceeded: "Raise the namespace's quota, or lower resources and sizes of volumes.",
  PullSecretForbidden: 'Let an administrator run the commands in the message; it is noticed within a minute.',
  PreflightFailed: 'Read the last words in the message; the preflight is tried again by itself.',
  Unschedulable:
    'Compare spec.resources and spec.podTemplate (affinity, node selector, tolerations) with the nodes.',
  PodSecurityRestricted: 'Nothing, where the app gets along; else let the namespace enforce baseline.',
  ChecksNotMade: 'Let the controller reach the registry; the nodes pull on their own.',
  RuntimeMissing: 'Install the container runtime on the node.',
  RuntimeFailed: "Read the message: it is the runtime's own.",
  LimitUnsupported: 'Remove the limit that would not hold.',
  HookFailed: "Mend the hook; it runs as the container's user with only its own environment.",
  CrashLoopBackOff: 'Read "kubectl logs" of the pod; "kubectl fairlead restart NAME" tries at once.',
  Exited: 'Read "kubectl logs --previous" of the pod; an app is meant to stay.',
  OutOfMemory: 'Raise spec.resources.limits.memory, or give the app less to do.',
  StateCorrupt: 'Restore what the message names from a backup.',
  ControllerRunning: 'Nothing, or end the other controller first.',
  ControllerUnavailable: "Look at the controller's log: kubectl logs of its Deployment.",
  TimedOut: 'Look again with "kubectl fairlead status NAME": the wait ended, not the work.',
  PermissionDenied: 'Read what was refused; the message names the file or the right.',
  DiskFull: 'Make room, or let the volume grow by a larger size in the spec.',
  InternalError: "This is a bug in Fairlead: report it with the controller's log.",
}

/** One sentence, or undefined for a word that is no reason of trouble, such as `Running`. */
export function adviceFor(reason: string): string | undefined {
  const known = REASONS.find((one) => one === reason)
  return known === undefined ? undefined : ADVICE[known]
}
