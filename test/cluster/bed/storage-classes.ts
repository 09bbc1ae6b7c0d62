/** The storage classes of a bed. `medium` says what a volume is made of. */

export const PROVISIONER = 'fairlead.dev/bed'

/**
 * `folder`: a folder of this machine's disk, empty. `ext4`: a file system of its own, so it has `lost+found`.
 * `noexec`: a tmpfs mounted noexec.
 */
export type Medium = 'folder' | 'ext4' | 'noexec'

export interface BedStorageClass {
  readonly name: string
  readonly medium: Medium
  readonly volumeBindingMode: 'Immediate' | 'WaitForFirstConsumer'
  readonly allowVolumeExpansion: boolean
  readonly reclaimPolicy: 'Delete' | 'Retain'
  readonly isDefault: boolean
}

const STANDARD: BedStorageClass = {
  name: 'standard',
  medium: 'folder',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
  reclaimPolicy: 'Delete',
  isDefault: true,
}
const OTHER = { ...STANDARD, isDefault: false }

export const STORAGE_CLASSES: readonly BedStorageClass[] = [
  STANDARD,
  { ...OTHER, name: 'immediate', volumeBindingMode: 'Immediate' },
  { ...OTHER, name: 'no-expand', allowVolumeExpansion: false },
  { ...OTHER, name: 'retain', reclaimPolicy: 'Retain' },
  // The kernel lets only CAP_SYS_RESOURCE resize a mounted ext4, which root of a container rarely has.
  { ...OTHER, name: 'ext4', medium: 'ext4', allowVolumeExpansion: false },
  { ...OTHER, name: 'noexec', medium: 'noexec' },
]

export function storageClassObject(one: BedStorageClass): unknown {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: one.name,
      annotations: { 'storageclass.kubernetes.io/is-default-class': String(one.isDefault) },
    },
    provisioner: PROVISIONER,
    volumeBindingMode: one.volumeBindingMode,
    allowVolumeExpansion: one.allowVolumeExpansion,
    reclaimPolicy: one.reclaimPolicy,
  }
}
