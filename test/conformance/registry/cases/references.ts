/** R: what a user typed, as far as requests show how it was understood. */
import type { Case } from '../case.ts'
import { nothingAsked } from '../checks.ts'
import { evil, genuine, manifestBytes, put, putUntagged, REPOSITORY } from '../images.ts'
import { MANIFEST, document } from '../answers.ts'
import type { Stage } from '../stage.ts'

const HEX = 'f'.repeat(64)

/** Refused before anybody is asked. */
function refused(id: string, title: string, reference: string): Case {
  return {
    id,
    title: `${title} is refused, and nobody is asked`,
    ask: 'resolve',
    expected: 'refused',
    reference: () => reference,
    serve: (stage) => {
      for (const party of stage.all())
        party.on(MANIFEST, document(manifestBytes(genuine), genuine.manifest.mediaType))
    },
    forbidden: nothingAsked,
  }
}

/** Understood as an image of Docker Hub. */
function ofHub(id: string, reference: string, repository: string, tag = 'latest'): Case {
  return {
    id,
    title: `${reference} is ${repository}:${tag} of Docker Hub`,
    ask: 'resolve',
    expected: 'right',
    reference: () => reference,
    serve: (stage) => put(stage.parties.hub, genuine, tag, repository),
  }
}

function understood(
  id: string,
  title: string,
  reference: string | ((stage: Stage) => string),
  serve: Case['serve'],
): Case {
  const typed = typeof reference === 'string' ? () => reference : reference
  return { id, title, ask: 'resolve', expected: 'right', reference: typed, serve }
}

export const REFERENCE_CASES: readonly Case[] = [
  refused('R1-empty-part', 'a path with an empty component', 'registry.example/team//app:1'),
  refused('R1-empty-tag', 'an empty tag', 'registry.example/team/app:'),
  refused('R1-two-dots', 'a component with two dots in a row', 'registry.example/team/a..b:1'),
  refused('R1-dot-dot', 'a component that is two dots', 'registry.example/team/../app:1'),
  refused('R1-leading-dash', 'a component that begins with a dash', 'registry.example/team/-app:1'),
  refused('R1-trailing-dash', 'a component that ends with a dash', 'registry.example/team/app-:1'),
  refused('R1-query', 'a query', 'registry.example/team/app:1?ns=x'),
  understood(
    'R2-port-is-host',
    'a first component with a port is a host',
    (stage) => stage.reference(':1', stage.parties.registry5000.host),
    (stage) => put(stage.parties.registry5000, genuine),
  ),
  ofHub('R3-short', 'ubuntu', 'library/ubuntu'),
  ofHub('R3-short-tag', 'ubuntu:24.04', 'library/ubuntu', '24.04'),
  ofHub('R3-two-parts', 'team/app:1', REPOSITORY, '1'),
  ofHub('R3-hub-one-part', 'docker.io/ubuntu', 'library/ubuntu'),
  ofHub('R3-hub-two-parts', 'docker.io/team/app:1', REPOSITORY, '1'),
  ofHub('R3-index-alias', 'index.docker.io/library/ubuntu', 'library/ubuntu'),
  ofHub('R3-registry-1-alias', 'registry-1.docker.io/library/ubuntu', 'library/ubuntu'),
  understood('R3-other-host', 'another host’s images get no library/', 'registry.example/app:1', (stage) =>
    put(stage.registry, genuine, '1', 'app'),
  ),
  {
    ...ofHub('R4-api-host', 'docker.io/library/ubuntu', 'library/ubuntu'),
    title: 'Docker Hub’s registry is asked, never its web site',
    forbidden: ({ parties }) =>
      parties.site.requests.length > 0 ? 'asked docker.io, which is no registry' : undefined,
  },
  refused('R5-port-too-big', 'a port above 65535', 'registry.example:65536/team/app:1'),
  refused('R5-port-zero', 'port 0', 'registry.example:0/team/app:1'),
  {
    ...understood(
      'R6-ipv6',
      'an IPv6 address in brackets is a host',
      (stage) => stage.reference(':1', stage.parties.loopback6.host),
      (stage) => put(stage.parties.loopback6, genuine),
    ),
    needs: ['plain-http'],
    setup: (stage) => ({ plainHttp: [stage.parties.loopback6.host] }),
  },
  refused('R6-zone', 'an IPv6 address with a zone', '[fe80::1%25lo]:5000/team/app:1'),
  refused('R6-mapped', 'an IPv4 address as mapped IPv6', '[::ffff:169.254.169.254]/team/app:1'),
  refused('R6-bare', 'an IPv6 address without brackets', '::1/team/app:1'),
  refused('R7-upper-path', 'an upper-case path', 'registry.example/Team/App:1'),
  understood('R7-upper-tag', 'an upper-case tag is one', 'registry.example/team/app:RC-1', (stage) =>
    put(stage.registry, genuine, 'RC-1'),
  ),
  understood('R7-upper-host', 'an upper-case host is the same host', 'Registry.Example/team/app:1', (stage) =>
    put(stage.registry, genuine),
  ),
  understood(
    'R8-longest-tag',
    'a tag of 128 characters is one',
    `registry.example/team/app:${'t'.repeat(128)}`,
    (stage) => put(stage.registry, genuine, 't'.repeat(128)),
  ),
  refused('R8-long-tag', 'a tag of 129 characters', `registry.example/team/app:${'t'.repeat(129)}`),
  refused('R8-long-path', 'a path of 256 characters', `registry.example/${'p'.repeat(256)}:1`),
  refused('R8-tag-dot', 'a tag that begins with a dot', 'registry.example/team/app:.1'),
  refused('R9-hex-name', 'a name of 64 hexadecimal digits, which may be an id,', HEX),
  refused('R10-md5', 'a digest of an unknown algorithm', `registry.example/team/app@md5:${'a'.repeat(32)}`),
  refused('R10-short', 'a digest that is too short', `registry.example/team/app@sha256:${'a'.repeat(63)}`),
  refused('R10-upper', 'a digest in upper case', `registry.example/team/app@sha256:${'A'.repeat(64)}`),
  understood(
    'R10-sha512',
    'an image is found by its sha512 digest',
    (stage) => stage.reference(`@${putSha512(stage)}`),
    (stage) => ({ digests: [putSha512(stage)] }),
  ),
  {
    ...understood(
      'R11-digest-wins',
      'of a tag and a digest the digest decides',
      (stage) => stage.reference(`:1@${genuine.digest}`),
      (stage) => putBoth(stage),
    ),
    ask: 'pull',
  },
  understood(
    'R11-digest-wins-resolve',
    'of a tag and a digest the digest is the answer',
    (stage) => stage.reference(`:1@${genuine.digest}`),
    (stage) => putBoth(stage),
  ),
  refused('R12-https', 'a URL', 'https://registry.example/team/app:1'),
  refused('R12-transport', 'a name with a transport before it', 'docker://registry.example/team/app:1'),
  refused('R14-newline', 'a line end after the tag', 'registry.example/team/app:1\n'),
  refused('R14-digits', 'a tag with digits of another script', 'registry.example/team/app:١'),
  refused('R14-blank', 'a blank before the name', ' registry.example/team/app:1'),
  understood('R15-punycode', 'a punycode host is kept', 'xn--bcher-kva.example/team/app:1', (stage) =>
    put(stage.registry, genuine),
  ),
]

function putSha512(stage: Stage): string {
  put(stage.registry, genuine)
  const document = { mediaType: genuine.manifest.mediaType, bytes: manifestBytes(genuine) }
  return stage.registry.manifest(REPOSITORY, document, undefined, 'sha512')
}

function putBoth(stage: Stage): void {
  put(stage.registry, evil, '1')
  putUntagged(stage.registry, genuine)
}
