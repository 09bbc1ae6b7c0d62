/** M1–M14: what a manifest says, what it is announced as, and what its digest is. */
import { respond } from '../../../support/hostile-registry.ts'
import { digestOf } from '../../../support/registry/content.ts'
import type { Document } from '../../../support/registry/content.ts'
import { buildIndex, describe, jsonBytes, MEDIA_TYPES } from '../../../../scripts/lib/oci-image.ts'
import { CONTENT, document, endless, GET_MANIFEST, HEAD_MANIFEST, MANIFEST } from '../answers.ts'
import { casesOf } from '../case.ts'
import type { Case } from '../case.ts'
import { askedMoreThan } from '../checks.ts'
import {
  configBytes,
  docker,
  dockerList,
  evil,
  genuine,
  imageWith,
  layerOf,
  manifestBytes,
  multi,
  put,
  putUntagged,
  REPOSITORY,
} from '../images.ts'
import type { Stage } from '../stage.ts'
import type { Artifact } from '../../../../scripts/lib/oci-image.ts'

const OCI = MEDIA_TYPES.oci
const ZEROS = `sha256:${'0'.repeat(64)}`

const pulled = casesOf({ ask: 'pull' })

/** Both images are there; the tag names this text, announced as `mediaType`. */
function tagged(stage: Stage, text: string | Buffer, mediaType: string = OCI.manifest): void {
  putUntagged(stage.registry, genuine)
  putUntagged(stage.registry, evil)
  stage.registry.manifest(REPOSITORY, { mediaType, bytes: Buffer.from(text) }, '1')
}

/** A manifest that differs from the genuine one in these members. */
function changed(members: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...genuine.manifest, ...members })
}

const evilLayers = JSON.stringify(evil.manifest.layers)
const head = (text: string) => text.replace(/\}$/, '')

export const MANIFEST_CASES: readonly Case[] = [
  ...(
    [
      ['oci-manifest', genuine, OCI.manifest],
      ['oci-index', multi, OCI.index],
      ['docker-manifest', docker, MEDIA_TYPES.docker.manifest],
      ['docker-list', dockerList, MEDIA_TYPES.docker.index],
    ] as const satisfies readonly (readonly [string, Artifact, string])[]
  ).map(([word, image, mediaType]) =>
    pulled(`M1-${word}`, `${mediaType} is among what is accepted, by its own name`, 'right', (stage) => {
      put(stage.registry, image)
      stage.registry.on(MANIFEST, (request, response) => {
        const accepted = String(request.headers['accept'] ?? '').split(/\s*,\s*/)
        const isFirst = request.path.endsWith('/1') || request.path.endsWith(image.digest)
        return isFirst && !accepted.includes(mediaType) ? respond(404)(request, response) : false
      })
    }),
  ),
  announced(
    'M2-parameters',
    'parameters of a Content-Type mean nothing',
    `${OCI.manifest}; charset=utf-8`,
    'right',
  ),
  announced('M2-none', 'without a Content-Type the document says what it is', undefined, 'right'),
  announced('M2-json', 'application/json says nothing', 'application/json', 'right'),
  announced('M2-index', 'a manifest announced as an index is refused', OCI.index, 'refused'),
  announced(
    'M2-html',
    'a manifest announced as a page is refused, or the document says what it is',
    'text/html',
    'either',
  ),
  pulled('M2-docker-as-oci', 'a Docker manifest announced as OCI’s is refused', 'refused', (stage) => {
    putUntagged(stage.registry, docker)
    stage.registry.manifest(REPOSITORY, { mediaType: OCI.manifest, bytes: manifestBytes(docker) }, '1')
  }),
  pulled('M2-page', 'a login page is no manifest', 'refused', (stage) => {
    tagged(stage, '<html><body>Please log in</body></html>', 'text/html')
  }),
  pulled('M3-as-manifest', 'a document that is both manifest and index is refused', 'refused', (stage) => {
    tagged(stage, changed({ manifests: [evil.descriptor] }))
  }),
  pulled('M3-as-index', 'a document that is both index and manifest is refused', 'refused', (stage) => {
    const both = { ...multi.index, config: genuine.manifest.config, layers: evil.manifest.layers }
    putUntagged(stage.registry, multi)
    tagged(stage, JSON.stringify(both), OCI.index)
  }),
  pulled('M3-neither', 'a document that is neither is refused', 'refused', (stage) => {
    tagged(stage, JSON.stringify({ schemaVersion: 2, mediaType: OCI.manifest }))
  }),
  pulled('M4-schema1', 'Docker’s schema 1 is refused', 'refused', (stage) => {
    tagged(stage, schema1(), 'application/vnd.docker.distribution.manifest.v1+json')
  }),
  pulled('M4-signed', 'Docker’s signed schema 1 is refused', 'refused', (stage) => {
    tagged(stage, schema1(), 'application/vnd.docker.distribution.manifest.v1+prettyjws')
  }),
  pulled('M4-disguised', 'schema 1 announced as something else is refused', 'refused', (stage) => {
    tagged(stage, schema1(), 'application/json')
  }),
  pulled(
    'M5-artifact',
    'an artifact is not run as an image',
    'refused',
    (stage) => {
      const config = {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: digestOf(Buffer.from('{}')),
        size: 2,
      }
      stage.registry.blob(REPOSITORY, Buffer.from('{}'))
      tagged(stage, changed({ artifactType: 'application/vnd.example.sbom', config }))
    },
    { needs: ['unpack'] },
  ),
  {
    id: 'M6-header-lies',
    title: 'a digest in a header is not believed',
    ask: 'resolve',
    expected: 'either',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.on(MANIFEST, document(manifestBytes(genuine), OCI.manifest, ZEROS))
    },
  },
  {
    id: 'M6-header-other',
    title: 'a digest in a header that is another image’s is not believed',
    ask: 'resolve',
    expected: 'either',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.on(MANIFEST, document(manifestBytes(genuine), OCI.manifest, evil.digest))
    },
  },
  ...[
    'latest',
    'sha256:../../../../etc/passwd',
    'md5:d41d8cd98f00b204e9800998ecf8427e',
    `${genuine.digest}, ${evil.digest}`,
  ].map((digest, at): Case => ({
    id: `M6-header-odd-${at + 1}`,
    title: `a header that is no digest (${digest.slice(0, 30)}) does no harm`,
    ask: 'resolve',
    expected: 'either',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.on(MANIFEST, document(manifestBytes(genuine), OCI.manifest, digest))
    },
  })),
  pulled(
    'M6-body',
    'another manifest than the digest in the header promises is refused',
    'either',
    (stage) => {
      put(stage.registry, genuine)
      putUntagged(stage.registry, evil)
      stage.registry.on(GET_MANIFEST, document(manifestBytes(evil), OCI.manifest, genuine.digest))
    },
  ),
  pulled('M6-pin', 'another manifest than the pinned one is refused', 'refused', servePinned, {
    reference: (stage) => stage.reference(`@${genuine.digest}`),
  }),
  pulled(
    'M6-pin-with-tag',
    'another manifest than the pinned one is refused, tag or not',
    'refused',
    servePinned,
    {
      reference: (stage) => stage.reference(`:1@${genuine.digest}`),
    },
  ),
  pulled(
    'M6-pin-no-header',
    'another manifest than the pinned one is refused without a header',
    'refused',
    (stage) => {
      putUntagged(stage.registry, evil)
      const swapped = (request: { readonly method: string }) => request.method
      stage.registry.on(MANIFEST, (request, response) => {
        response.setHeader('content-type', OCI.manifest)
        response.writeHead(200, { 'content-length': String(manifestBytes(evil).length) })
        response.end(swapped(request) === 'HEAD' ? undefined : manifestBytes(evil))
        return true
      })
    },
    { reference: (stage) => stage.reference(`@${genuine.digest}`) },
  ),
  pulled('M6-child', 'another manifest than the index names is refused', 'refused', (stage) => {
    put(stage.registry, multi)
    putUntagged(stage.registry, evil)
    stage.registry.on(
      new RegExp(` /v2/${REPOSITORY}/manifests/${genuine.digest}$`),
      document(manifestBytes(evil), OCI.manifest, genuine.digest),
    )
  }),
  pulled('M6-config', 'another config than the manifest names is refused', 'refused', (stage) => {
    put(stage.registry, genuine)
    stage.registry.on(
      new RegExp(`^GET /v2/${REPOSITORY}/blobs/${genuine.configDigest}$`),
      respond(200, {}, Buffer.concat([configBytes(genuine).subarray(0, -1), Buffer.from(' ')])),
    )
  }),
  pulled(
    'M6-sha512',
    'an image pinned by sha512 is verified by sha512',
    'refused',
    (stage) => {
      putUntagged(stage.registry, evil)
      stage.registry.on(
        MANIFEST,
        document(manifestBytes(evil), OCI.manifest, digestOf(manifestBytes(genuine), 'sha512')),
      )
    },
    { reference: (stage) => stage.reference(`@${digestOf(manifestBytes(genuine), 'sha512')}`) },
  ),
  pulled('M6-child-size', 'a manifest of another size than the index says is refused', 'refused', (stage) => {
    const index = buildIndex([genuine])
    const [entry] = index.index.manifests
    tagged(stage, JSON.stringify({ ...index.index, manifests: [{ ...entry, size: 7 }] }), OCI.index)
  }),
  pulled('M7-endless', 'a manifest without end is not read to its end', 'refused', (stage) => {
    put(stage.registry, genuine)
    const headers = { 'content-type': OCI.manifest, 'docker-content-digest': genuine.digest }
    stage.registry.on(GET_MANIFEST, endless(stage, '{"schemaVersion":2,', headers))
  }),
  pulled('M7-huge-annotation', 'a manifest of 40 MiB is refused', 'refused', (stage) => {
    tagged(stage, changed({ annotations: { a: 'x'.repeat(40 << 20) } }))
  }),
  head405('M8-no-digest', 'HEAD without a digest', (stage) => {
    stage.registry.on(HEAD_MANIFEST, (_request, response) => {
      response.writeHead(200, {
        'content-type': OCI.manifest,
        'content-length': String(manifestBytes(genuine).length),
      })
      response.end()
      return true
    })
  }),
  head405('M8-no-length', 'HEAD without a length', (stage) => {
    stage.registry.on(HEAD_MANIFEST, (_request, response) => {
      response.writeHead(200, { 'content-type': OCI.manifest, 'docker-content-digest': genuine.digest })
      response.end()
      return true
    })
  }),
  ...[400, 403, 404, 405, 501].map((status) =>
    head405(`M9-${status}`, `HEAD answered with ${status}`, (stage) => {
      stage.registry.on(HEAD_MANIFEST, respond(status))
    }),
  ),
  pulled(
    'M10-moving',
    'a tag that moves between two questions gives one image, not halves of two',
    'either',
    (stage) => {
      putUntagged(stage.registry, genuine)
      putUntagged(stage.registry, imageWith('another honest image\n'))
      const documents = [genuine, multi].map((one): Document => ({
        mediaType: one.descriptor.mediaType,
        bytes: manifestBytes(one),
      }))
      putUntagged(stage.registry, multi)
      let turn = 0
      stage.registry.on(new RegExp(` /v2/${REPOSITORY}/manifests/1$`), (request, response) => {
        turn += 1
        const { bytes, mediaType } = documents[turn % 2] ?? { bytes: Buffer.alloc(0), mediaType: '' }
        return document(bytes, mediaType)(request, response)
      })
    },
  ),
  pulled('M11-nested', 'an index in an index is read', 'right', (stage) => {
    putUntagged(stage.registry, multi)
    const outer = { schemaVersion: 2, mediaType: OCI.index, manifests: [multi.descriptor] }
    stage.registry.manifest(REPOSITORY, { mediaType: OCI.index, bytes: jsonBytes(outer) }, '1')
  }),
  pulled(
    'M11-deep',
    'indexes in indexes in indexes are not followed for ever',
    'either',
    (stage) => {
      putUntagged(stage.registry, genuine)
      let inner = genuine.descriptor
      for (let depth = 0; depth < 200; depth += 1) {
        const bytes = jsonBytes({ schemaVersion: 2, mediaType: OCI.index, manifests: [inner] })
        stage.registry.manifest(REPOSITORY, { mediaType: OCI.index, bytes }, depth === 199 ? '1' : undefined)
        inner = describe(OCI.index, bytes)
      }
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 100) },
  ),
  pulled(
    'M11-wide',
    'an index of ten thousand manifests that are not there is not gone through',
    'either',
    (stage) => {
      const manifests = Array.from({ length: 10_000 }, (_one, at) =>
        describe(OCI.manifest, Buffer.from(String(at))),
      )
      tagged(stage, JSON.stringify({ schemaVersion: 2, mediaType: OCI.index, manifests }), OCI.index)
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 200) },
  ),
  pulled(
    'M11-empty',
    'an empty index has no image',
    'refused',
    (stage) => {
      tagged(stage, JSON.stringify({ schemaVersion: 2, mediaType: OCI.index, manifests: [] }), OCI.index)
    },
    { needs: ['unpack'] },
  ),
  pulled('M11-attestation', 'what is beside the images is not taken for one', 'right', (stage) => {
    const attestation = { ...evilAttestation(stage), platform: { os: 'unknown', architecture: 'unknown' } }
    const index = { schemaVersion: 2, mediaType: OCI.index, manifests: [attestation, genuine.descriptor] }
    putUntagged(stage.registry, genuine)
    stage.registry.manifest(REPOSITORY, { mediaType: OCI.index, bytes: jsonBytes(index) }, '1')
  }),
  pulled(
    'M11-no-platform',
    'an entry without platform is judged by its config',
    'right',
    (stage) => {
      putUntagged(stage.registry, genuine)
      const { platform: _none, ...entry } = genuine.descriptor
      const index = { schemaVersion: 2, mediaType: OCI.index, manifests: [entry] }
      stage.registry.manifest(REPOSITORY, { mediaType: OCI.index, bytes: jsonBytes(index) }, '1')
    },
    { needs: ['unpack'] },
  ),
  pulled(
    'M11-first',
    'of two entries for a platform the first is taken',
    'right',
    (stage) => {
      const index = buildIndex([genuine, evil])
      put(stage.registry, index)
    },
    { needs: ['unpack'] },
  ),
  pulled('M12-data', 'content inside of a descriptor is verified before it is used', 'either', (stage) => {
    const [layer] = genuine.manifest.layers
    const lying = { ...layer, data: layerOf(evil).bytes.toString('base64') }
    tagged(stage, changed({ layers: [lying] }))
  }),
  pulled(
    'M13-urls',
    'addresses in a descriptor are not asked',
    'either',
    (stage) => {
      const [layer] = genuine.manifest.layers
      stage.other.on(/^GET \/layer$/, respond(200, {}, layerOf(genuine).bytes))
      tagged(stage, changed({ layers: [{ ...layer, urls: [`${stage.other.url}/layer`] }] }))
    },
    { forbidden: askedOther },
  ),
  pulled(
    'M13-foreign',
    'a foreign layer is not fetched from where its descriptor says',
    'either',
    (stage) => {
      const [layer] = genuine.manifest.layers
      stage.other.on(/^GET \/layer$/, respond(200, {}, layerOf(genuine).bytes))
      const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
      tagged(stage, changed({ layers: [{ ...layer, mediaType, urls: [`${stage.other.url}/layer`] }] }))
      stage.registry.on(new RegExp(`/blobs/${layerOf(genuine).digest}$`), respond(404))
    },
    { forbidden: askedOther },
  ),
  pulled(
    'M13-metadata',
    'an address in a descriptor does not lead to the metadata service',
    'either',
    (stage) => {
      const [layer] = genuine.manifest.layers
      const urls = ['http://169.254.169.254/latest/meta-data/', 'https://169.254.169.254/']
      tagged(stage, changed({ layers: [{ ...layer, urls }] }))
      stage.registry.on(new RegExp(`/blobs/${layerOf(genuine).digest}$`), respond(404))
    },
  ),
  ambiguous('M14-twice', 'a key that is there twice', `${head(changed({}))},"layers":${evilLayers}}`),
  ambiguous(
    'M14-twice-first',
    'a key that is there twice, the wrong one first',
    changed({}).replace('{', `{"layers":${evilLayers},`),
  ),
  ambiguous('M14-case', 'keys that differ in case only', `${head(changed({}))},"Layers":${evilLayers}}`),
  ambiguous(
    'M14-fold',
    'a key with a letter that some fold to s',
    `${head(changed({}))},"layer\u017f":${evilLayers}}`,
  ),
  ambiguous(
    'M14-config',
    'a second config in capital letters',
    `${head(changed({}))},"CONFIG":${JSON.stringify(evil.manifest.config)}}`,
  ),
  ambiguous(
    'M14-escaped',
    'a key that is there twice, once escaped',
    `${head(changed({}))},"l\\u0061yers":${evilLayers}}`,
  ),
  ambiguous(
    'M14-trailing',
    'text after the document',
    `${changed({})}${manifestBytes(evil).toString('utf8')}`,
  ),
  ambiguous(
    'M14-nested',
    'a digest that is there twice in a descriptor',
    changed({}).replace(
      `"digest":"${layerOf(genuine).digest}"`,
      `"digest":"${layerOf(genuine).digest}","digest":"${layerOf(evil).digest}"`,
    ),
  ),
  pulled('M14-deep', 'JSON that nests a hundred thousand times breaks nothing', 'either', (stage) => {
    tagged(stage, `${head(changed({}))},"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
  }),
  ...[
    ['path', 'sha256:../../../../etc/passwd'],
    ['short', 'sha256:abc'],
    ['empty', ''],
    ['md5', 'md5:d41d8cd98f00b204e9800998ecf8427e'],
    ['number', 7],
  ].map(([word, digest]) =>
    pulled(
      `M6-layer-${word}`,
      `a layer whose digest is ${JSON.stringify(digest)} is refused`,
      'refused',
      (stage) => {
        const [layer] = genuine.manifest.layers
        stage.registry.on(/\/blobs\/(?:md5|sha256:\.|sha256:abc)/, respond(200, {}, layerOf(genuine).bytes))
        tagged(stage, changed({ layers: [{ ...layer, digest }] }))
      },
    ),
  ),
  pulled('M3-null', 'a document that is null is refused', 'refused', (stage) => tagged(stage, 'null')),
  pulled('M3-list', 'a document that is a list is refused', 'refused', (stage) => tagged(stage, '[]')),
  pulled('M3-empty', 'an empty document is refused', 'refused', (stage) => tagged(stage, '')),
  {
    id: 'M9-not-found',
    title: 'a tag that is not there is told',
    ask: 'resolve',
    expected: 'refused',
    serve: (stage) => stage.registry.on(CONTENT, respond(404)),
  },
]

function announced(
  id: string,
  title: string,
  mediaType: string | undefined,
  expected: Case['expected'],
): Case {
  return pulled(id, title, expected, (stage) => {
    put(stage.registry, genuine)
    stage.registry.on(MANIFEST, document(manifestBytes(genuine), mediaType))
  })
}

/** By digest or by tag, what comes is the other image, under the pinned one's digest. */
function servePinned(stage: Stage): void {
  putUntagged(stage.registry, evil)
  stage.registry.on(MANIFEST, document(manifestBytes(evil), OCI.manifest, genuine.digest))
}

/** HEAD is of no use; GET is. */
function head405(id: string, title: string, serve: (stage: Stage) => void): Case {
  return {
    id,
    title: `after ${title} GET is tried`,
    ask: 'resolve',
    expected: 'right',
    serve: (stage) => {
      put(stage.registry, genuine)
      serve(stage)
    },
  }
}

function ambiguous(id: string, title: string, text: string): Case {
  return pulled(id, `${title} makes a manifest that readers differ on: refused`, 'refused', (stage) =>
    tagged(stage, text),
  )
}

function askedOther({ other }: Stage): string | undefined {
  return other.requests.length > 0 ? 'asked the address of the descriptor' : undefined
}

function evilAttestation({ registry }: Stage): ReturnType<typeof describe> {
  registry.blob(REPOSITORY, Buffer.from('{}'))
  const config = describe('application/vnd.oci.empty.v1+json', Buffer.from('{}'))
  const bytes = jsonBytes({ schemaVersion: 2, mediaType: OCI.manifest, config, layers: [config] })
  registry.manifest(REPOSITORY, { mediaType: OCI.manifest, bytes })
  return describe(OCI.manifest, bytes)
}

function schema1(): string {
  const fsLayers = [{ blobSum: layerOf(evil).digest }]
  const history = [
    { v1Compatibility: JSON.stringify({ id: 'a'.repeat(64), os: 'linux', architecture: 'amd64' }) },
  ]
  return JSON.stringify({
    schemaVersion: 1,
    name: REPOSITORY,
    tag: '1',
    architecture: 'amd64',
    fsLayers,
    history,
  })
}
