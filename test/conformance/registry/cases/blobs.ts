/** B: layers and configs on their way. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { buildImage } from '../../../../scripts/lib/oci-image.ts'
import type { LayerInput } from '../../../../scripts/lib/oci-image.ts'
import { respond, truncated } from '../../../support/hostile-registry.ts'
import { file, layer } from '../../../support/layer.ts'
import { digestOf } from '../../../support/registry/content.ts'
import { document, endless, MANIFEST } from '../answers.ts'
import { casesOf } from '../case.ts'
import type { Case } from '../case.ts'
import { configBytes, evil, GENUINE, genuine, layerOf, manifestBytes, put, REPOSITORY } from '../images.ts'

const { bytes: LAYER, digest: LAYER_DIGEST } = layerOf(genuine)
const GET_LAYER = new RegExp(`^GET /v2/${REPOSITORY}/blobs/${LAYER_DIGEST}$`)
const GET_CONFIG = new RegExp(`^GET /v2/${REPOSITORY}/blobs/${genuine.configDigest}$`)
const tar = layer([file('marker', GENUINE)])

const pulled = casesOf({ ask: 'pull', prelude: ({ registry }) => put(registry, genuine) })

/** An image with this one layer. */
function ofLayer(
  id: string,
  title: string,
  expected: Case['expected'],
  input: LayerInput,
  more: Partial<Case> = {},
): Case {
  return {
    id,
    title,
    ask: 'pull',
    expected,
    serve: (stage) => put(stage.registry, buildImage({ layers: [input] })),
    ...more,
  }
}

const unpacked = { needs: ['unpack'] } as const

export const BLOB_CASES: readonly Case[] = [
  pulled('B1-short', 'a layer that ends early is not stored', 'refused', (stage) => {
    stage.registry.on(GET_LAYER, respond(200, {}, LAYER.subarray(0, 1000)))
  }),
  pulled('B1-cut', 'a layer that is always cut is not stored', 'refused', (stage) => {
    stage.registry.on(GET_LAYER, truncated(LAYER, 1000))
  }),
  pulled('B1-long', 'a layer with bytes after its end is refused', 'refused', (stage) => {
    stage.registry.on(GET_LAYER, respond(200, {}, Buffer.concat([LAYER, Buffer.alloc(100)])))
  }),
  pulled('B1-endless', 'a layer without end is left at its size', 'refused', (stage) => {
    stage.registry.on(GET_LAYER, endless(stage, '', {}))
  }),
  ...[
    ['huge', Number.MAX_SAFE_INTEGER],
    ['beyond', 1e300],
    ['negative', -1],
    ['fraction', 1.5],
    ['text', '7'],
    ['wrong', 7],
  ].map(([word, size]) =>
    pulled(
      `B1-size-${word}`,
      `a layer that is to have ${String(size)} bytes is refused`,
      'refused',
      (stage) => {
        const [descriptor] = genuine.manifest.layers
        const text = JSON.stringify({ ...genuine.manifest, layers: [{ ...descriptor, size }] })
        stage.registry.manifest(
          REPOSITORY,
          { mediaType: genuine.manifest.mediaType, bytes: Buffer.from(text) },
          '1',
        )
      },
    ),
  ),
  pulled('B2-other', 'other bytes of the same size are refused', 'refused', (stage) => {
    const other = Buffer.from(LAYER)
    other[other.length - 20] = (other[other.length - 20] ?? 0) ^ 1
    stage.registry.on(GET_LAYER, respond(200, {}, other))
  }),
  pulled('B2-evil', 'another layer is refused', 'refused', (stage) => {
    stage.registry.on(GET_LAYER, respond(200, {}, layerOf(evil).bytes))
  }),
  pulled('B2-sha512', 'a layer is found and verified by sha512', 'right', (stage) => {
    const [descriptor] = genuine.manifest.layers
    const digest = stage.registry.blob(REPOSITORY, LAYER, 'sha512')
    const text = JSON.stringify({ ...genuine.manifest, layers: [{ ...descriptor, digest }] })
    stage.registry.manifest(
      REPOSITORY,
      { mediaType: genuine.manifest.mediaType, bytes: Buffer.from(text) },
      '1',
    )
  }),
  pulled('B2-sha512-wrong', 'a layer that does not have its sha512 is refused', 'refused', (stage) => {
    const [descriptor] = genuine.manifest.layers
    const digest = digestOf(LAYER, 'sha512')
    const text = JSON.stringify({ ...genuine.manifest, layers: [{ ...descriptor, digest }] })
    stage.registry.manifest(
      REPOSITORY,
      { mediaType: genuine.manifest.mediaType, bytes: Buffer.from(text) },
      '1',
    )
    stage.registry.on(/^GET \/v2\/.+\/blobs\/sha512:/, respond(200, {}, layerOf(evil).bytes))
  }),
  pulled(
    'B2-encoded',
    'an answer that is compressed on the way is unpacked or not asked for',
    'right',
    (stage) => {
      stage.registry.on(MANIFEST, (request, response) => {
        const isAsked = String(request.headers['accept-encoding'] ?? '').includes('gzip')
        if (!isAsked || request.method === 'HEAD')
          return document(manifestBytes(genuine), genuine.manifest.mediaType)(request, response)
        response.setHeader('content-encoding', 'gzip')
        return document(
          gzipSync(manifestBytes(genuine)),
          genuine.manifest.mediaType,
          genuine.digest,
        )(request, response)
      })
    },
  ),
  pulled('B3-resume', 'a layer that was cut is fetched to its end', 'right', (stage) => {
    stage.registry.times(1, GET_LAYER, truncated(LAYER, 100_000))
  }),
  pulled('B3-twice', 'a layer that was cut twice is fetched to its end', 'right', (stage) => {
    stage.registry.times(1, GET_LAYER, (request, response) => {
      const start = Number(/^bytes=(\d+)/.exec(String(request.headers['range'] ?? ''))?.[1] ?? 0)
      response.writeHead(start === 0 ? 200 : 206, {
        'content-length': String(LAYER.length - start),
        ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${LAYER.length - 1}/${LAYER.length}` }),
      })
      response.write(LAYER.subarray(start, start + 50_000), () => response.destroy())
      return true
    })
    stage.registry.times(1, GET_LAYER, truncated(LAYER, 60_000))
  }),
  pulled(
    'B3-range-ignored',
    'a registry that starts from the beginning again is right as well',
    'right',
    (stage) => {
      stage.registry.on(GET_LAYER, respond(200, { 'content-length': String(LAYER.length) }, LAYER))
      stage.registry.times(1, GET_LAYER, truncated(LAYER, 100_000))
    },
  ),
  pulled(
    'B3-wrong-range',
    'a part that is not the one that was asked for is not taken for it',
    'either',
    (stage) => {
      stage.registry.on(
        GET_LAYER,
        respond(206, { 'content-range': `bytes 0-${LAYER.length - 1}/${LAYER.length}` }, LAYER),
      )
      stage.registry.times(1, GET_LAYER, truncated(LAYER, 100_000))
    },
  ),
  pulled('B3-no-range', 'a 206 without a range is not believed', 'either', (stage) => {
    stage.registry.on(GET_LAYER, respond(206, {}, LAYER.subarray(0, 50)))
  }),
  pulled(
    'B3-416',
    'a registry that knows no ranges is asked from the beginning, or given up',
    'either',
    (stage) => {
      stage.registry.on(GET_LAYER, (request, response) =>
        request.headers['range'] === undefined ? false : respond(416)(request, response),
      )
      stage.registry.times(1, GET_LAYER, truncated(LAYER, 100_000))
    },
  ),
  pulled('B4-config', 'a config without end is not read to its end', 'refused', (stage) => {
    stage.registry.on(GET_CONFIG, endless(stage, configBytes(genuine).subarray(0, 20).toString('utf8'), {}))
  }),
  pulled('B4-size', 'a config that is to have gigabytes is refused', 'refused', (stage) => {
    const config = { ...genuine.manifest.config, size: 3 * 2 ** 30 }
    const text = JSON.stringify({ ...genuine.manifest, config })
    stage.registry.manifest(
      REPOSITORY,
      { mediaType: genuine.manifest.mediaType, bytes: Buffer.from(text) },
      '1',
    )
    stage.registry.on(GET_CONFIG, endless(stage, '{"x":"', {}))
  }),
  ofLayer('B5-bomb', 'a layer that grows more than a thousandfold is refused', 'refused', bomb(), unpacked),
  ofLayer(
    'B6-diff-id',
    'a layer that does not have the DiffID of the config is refused',
    'refused',
    {
      bytes: gzipSync(tar),
      diffId: `sha256:${'1'.repeat(64)}`,
    },
    unpacked,
  ),
  ofLayer('B7-plain', 'a layer that is not compressed', 'right', tar),
  ofLayer('B7-zstd', 'a layer compressed with zstd', 'right', zstdCompressSync(tar)),
  ofLayer(
    'B7-zstd-skippable',
    'a layer with a skippable frame of zstd',
    'right',
    {
      bytes: Buffer.concat([zstdCompressSync(tar), skippable('the table of contents of a lazy puller')]),
      diffId: digestOf(tar) as `sha256:${string}`,
      mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
    },
    unpacked,
  ),
  ofLayer(
    'B7-members',
    'a layer of several gzip members',
    'right',
    Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
  ),
  ofLayer(
    'B7-mismatch',
    'a layer that is not what its type says is read as what it is',
    'right',
    {
      bytes: zstdCompressSync(tar),
      diffId: digestOf(tar) as `sha256:${string}`,
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    },
    unpacked,
  ),
  ofLayer(
    'B7-garbage',
    'a gzip layer that breaks in the middle is refused',
    'refused',
    {
      bytes: Buffer.concat([gzipSync(tar).subarray(0, 40), Buffer.alloc(100, 0xff)]),
      diffId: digestOf(tar) as `sha256:${string}`,
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    },
    unpacked,
  ),
]

/** 128 MiB of zeros in a few kilobytes. */
function bomb(): LayerInput {
  const zeros = layer([file('marker', GENUINE), file('zeros', Buffer.alloc(128 << 20))])
  return { bytes: zstdCompressSync(zeros), diffId: digestOf(zeros) as `sha256:${string}` }
}

function skippable(text: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184d2a50, 0)
  head.writeUInt32LE(Buffer.byteLength(text), 4)
  return Buffer.concat([head, Buffer.from(text)])
}
