/** An image whose layers could not be read: nothing is known of its files, so nothing may depend on them. */
import type { App } from '../../../crd/types.ts'
import { declaredVolumes } from '../../../image/volumes.ts'
import type { ResolvedImage } from '../../../image/types.ts'
import type { FileTree } from '../../../rootfs/types.ts'
import { ExpectedError, type Issue } from '../../../errors.ts'

export const UNSEEN_TREE: FileTree = { lookup: () => undefined, list: () => undefined }

/** The warning that stands for all checks that need the image's files. */
export function notSeenWarning(error: ExpectedError): Issue {
  return {
    severity: 'warning',
    reason: 'ChecksNotMade',
    path: 'spec.image',
    message: `the image's layers could not be read, so entrypoint and hooks were not checked: ${error.message}`,
  }
}

/**
 * Throws when the app can't be prepared without the image's files: an account's name stands for ids that only the
 * image has, and a VOLUME is seeded once and for all from what is in the image.
 */
export function refuseUnseen(app: App, image: ResolvedImage, error: ExpectedError): void {
  const why = needOf(app, image)
  if (why === undefined) return
  throw new ExpectedError(error.reason, `${error.message}; the layers are needed, since ${why}`, {
    retry: error.retry,
    cause: error,
  })
}

function needOf({ spec }: App, image: ResolvedImage): string | undefined {
  const user = String(spec.securityContext?.runAsUser ?? spec.user ?? image.config.user)
  const [volume] = [...declaredVolumes(image.config).volumes, ...(spec.volumes ?? []).map(({ path }) => path)]
  if (volume !== undefined) return `volume ${volume} is seeded from the image's folder`
  return /^(?:\d+(?::\d+)?)?$/.test(user)
    ? undefined
    : 'only /etc/passwd of the image tells the ids of its user; a numeric spec.user needs none'
}
