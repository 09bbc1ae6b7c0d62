/**
 * What `diff` compares, as users type it: an image, a folder, the root of a running app, or a volume. None of the words
 * for the last three can be an image: references begin with a letter or digit and have no scheme.
 */
import type { AppKey } from '../reconcile/names.ts'
import { normaliseVolumePath } from '../image/volumes.ts'
import type { Reference } from '../image/types.ts'
import { printable } from '../errors.ts'
import { appKeyOf } from './app-name.ts'
import type { CommandCall } from './command-spec.ts'
import { referenceOf } from './image-source.ts'
import { UsageError } from './usage-error.ts'

export type DiffSide =
  | { readonly kind: 'image'; readonly reference: Reference }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'app'; readonly key: AppKey }
  | { readonly kind: 'volume'; readonly key: AppKey; readonly path: string }

const APP = 'app://'
const VOLUME = 'volume://'
/** `/srv/tree`, `./tree`, `../tree`, `.`, `..` */
const FOLDER = /^(?:\/|\.{1,2}(?:\/|$))/
/** Other tools name folders so; here it would be the tag of an image `dir`. */
const OTHER_WORDS = /^(?:dir|app|volume):(?!\/\/)/

/** Whether an argument can only be meant as an image. */
export function isImageText(text: string): boolean {
  return !FOLDER.test(text) && !text.startsWith(APP) && !text.startsWith(VOLUME)
}

/** One argument of `diff`; UsageError for what is none of the four. */
export function diffSideOf(call: CommandCall, text: string): DiffSide {
  if (FOLDER.test(text)) return { kind: 'folder', path: text }
  if (text.startsWith(APP)) return { kind: 'app', key: appKeyOf(call, text.slice(APP.length)) }
  if (text.startsWith(VOLUME)) return volumeSide(call, text.slice(VOLUME.length))
  try {
    return { kind: 'image', reference: referenceOf(text) }
  } catch (error) {
    throw OTHER_WORDS.test(text) ? otherWords(text) : error
  }
}

/** `NAME:/PATH`: a name has no colon, a path may. */
function volumeSide(call: CommandCall, text: string): DiffSide {
  const colon = text.indexOf(':')
  if (colon === -1)
    throw new UsageError(
      `found ${JSON.stringify(printable(VOLUME + text))}; must be volume://NAME:/PATH`,
      'volume',
    )
  const normal = normaliseVolumePath(text.slice(colon + 1))
  if ('problem' in normal)
    throw new UsageError(
      `${JSON.stringify(printable(text.slice(colon + 1)))} ${normal.problem}`,
      'volume',
      'VolumePathInvalid',
    )
  return { kind: 'volume', key: appKeyOf(call, text.slice(0, colon)), path: normal.path }
}

function otherWords(text: string): UsageError {
  return new UsageError(
    `found ${JSON.stringify(printable(text))}; a folder is a path (/srv/tree, ./tree), an app app://NAME, a volume volume://NAME:/PATH`,
    'reference',
  )
}
