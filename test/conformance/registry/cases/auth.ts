/** A: how a registry asks who is there, and what it is told. */
import { respond } from '../../../support/hostile-registry.ts'
import { isKnownUser, scopeOf, tokenFor, unauthorized } from '../../../support/registry/tokens.ts'
import type { Behaviour } from '../../../support/registry/recorded.ts'
import { ANY, bearer, CONTENT, demandTokens, endless, giveTokens, json } from '../answers.ts'
import type { Case, Login } from '../case.ts'
import { askedMoreThan } from '../checks.ts'
import { genuine, put, REPOSITORY } from '../images.ts'
import type { Party, Stage } from '../stage.ts'
import { READERS } from '../reader.ts'

const SCOPE = `repository:${REPOSITORY}:pull`

type ServeWith = (stage: Stage) => void

/** The registry has the image and the reader's login is known to the tool. */
function asReader(id: string, title: string, serve: ServeWith, more: Partial<Case> = {}): Case {
  return {
    id,
    title,
    ask: 'resolve',
    expected: 'right',
    setup: (stage) => ({ logins: [reader(stage)] }),
    serve: (stage) => {
      put(stage.registry, genuine)
      serve(stage)
    },
    ...more,
  }
}

function reader(stage: Stage, key = stage.registry.host, hosts: readonly Party[] = [stage.registry]): Login {
  return { key, username: 'reader', password: stage.secret(READERS.reader, hosts) }
}

/** Basic is wanted, and said in these words. */
function basic(id: string, title: string, challenge: string | readonly string[]): Case {
  return asReader(id, title, ({ registry }) => {
    registry.on(ANY, (request, response) =>
      isKnownUser(request.authorization, READERS) ? false : unauthorized(response, challenge),
    )
  })
}

/** A token is wanted, and said in these words. */
function tokens(
  id: string,
  title: string,
  challenge: (realm: string, scope: string) => string | readonly string[],
): Case {
  return asReader(id, title, ({ registry }) => {
    const realm = giveTokens(registry, { users: READERS })
    demandTokens(registry, realm, (scope) => challenge(realm, scope))
  })
}

/** The token server's answer is this. */
function tokenAnswer(
  id: string,
  title: string,
  answer: (stage: Stage) => Behaviour,
  more: Partial<Case> = {},
): Case {
  return asReader(
    id,
    title,
    (stage) => {
      demandTokens(stage.registry, `${stage.registry.url}/token`)
      stage.registry.on(/ \/token$/, answer(stage))
    },
    more,
  )
}

const goodToken: Behaviour = (request, response) =>
  json({ token: tokenFor(request.query.get('scope') ?? '') })(request, response)

export const AUTH_CASES: readonly Case[] = [
  asReader('A1-no-question', 'a registry without a page at /v2/ is asked all the same', ({ registry }) => {
    registry.on(/ \/v2\/$/, respond(404))
  }),
  basic('A1-negotiate', 'an unknown scheme before Basic is passed over', ['Negotiate', 'Basic realm="x"']),
  basic('A1-one-header', 'two challenges in one header are both seen', 'Negotiate, Basic realm="x"'),
  basic('A1-token68', 'a challenge with a token68 is passed over', 'Negotiate YIIB==, Basic realm="x"'),
  basic('A1-case', 'a scheme in capital letters is known', 'BASIC REALM="x"'),
  basic('A1-quoted-comma', 'a comma and a scheme in quotes are text', 'Basic realm="a, Bearer realm=b"'),
  basic('A1-escaped-quote', 'an escaped quote is text', 'Basic realm="a \\" b, c=\\"d\\""'),
  tokens('A1-bearer-case', 'names of parameters are known in capital letters', (realm, scope) =>
    bearer(realm, scope).replace('Bearer realm', 'bEARER ReAlM').replace('scope', 'SCOPE'),
  ),
  tokens('A1-blanks', 'blanks around commas and equals signs are allowed', (realm, scope) =>
    bearer(realm, scope).replaceAll(',', ' ,\t '),
  ),
  tokens('A1-unquoted', 'values without quotes are values', (_realm, scope) =>
    bearer(_realm, scope).replace('service="registry.example"', 'service=registry.example'),
  ),
  tokens('A1-bearer-and-basic', 'Bearer after Basic is seen', (realm, scope) => [
    'Basic realm="x"',
    bearer(realm, scope),
  ]),
  asReader(
    'A1-nothing-known',
    'a registry that knows no known way in is refused',
    ({ registry }) =>
      registry.on(ANY, (_request, response) => unauthorized(response, 'Digest realm="x", nonce="y"')),
    { expected: 'refused' },
  ),
  asReader(
    'A1-no-challenge',
    'a 401 without a challenge is refused',
    ({ registry }) => registry.on(ANY, respond(401)),
    { expected: 'refused' },
  ),
  asReader(
    'A1-401-for-ever',
    'a registry that takes no token is given up after few requests',
    ({ registry }) => {
      const realm = giveTokens(registry)
      registry.on(ANY, (request, response) => unauthorized(response, bearer(realm, scopeOf(request.path))))
    },
    { expected: 'refused', forbidden: ({ registry }) => askedMoreThan(registry, 20) },
  ),
  tokenAnswer(
    'A2-service-and-scope',
    'service and scope are asked for as the registry says',
    () => (request, response) =>
      request.query.get('service') === 'registry.example' &&
      request.query.getAll('scope').join(' ').includes(SCOPE)
        ? goodToken(request, response)
        : respond(403)(request, response),
  ),
  tokenAnswer('A2-pull-only', 'no more than pulling is asked for', () => goodToken, {
    serve: (stage) => {
      put(stage.registry, genuine)
      const realm = `${stage.registry.url}/token`
      const greedy = `repository:${REPOSITORY}:pull,push,delete`
      stage.registry.on(ANY, (request, response) =>
        request.authorization?.startsWith('Bearer ') === true
          ? false
          : unauthorized(response, bearer(realm, greedy)),
      )
      stage.registry.on(/ \/token$/, goodToken)
    },
    forbidden: ({ registry }) =>
      registry.requests.some(
        ({ path, query }) => path === '/token' && /push|delete|\*/.test(query.getAll('scope').join(' ')),
      )
        ? 'asked for more than pulling'
        : undefined,
  }),
  tokenAnswer(
    'A3-access-token',
    'access_token is a token as well',
    () => (request, response) =>
      json({ access_token: tokenFor(request.query.get('scope') ?? '') })(request, response),
  ),
  tokenAnswer('A3-expired', 'a token that ran out is asked for anew', () => goodToken, {
    ask: 'pull',
    serve: (stage) => {
      put(stage.registry, genuine)
      oneUseTokens(stage.registry)
    },
  }),
  tokenAnswer(
    'A3-issued-ahead',
    'a token server whose clock is ahead does no harm',
    () => (request, response) =>
      json({
        token: tokenFor(request.query.get('scope') ?? ''),
        issued_at: new Date(Date.now() + 86_400_000).toISOString(),
        expires_in: 300,
      })(request, response),
  ),
  tokenAnswer(
    'A3-issued-behind',
    'a token server whose clock is behind does no harm',
    () => (request, response) =>
      json({
        token: tokenFor(request.query.get('scope') ?? ''),
        issued_at: new Date(Date.now() - 86_400_000).toISOString(),
        expires_in: 300,
      })(request, response),
  ),
  tokenAnswer(
    'A3-odd-expiry',
    'an expiry that is no number of seconds does no harm',
    () => (request, response) =>
      json({ token: tokenFor(request.query.get('scope') ?? ''), expires_in: -1 })(request, response),
  ),
  tokenAnswer(
    'A3-line-end',
    'a token with a line end makes no header',
    () => json({ token: 'abc\r\nx-injected: 1' }),
    {
      expected: 'refused',
      forbidden: ({ registry }) =>
        registry.requests.some(({ headers }) => headers['x-injected'] !== undefined)
          ? 'sent an injected header'
          : undefined,
    },
  ),
  tokenAnswer('A3-empty', 'an answer without a token is refused', () => json({}), { expected: 'refused' }),
  tokenAnswer('A3-null', 'an answer that is null is refused', () => json(null), { expected: 'refused' }),
  tokenAnswer(
    'A3-html',
    'a page instead of a token is refused',
    () => respond(200, { 'content-type': 'text/html' }, '<html>'),
    {
      expected: 'refused',
    },
  ),
  tokenAnswer(
    'A3-endless',
    'a token without end is not read to its end',
    (stage) => endless(stage, '{"token":"'),
    {
      expected: 'refused',
    },
  ),
  tokenAnswer(
    'A3-endless-error',
    'an error of the token server without end is not read to its end',
    (stage) => endless(stage, '{"errors":[', {}, 403),
    {
      expected: 'refused',
    },
  ),
  identity('A4-refresh', 'an identity token is exchanged by POST', () => undefined),
  identity('A4-not-found', 'where POST is unknown, GET is tried', ({ registry }) => {
    registry.on(/^POST \/token$/, respond(404))
    registry.on(/^GET \/token$/, goodToken)
  }),
  basic('A5-basic', 'a password is sent as Basic', 'Basic realm="x"'),
  passwordOf('A5-colon', 'a password with a colon', 'kit:pass:word'),
  passwordOf('A5-unicode', 'a password with letters beyond ASCII', 'kit-pässwörd-€'),
  asReader(
    'A6-registry-token',
    'a ready token is sent as it is',
    ({ registry }) => {
      registry.on(ANY, (request, response) =>
        request.authorization === 'Bearer kit-ready-token'
          ? false
          : unauthorized(response, bearer(`${registry.url}/token`, SCOPE)),
      )
    },
    {
      setup: (stage) => ({
        logins: [{ key: stage.registry.host, registryToken: stage.secret('kit-ready-token') }],
      }),
    },
  ),
  asReader(
    'A7-more-scope',
    'a registry that wants another scope gets it, once',
    ({ registry }) => {
      const realm = giveTokens(registry, { users: READERS })
      const more = `repository:${REPOSITORY}-base:pull`
      registry.on(/ \/token$/, (request, response) =>
        json({ token: tokenFor(request.query.getAll('scope').join(' ').split(' ').sort().join(' ')) })(
          request,
          response,
        ),
      )
      registry.on(ANY, (request, response) => {
        const wanted = [SCOPE, more].sort().join(' ')
        if (request.authorization === `Bearer ${tokenFor(wanted)}`) return false
        const challenge = bearer(realm, request.authorization === undefined ? SCOPE : `${SCOPE} ${more}`)
        return unauthorized(response, `${challenge},error="insufficient_scope"`)
      })
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 14) },
  ),
  asReader('A9-path', 'of two logins the one with the longer path is taken', demandReader, {
    setup: (stage) => ({
      logins: [
        {
          key: stage.registry.host,
          username: 'somebody',
          password: stage.secret('kit-password-of-somebody'),
        },
        reader(stage, `${stage.registry.host}/team`),
      ],
    }),
  }),
  asReader('A9-url-key', 'a login under a URL is the host’s', demandReader, {
    setup: (stage) => ({ logins: [reader(stage, `https://${stage.registry.host}/v2/`)] }),
  }),
  {
    ...asReader('A9-hub-alias', 'Docker Hub’s old address names its login', () => undefined),
    reference: () => `${REPOSITORY}:1`,
    setup: ({ parties }) => ({
      logins: [
        reader({ secret: (text: string) => text } as Stage, 'https://index.docker.io/v1/', [parties.auth]),
      ],
    }),
    serve: ({ parties }) => {
      put(parties.hub, genuine)
      const realm = giveTokens(parties.auth, { users: READERS }).replace('auth.example', 'auth.docker.io')
      parties.hub.on(ANY, (request, response) =>
        request.authorization === `Bearer ${tokenFor(scopeOf(request.path))}` ||
        (request.path === '/v2/' && request.authorization !== undefined)
          ? false
          : unauthorized(
              response,
              `Bearer realm="${realm}",service="registry.docker.io",scope="${scopeOf(request.path)}"`,
            ),
      )
    },
  },
  ...['registry.example.org', 'myregistry.example', 'gistry.example', 'example', 'registry.example:444'].map(
    (key, at) =>
      asReader(`A9-not-${at + 1}`, `a login of ${key} is not sent to registry.example`, demandReader, {
        expected: 'refused',
        setup: (stage) => ({ logins: [reader(stage, key, [])] }),
      }),
  ),
  asReader(
    'A9-anonymous',
    'when the login is wrong, going without is tried',
    ({ registry }) => {
      const realm = `${registry.url}/token`
      demandTokens(registry, realm)
      registry.on(/ \/token$/, (request, response) =>
        request.authorization === undefined && request.method === 'GET'
          ? goodToken(request, response)
          : unauthorized(response, 'Basic realm="x"'),
      )
    },
    {
      setup: (stage) => ({
        logins: [
          { key: stage.registry.host, username: 'old', password: stage.secret('kit-password-of-old') },
        ],
      }),
    },
  ),
  asReader(
    'A10-echo',
    'a password that the registry repeats is not printed',
    ({ registry }) => {
      registry.on(CONTENT, (request, response) => {
        if (request.authorization === undefined) return unauthorized(response, 'Basic realm="x"')
        const message = `no access for ${request.authorization}`
        return json({ errors: [{ code: 'DENIED', message }] }, 403)(request, response)
      })
    },
    { expected: 'refused' },
  ),
  tokenAnswer(
    'A10-token-echo',
    'a token that the registry repeats is not printed',
    () => json({ token: 'eyJraXQ.eyJraXQtc2VjcmV0LXRva2Vu.c2lnbmF0dXJl' }),
    {
      expected: 'refused',
      serve: (stage) => {
        const token = stage.secret('eyJraXQ.eyJraXQtc2VjcmV0LXRva2Vu.c2lnbmF0dXJl')
        stage.registry.on(ANY, (request, response) =>
          request.authorization === undefined
            ? unauthorized(response, bearer(`${stage.registry.url}/token`, SCOPE))
            : json({ errors: [{ code: 'DENIED', message: `bad: ${request.authorization}` }] }, 403)(
                request,
                response,
              ),
        )
        stage.registry.on(/ \/token$/, json({ token }))
      },
    },
  ),
]

function demandReader({ registry }: Stage): void {
  registry.demandBasic(READERS)
}

function passwordOf(id: string, title: string, password: string): Case {
  return asReader(
    id,
    `${title} is sent as it is`,
    ({ registry }) => registry.demandBasic({ reader: password }),
    {
      setup: (stage) => ({
        logins: [{ key: stage.registry.host, username: 'reader', password: stage.secret(password) }],
      }),
    },
  )
}

function identity(id: string, title: string, serve: ServeWith): Case {
  return asReader(
    id,
    title,
    (stage) => {
      demandTokens(
        stage.registry,
        giveTokens(stage.registry, { users: {}, refreshTokens: ['kit-identity-token'] }),
      )
      serve(stage)
    },
    {
      setup: (stage) => ({
        logins: [
          {
            key: stage.registry.host,
            username: '<token>',
            identityToken: stage.secret('kit-identity-token'),
          },
        ],
      }),
    },
  )
}

/** Each token is good for two requests. */
function oneUseTokens(registry: Party): void {
  let given = 0
  let uses = 0
  registry.on(/ \/token$/, (request, response) => {
    given += 1
    uses = 0
    return json({ token: `token-${given}` })(request, response)
  })
  registry.on(ANY, (request, response) => {
    uses += 1
    if (request.authorization === `Bearer token-${given}` && uses <= 2) return false
    return unauthorized(response, bearer(`${registry.url}/token`, SCOPE))
  })
}
