/** What comes as text or JSON: references from users, documents and headers from registries. */
import { parseImageConfig } from '../../src/image/config.ts'
import { parseManifestOrIndex } from '../../src/image/manifest.ts'
import { canonical, familiar, parseReference } from '../../src/image/reference.ts'
import { parseChallenges } from '../../src/registry/challenge.ts'
import { parseDockerConfig } from '../../src/registry/docker-config.ts'
import { nextLink } from '../../src/registry/link-header.ts'
import { readQuota } from '../../src/registry/rate-limit.ts'
import { retryAfterMs } from '../../src/registry/retry.ts'
import type { Target } from './fuzzer.ts'
import { mutateBytes } from './mutate.ts'

const HEX = 'a'.repeat(64)
const DESCRIPTOR = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: `sha256:${HEX}`, size: 2 }

export const referenceTarget: Target = {
  name: 'reference',
  seeds: texts([
    'ubuntu',
    'docker.io/library/ubuntu:22.04',
    `localhost:5000/a/b_c__d-e.f:tag@sha256:${HEX}`,
    '[::1]:5000/x:1',
    `oci:/a/b:1.0@sha256:${HEX}`,
    'oci-archive:../x.tar:v1',
    'https://example.com/x',
  ]),
  mutate: mutateBytes,
  run: (input) => {
    const text = input.toString('utf8')
    const reference = parseReference(text)
    if (reference.original !== text) throw new Error('the words of the user were changed')
    if (reference.kind !== 'registry') return
    const again = parseReference(canonical(reference))
    if (canonical(again) !== canonical(reference)) throw new Error('the canonical name means something else')
    if (canonical(parseReference(familiar(reference))) !== canonical(reference))
      throw new Error('the familiar name means something else')
  },
}

export const documentTarget: Target = {
  name: 'document',
  seeds: [
    {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: DESCRIPTOR,
      layers: [{ ...DESCRIPTOR, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', data: 'e30=' }],
      annotations: { a: 'b' },
    },
    {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          ...DESCRIPTOR,
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
        },
      ],
    },
  ].map((value) => Buffer.from(JSON.stringify(value))),
  mutate: mutateBytes,
  run: (input) => void parseManifestOrIndex(input),
}

export const configTarget: Target = {
  name: 'config',
  seeds: [
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: {
          User: '0:0',
          Env: ['A=b'],
          Entrypoint: ['/x'],
          Volumes: { '/data': {} },
          ExposedPorts: { '80/tcp': {} },
          Labels: { a: 'b' },
        },
        rootfs: { type: 'layers', diff_ids: [`sha256:${HEX}`] },
        history: [{ created_by: 'x', empty_layer: true }],
      }),
    ),
  ],
  mutate: mutateBytes,
  run: (input) => void parseImageConfig(input),
}

/** Headers of strangers: whatever they say, they are read or skipped, and never an error. */
export const headerTarget: Target = {
  name: 'header',
  seeds: texts([
    'Bearer realm="https://a/token",service="s",scope="repository:a/b:pull"',
    'Basic realm="a, b", Negotiate abc==, Bearer realm="x\\"y"',
    'Wed, 21 Oct 2026 07:28:00 GMT',
    '120',
    '<https://a/v2/b/tags/list?last=x&n=10>; rel="next"',
    '76;w=21600',
    '"default";r=50;t=30',
  ]),
  mutate: mutateBytes,
  run: (input) => {
    const text = input.toString('latin1')
    for (const { scheme } of parseChallenges(text)) {
      if (scheme === '') throw new Error('a challenge has no scheme')
    }
    const waitMs = retryAfterMs(text, 0)
    if (waitMs !== undefined && !(waitMs >= 0 && Number.isFinite(waitMs)))
      throw new Error(`a wait of ${waitMs} ms was read`)
    const link = nextLink(text)
    if (link !== undefined && !text.includes(`<${link}>`))
      throw new Error('a link was read that is not there')
    for (const headers of [{ 'ratelimit-remaining': text, 'ratelimit-limit': text }, { ratelimit: text }]) {
      const { remaining = 0, resetSeconds = 0 } = readQuota(headers, 0) ?? {}
      if (!(remaining >= 0 && resetSeconds >= 0)) throw new Error('a quota below nothing was read')
    }
  },
}

export const credentialsTarget: Target = {
  name: 'credentials',
  seeds: [
    Buffer.from(
      JSON.stringify({
        auths: { 'https://index.docker.io/v1/': { auth: 'YTpi' }, 'a.example/b': { identitytoken: 'x' } },
        credHelpers: { 'b.example': 'helper' },
      }),
    ),
  ],
  mutate: mutateBytes,
  run: (input) => {
    let value: unknown
    try {
      value = JSON.parse(input.toString('utf8'))
    } catch {
      return
    }
    parseDockerConfig(value, 'config.json')
  },
}

function texts(words: readonly string[]): readonly Buffer[] {
  return words.map((word) => Buffer.from(word))
}
