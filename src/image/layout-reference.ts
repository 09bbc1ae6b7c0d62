/**
 * `oci:PATH[:TAG][@DIGEST]` and `oci-archive:FILE[:TAG][@DIGEST]`. A path may itself hold colons and at-signs, so the
 * text is read from its end:
 *
 * 1. What follows the last `@` is the digest when it begins with `sha256:` or `sha512:`; else the `@` is the path's.
 * 2. What follows the last `:` of the rest is the tag when it has the form of one; else the `:` is the path's.
 * 3. A colon at the end says "no tag, all before is path": `oci:/srv/a:b:` is the folder `/srv/a:b`.
 *
 * `oci:/srv/images:docker.io/library/app:1.0` (a full name as the reference, as skopeo writes it) is read as the
 * folder `/srv/images:docker.io/library/app` first; `splits` lists the other readings for a reader that finds no such
 * folder, longest path first.
 */
import { digestProblem, isDigest } from './digest.ts'
import { invalidReference } from './reference-error.ts'
import type { Digest, LayoutReference } from './types.ts'

/** PATH_MAX plus room for a tag and a digest. */
const MAX_TEXT = 4096 + 300
const TAG = /^\w[\w.-]{0,127}$/
const DIGEST_LIKE = /^sha(?:256|512):[^:/]*$/i

export function parseLayoutReference(kind: LayoutReference['kind'], text: string): LayoutReference {
  const what = kind === 'oci' ? 'a folder' : 'a file'
  if (text.length > MAX_TEXT) throw invalidReference(text, `is longer than ${MAX_TEXT} characters`)
  // oxlint-disable-next-line no-control-regex -- a line end or NUL in a path is a mistake of whoever wrote the file
  if (/[\u0000-\u001f\u007f]/.test(text)) throw invalidReference(text, 'has control characters')
  const body = text.slice(kind.length + 1)
  const { rest, digest } = splitDigest(text, body)
  const { path, tag } = splitTag(rest)
  if (path === '') throw invalidReference(text, `names no path; must be ${kind}: and the path of ${what}`)
  return { kind, original: text, path, tag, digest }
}

/** The reference as text that is read back the same. */
export function writeLayoutReference({ kind, path, tag, digest }: LayoutReference): string {
  const end = digest === undefined ? '' : `@${digest}`
  if (tag !== undefined) return `${kind}:${path}:${tag}${end}`
  // The closing colon is written only where the path's own end would be taken for a tag or a digest.
  const ambiguous = splitTag(path).path !== path || (digest === undefined && DIGEST_LIKE.test(afterAt(path)))
  return `${kind}:${path}${ambiguous ? ':' : ''}${end}`
}

/** Every reading of the reference: the one of the rules first, then by the other colons, longest path first. */
export function splits(
  reference: LayoutReference,
): readonly { readonly path: string; readonly tag: string | undefined }[] {
  const all: { path: string; tag: string | undefined }[] = [{ path: reference.path, tag: reference.tag }]
  const text = reference.tag === undefined ? reference.path : `${reference.path}:${reference.tag}`
  for (
    let colon = reference.path.lastIndexOf(':');
    colon > 0;
    colon = reference.path.lastIndexOf(':', colon - 1)
  ) {
    all.push({ path: text.slice(0, colon), tag: text.slice(colon + 1) })
  }
  return all
}

function splitDigest(text: string, body: string): { rest: string; digest: Digest | undefined } {
  const tail = afterAt(body)
  if (!DIGEST_LIKE.test(tail)) return { rest: body, digest: undefined }
  if (isDigest(tail)) return { rest: body.slice(0, -tail.length - 1), digest: tail }
  throw invalidReference(text, `has an invalid digest: ${digestProblem(tail)}`)
}

/** What follows the last `@`; empty when there is none. */
function afterAt(text: string): string {
  const at = text.lastIndexOf('@')
  return at < 0 ? '' : text.slice(at + 1)
}

function splitTag(rest: string): { path: string; tag: string | undefined } {
  const colon = rest.lastIndexOf(':')
  if (colon < 0) return { path: rest, tag: undefined }
  const tail = rest.slice(colon + 1)
  if (tail === '') return { path: rest.slice(0, colon), tag: undefined }
  return TAG.test(tail) ? { path: rest.slice(0, colon), tag: tail } : { path: rest, tag: undefined }
}
