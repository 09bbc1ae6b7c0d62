/**
 * Names that Fairlead writes into the world: group, kind, annotation and label keys, field managers. They are API:
 * objects in clusters and state folders carry them, so a key is never renamed, only added.
 */
export const GROUP = 'fairlead.dev'
export const VERSION = 'v1alpha1'
export const API_VERSION = `${GROUP}/${VERSION}` as const
export const KIND = 'ContainerApp'
export const PLURAL = 'containerapps'
export const SINGULAR = 'containerapp'
export const SHORT_NAME = 'capp'

/** Asks, once for each value, for the image to be resolved; `status.lastHandledRequest` is the last value answered. */
export const RESOLVE_REQUESTED_AT = `${GROUP}/resolve-requested-at`
/** Beside that one: asks for this digest, from `status.image.history`, instead. */
export const ROLLBACK_TO = `${GROUP}/rollback-to`
/** A part of what is rendered, so another value is another revision: nothing has to answer it. */
export const RESTART_REQUESTED_AT = `${GROUP}/restart-requested-at`

/** Annotations on what we create. */
export const IMAGE_REFERENCE = `${GROUP}/image-reference`
export const IMAGE_DIGEST = `${GROUP}/image-digest`
export const VOLUME_PATH = `${GROUP}/volume-path`
export const REVISION = `${GROUP}/revision`
/** The document that was applied last, and the hash of what it was rendered from. */
export const APPLIED = `${GROUP}/applied`
export const INPUTS = `${GROUP}/inputs`
export const APPLIED_HASH = `${GROUP}/applied-hash`
export const SEEDED_FROM = `${GROUP}/seeded-from`
/** What a preflight pod saw the mounts of a claim allow. */
export const EXEC_SEEN = `${GROUP}/exec-seen`
/** What could not be kept when the volumes of a claim were seeded. */
export const SEED_LOSSES = `${GROUP}/seed-losses`

/** Labels on what we create. */
export const APP_LABEL = `${GROUP}/app`
export const COMPONENT_LABEL = `${GROUP}/component`
export const VOLUME_LABEL = `${GROUP}/volume`
export const REVISION_LABEL = `${GROUP}/revision`
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by'
export const MANAGED_BY = 'fairlead'

/** One field manager a writer's role, as server-side apply wants it. */
export const FIELD_MANAGER = 'fairlead-controller'
export const STATUS_FIELD_MANAGER = 'fairlead-status'
