/** X: hosts that are asked instead of the registry. */
import { respond, truncated } from '../../../support/hostile-registry.ts'
import { document, GET_BLOB, GET_MANIFEST, MANIFEST } from '../answers.ts'
import type { Case, Mirror, Served } from '../case.ts'
import { evil, genuine, layerOf, manifestBytes, put } from '../images.ts'
import { READERS } from '../reader.ts'
import type { Stage } from '../stage.ts'

function mirrored(
  id: string,
  title: string,
  expected: Case['expected'],
  serve: (stage: Stage) => Served | Promise<Served>,
  more: Partial<Case> & { readonly mirror?: Partial<Mirror> } = {},
): Case {
  const { mirror, ...rest } = more
  return {
    id,
    title,
    ask: 'pull',
    expected,
    needs: ['mirrors'],
    setup: (stage) => ({ mirrors: [{ host: stage.parties.mirror.host, resolve: true, ...mirror }] }),
    serve,
    ...rest,
  }
}

export const MIRROR_CASES: readonly Case[] = [
  mirrored('X1-used', 'a mirror is asked first', 'right', ({ parties, registry }) => {
    put(parties.mirror, genuine)
    registry.on(/./, respond(500))
  }),
  mirrored(
    'X1-digests-only',
    'a mirror that is for digests only does not say what a tag is',
    'right',
    (stage) => {
      put(stage.parties.mirror, evil)
      put(stage.registry, genuine)
    },
    { needs: ['mirrors', 'mirrors-for-digests-only'], mirror: { resolve: false } },
  ),
  mirrored(
    'X3-credentials',
    'a mirror does not get the registry’s password',
    'right',
    (stage) => {
      put(stage.registry, genuine)
      stage.registry.demandBasic(READERS)
      stage.parties.mirror.on(
        / \/v2\//,
        respond(401, { 'www-authenticate': 'Basic realm="registry.example"' }),
      )
    },
    {
      setup: (stage) => ({
        mirrors: [{ host: stage.parties.mirror.host, resolve: true }],
        logins: [{ key: stage.registry.host, username: 'reader', password: stage.secret(READERS.reader) }],
      }),
    },
  ),
  mirrored(
    'X3-own-credentials',
    'a mirror gets its own password',
    'right',
    ({ parties }) => {
      put(parties.mirror, genuine)
      parties.mirror.demandBasic(READERS)
    },
    {
      setup: (stage) => ({
        mirrors: [{ host: stage.parties.mirror.host, resolve: true }],
        logins: [
          {
            key: stage.parties.mirror.host,
            username: 'reader',
            password: stage.secret(READERS.reader, [stage.parties.mirror]),
          },
        ],
      }),
    },
  ),
  mirrored(
    'X4-layer',
    'a mirror’s wrong layer is refused, or fetched from the registry',
    'either',
    (stage) => {
      put(stage.parties.mirror, genuine)
      put(stage.registry, genuine)
      stage.parties.mirror.on(GET_BLOB, respond(200, {}, layerOf(evil).bytes))
    },
  ),
  mirrored(
    'X4-manifest',
    'a mirror’s wrong manifest for a digest is refused',
    'either',
    (stage) => {
      put(stage.registry, genuine)
      put(stage.parties.mirror, evil)
      stage.parties.mirror.on(
        MANIFEST,
        document(manifestBytes(evil), genuine.manifest.mediaType, genuine.digest),
      )
    },
    { reference: (stage) => stage.reference(`@${genuine.digest}`) },
  ),
  mirrored('X5-closed', 'when the mirror is closed the registry is asked', 'right', async (stage) => {
    put(stage.registry, genuine)
    await stage.shut('mirror')
  }),
  ...[404, 403, 500].map((status) =>
    mirrored(`X5-${status}`, `when the mirror answers ${status} the registry is asked`, 'right', (stage) => {
      put(stage.registry, genuine)
      stage.parties.mirror.on(/./, respond(status))
    }),
  ),
  mirrored('X5-page', 'when the mirror answers with a page the registry is asked', 'right', (stage) => {
    put(stage.registry, genuine)
    stage.parties.mirror.on(
      / \/v2\/.+/,
      respond(200, { 'content-type': 'text/html', 'content-length': '19' }, '<html>log in</html>'),
    )
  }),
  mirrored('X5-cut', 'when the mirror’s layer breaks off the registry is asked', 'right', (stage) => {
    put(stage.registry, genuine)
    put(stage.parties.mirror, genuine)
    stage.parties.mirror.on(GET_BLOB, truncated(layerOf(genuine).bytes, 1000))
  }),
  mirrored('X5-missing-layer', 'a layer that the mirror lacks comes from the registry', 'right', (stage) => {
    put(stage.registry, genuine)
    put(stage.parties.mirror, genuine)
    stage.parties.mirror.on(GET_BLOB, respond(404))
  }),
  mirrored(
    'X6-prefix',
    'a mirror’s prefix stands before the repository',
    'right',
    ({ parties, registry }) => {
      put(parties.mirror, genuine, '1', 'hub/team/app')
      registry.on(GET_MANIFEST, respond(500))
    },
    { mirror: { prefix: 'hub' } },
  ),
]
