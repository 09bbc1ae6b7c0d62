/** T4 and T5: where a registry sends a client, and what the client takes along. */
import { respond } from '../../../support/hostile-registry.ts'
import { casesOf } from '../case.ts'
import type { Case } from '../case.ts'
import { GET_BLOB, giveTokens, GET_MANIFEST, HEAD_MANIFEST, demandTokens, redirect } from '../answers.ts'
import { askedMoreThan } from '../checks.ts'
import { genuine, layerOf, put, REPOSITORY } from '../images.ts'
import { READERS, withPassword } from '../reader.ts'
import type { Stage } from '../stage.ts'
import { FORBIDDEN_PLACES, reachedPrivate } from './places.ts'

const LAYER = `/v2/${REPOSITORY}/blobs/${layerOf(genuine).digest}`
const GET_LAYER = new RegExp(`^GET ${LAYER}$`)

function closed(stage: Stage): void {
  put(stage.registry, genuine)
  stage.registry.demandBasic(READERS)
}

const pulled = casesOf({ ask: 'pull', setup: withPassword, prelude: closed })

export const REDIRECT_CASES: readonly Case[] = [
  pulled('T4-blob', 'a layer may be fetched from another host, without the password', 'right', (stage) => {
    stage.registry.on(GET_LAYER, redirect(`${stage.other.url}/storage?signature=abc`))
    stage.other.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
  }),
  {
    id: 'T4-blob-token',
    title: 'a layer may be fetched from another host, without the token',
    ask: 'pull',
    expected: 'right',
    serve: (stage) => {
      put(stage.registry, genuine)
      demandTokens(stage.registry, giveTokens(stage.registry))
      stage.registry.on(GET_LAYER, redirect(`${stage.other.url}/storage`))
      stage.other.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    },
  },
  ...[301, 302, 303, 307, 308].map((status) =>
    pulled(`T4-status-${status}`, `a redirect with ${status} is followed`, 'right', (stage) => {
      stage.registry.on(GET_LAYER, redirect(`${stage.other.url}/storage`, status))
      stage.other.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    }),
  ),
  pulled('T4-relative', 'a redirect within the host keeps the password', 'right', (stage) => {
    stage.registry.on(GET_LAYER, redirect('/v2/storage/blobs/x'))
    stage.registry.times(1, / \/v2\/storage\/blobs\/x$/, (request, response) =>
      request.authorization === undefined
        ? respond(403)(request, response)
        : respond(200, {}, layerOf(genuine).bytes)(request, response),
    )
  }),
  pulled('T4-manifest', 'a manifest may be fetched from another host', 'right', (stage) => {
    put(stage.other, genuine)
    const location = `${stage.other.url}/v2/${REPOSITORY}/manifests/${genuine.digest}`
    stage.registry.on(GET_MANIFEST, redirect(location))
    stage.registry.on(HEAD_MANIFEST, redirect(location))
  }),
  pulled(
    'T4-port',
    'another port is another host: the password stays',
    'right',
    (stage) => {
      stage.registry.on(GET_LAYER, redirect(`${stage.parties.registry5000.url}/storage`))
      stage.parties.registry5000.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    },
    {
      forbidden: ({ parties }) =>
        parties.registry5000.requests.some(({ authorization }) => authorization !== undefined)
          ? 'sent the password to another port'
          : undefined,
    },
  ),
  pulled(
    'T4-there-and-back',
    'after a foreign host the password is not taken up again',
    'either',
    (stage) => {
      stage.registry.on(GET_LAYER, redirect(`${stage.other.url}/hop`))
      stage.other.on(/^GET \/hop$/, redirect(`${stage.registry.url}/v2/back`))
      stage.registry.on(/^GET \/v2\/back$/, respond(200, {}, layerOf(genuine).bytes))
    },
    {
      forbidden: ({ registry }) =>
        registry.requests.some(
          ({ path, authorization }) => path === '/v2/back' && authorization !== undefined,
        )
          ? 'sent the password after a foreign redirect'
          : undefined,
    },
  ),
  pulled(
    'T4-plain',
    'a redirect from https to http is refused',
    'refused',
    (stage) => {
      stage.registry.on(GET_LAYER, redirect(`${stage.parties.otherPlain.url}/storage`))
      stage.parties.otherPlain.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    },
    {
      forbidden: ({ parties }) => (parties.otherPlain.requests.length > 0 ? 'followed it' : undefined),
    },
  ),
  pulled(
    'T4-plain-same-host',
    'a redirect to the same host without TLS is refused',
    'refused',
    (stage) => {
      stage.registry.on(GET_LAYER, redirect(`${stage.parties.registryPlain.url}/storage`))
      stage.parties.registryPlain.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    },
    {
      forbidden: ({ parties }) => (parties.registryPlain.requests.length > 0 ? 'followed it' : undefined),
    },
  ),
  pulled(
    'T4-loop',
    'a loop of redirects is left',
    'refused',
    (stage) => {
      stage.registry.on(GET_BLOB, (request, response) => redirect(request.path)(request, response))
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 60) },
  ),
  ...[
    ['no-location', 'without a Location', ''],
    ['file', 'to a file', 'file:///etc/passwd'],
    ['ftp', 'to FTP', 'ftp://other.example/x'],
    ['broken', 'to no URL', 'https://:0:0:/'],
  ].map(([word = '', title = '', location = '']) =>
    pulled(`T4-${word}`, `a redirect ${title} is refused`, 'refused', (stage) => {
      stage.registry.on(GET_LAYER, redirect(location))
    }),
  ),
  pulled(
    'T4-user',
    'a redirect to an address with a user name is refused, or the name is not used',
    'either',
    (stage) => {
      stage.registry.on(GET_LAYER, redirect('https://kit-user:kit-pass@other.example/storage'))
      stage.other.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    },
  ),
  ...FORBIDDEN_PLACES.map(({ word, title, host }) =>
    pulled(
      `T4-to-${word}`,
      `a redirect to ${title} is not followed`,
      'refused',
      (stage) => {
        stage.registry.on(GET_LAYER, redirect(`https://${host}/latest/meta-data/`))
      },
      { forbidden: reachedPrivate },
    ),
  ),
  {
    id: 'T4-private-to-private',
    title: 'a registry in a private network may redirect to a host there',
    ask: 'pull',
    expected: 'right',
    reference: (stage) => stage.reference(':1', stage.parties.lan.host),
    serve: ({ parties }) => {
      put(parties.lan, genuine)
      parties.lan.on(GET_LAYER, redirect(`${parties.lanAuth.url}/storage`))
      parties.lanAuth.on(/^GET \/storage$/, respond(200, {}, layerOf(genuine).bytes))
    },
  },
  pulled('T5-basic', 'a foreign host that asks for a password gets none', 'refused', (stage) => {
    stage.registry.on(GET_LAYER, redirect(`${stage.other.url}/storage`))
    stage.other.on(/^GET \/storage$/, respond(401, { 'www-authenticate': 'Basic realm="registry.example"' }))
  }),
  pulled(
    'T5-token',
    'a foreign host that names a token server gets no password there',
    'refused',
    (stage) => {
      stage.registry.on(GET_LAYER, redirect(`${stage.other.url}/storage`))
      const challenge = `Bearer realm="${stage.parties.auth.url}/token",service="registry.example"`
      stage.other.on(/^GET \/storage$/, respond(401, { 'www-authenticate': challenge }))
    },
    {
      forbidden: ({ parties }) =>
        parties.auth.requests.some(({ authorization }) => authorization !== undefined)
          ? 'sent credentials to the foreign host’s token server'
          : undefined,
    },
  ),
]
