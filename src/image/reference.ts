/**
 * Image references as people type them: the grammar of distribution/reference with Docker Hub's defaults, and the
 * `oci:` and `oci-archive:` transports of containers-transports(5). Pure and linear in the length of the text.
 */
import { digestProblem, isDigest } from './digest.ts'
import { checkHost, looksLikeHost, normaliseHost } from './host.ts'
import { parseLayoutReference, writeLayoutReference } from './layout-reference.ts'
import { invalidReference } from './reference-error.ts'
import type { Digest, LayoutReference, Reference, RegistryReference } from './types.ts'

const DOCKER_HUB = 'docker.io'
const OFFICIAL = 'library/'
const DEFAULT_TAG = 'latest'
const MAX_PATH = 255
/** Longer than any host, path, tag and digest together; what is longer need not be looked at. */
const MAX_TEXT = 1024

const TAG = /^\w[\w.-]{0,127}$/
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const IDENTIFIER = /^[0-9a-f]{64}$/
const URL_SCHEME = /^([a-zA-Z][a-zA-Z0-9+.-]{0,30}):\/\//
/** Transports of containers-transports(5) and other tools that are none of ours: for the hint only. */
const FOREIGN_TRANSPORT =
  /^(docker-archive|docker-daemon|containers-storage|oci-layout|ocidir|sif|dir|ostree):/

const LAYOUT_KINDS: ReadonlySet<string> = new Set<LayoutReference['kind']>(['oci', 'oci-archive'])

/** Reads a reference. Throws InvalidReference saying what was found and what would be right. */
export function parseReference(text: string): Reference {
  if (URL_SCHEME.test(text)) throw schemeError(text)
  if (text.startsWith('oci:')) return parseLayoutReference('oci', text)
  if (text.startsWith('oci-archive:')) return parseLayoutReference('oci-archive', text)
  return parseRegistryReference(text)
}

function parseRegistryReference(text: string): RegistryReference {
  if (text === '') throw invalidReference(text, 'is empty; must name an image, such as nginx:1.27')
  if (text.length > MAX_TEXT) throw invalidReference(text, `is longer than ${MAX_TEXT} characters`)
  if (IDENTIFIER.test(text)) {
    throw invalidReference(
      text,
      'has 64 hexadecimal digits and could as well be an image ID; write docker.io/library/ before it or name a tag',
    )
  }
  const at = text.indexOf('@')
  const named = at < 0 ? text : text.slice(0, at)
  const digest = at < 0 ? undefined : digestPart(text, text.slice(at + 1))

  // A port has a slash after it, a tag has none: only a colon after the last slash begins a tag (rule R3).
  const slash = named.lastIndexOf('/')
  const colon = named.indexOf(':', slash + 1)
  const name = colon < 0 ? named : named.slice(0, colon)
  const typedTag = colon < 0 ? undefined : tagPart(text, named.slice(colon + 1))
  const tag = typedTag ?? (digest === undefined ? DEFAULT_TAG : undefined)
  const { registry, repository } = namePart(text, name)
  return { kind: 'registry', original: text, registry, repository, tag, digest }
}

/** The reference with every default written out; parsing it gives the same image. */
export function canonical(reference: Reference): string {
  if (reference.kind !== 'registry') return writeLayoutReference(reference)
  return `${reference.registry}/${reference.repository}${suffix(reference)}`
}

/** The reference as people like to read it: without Docker Hub's host and `library/` where nothing is lost. */
export function familiar(reference: Reference): string {
  if (reference.kind !== 'registry') return writeLayoutReference(reference)
  return `${familiarName(reference)}${suffix(reference)}`
}

/** Whether a text could stand after the colon of a reference. */
export function isTag(text: string): boolean {
  return TAG.test(text)
}

function suffix(reference: RegistryReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`
}

function familiarName({ registry, repository }: RegistryReference): string {
  if (registry !== DOCKER_HUB) return `${registry}/${repository}`
  const short = repository.slice(OFFICIAL.length)
  // library/oci:1 must not become oci:1, which is a layout.
  if (repository.startsWith(OFFICIAL) && !short.includes('/'))
    return LAYOUT_KINDS.has(short) ? repository : short
  // docker.io/localhost/x must not become localhost/x, which is another registry.
  const first = repository.slice(0, Math.max(0, repository.indexOf('/')))
  return first === '' || looksLikeHost(first) ? `${registry}/${repository}` : repository
}

function namePart(text: string, name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  if (slash < 0 || !looksLikeHost(first)) {
    const path = slash < 0 ? `${OFFICIAL}${name}` : name
    checkPath(text, name, path)
    return { registry: DOCKER_HUB, repository: path }
  }
  const problem = checkHost(first)
  if (problem !== undefined) throw invalidReference(text, foreignTransport(text) ?? problem)
  const registry = normaliseHost(first)
  const typed = name.slice(slash + 1)
  const path = registry === DOCKER_HUB && !typed.includes('/') ? `${OFFICIAL}${typed}` : typed
  checkPath(text, typed, path)
  return { registry, repository: path }
}

function foreignTransport(text: string): string | undefined {
  const transport = FOREIGN_TRANSPORT.exec(text)?.[1]
  return transport === undefined
    ? undefined
    : `has the transport ${transport}:, which is not supported; must be a registry reference, oci:PATH or oci-archive:FILE`
}

/** `typed` is what the message shows; `path` is what is checked for length. */
function checkPath(text: string, typed: string, path: string): void {
  if (typed === '') throw invalidReference(text, 'has no repository name')
  if (path.length > MAX_PATH) {
    throw invalidReference(
      text,
      `has a repository path of ${path.length} characters; at most ${MAX_PATH} are allowed`,
    )
  }
  for (const component of typed.split('/')) {
    if (!PATH_COMPONENT.test(component)) throw invalidReference(text, componentProblem(component, typed))
  }
}

function componentProblem(component: string, typed: string): string {
  if (component === '')
    return 'has an empty component in its repository path (two slashes, or one at the end)'
  if (PATH_COMPONENT.test(component.toLowerCase())) {
    return `has upper-case letters in its repository path; write ${typed.toLowerCase()}`
  }
  return `has the path component ${JSON.stringify(component)}; must be lower-case letters and digits, separated by one . or _, by __ or by dashes`
}

function tagPart(text: string, tag: string): string {
  if (isTag(tag)) return tag
  if (tag === '') throw invalidReference(text, 'has an empty tag; remove the colon or write a tag after it')
  throw invalidReference(
    text,
    `has the tag ${JSON.stringify(tag)}; must be at most 128 letters, digits, _, . and -, and not begin with . or -`,
  )
}

function digestPart(text: string, digest: string): Digest {
  if (isDigest(digest)) return digest
  throw invalidReference(text, `has an invalid digest: ${digestProblem(digest)}`)
}

function schemeError(text: string): Error {
  const scheme = URL_SCHEME.exec(text)?.[1] ?? ''
  const rest = text.slice(scheme.length + 3)
  if (scheme === 'oci' || scheme === 'oci-archive') {
    return invalidReference(
      text,
      `begins with ${scheme}://; write ${scheme}:/path for a layout, or an image name without scheme`,
    )
  }
  return invalidReference(
    text,
    `begins with ${scheme}://; a reference has no scheme, write ${rest === '' ? 'the image name alone' : JSON.stringify(rest)}`,
  )
}
