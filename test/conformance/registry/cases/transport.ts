/** T1–T3, T6–T9: encryption, certificates, proxies, time limits, connections. */
import type { Case } from '../case.ts'
import { askedMoreThan } from '../checks.ts'
import { evil, genuine, layerOf, put, REPOSITORY } from '../images.ts'
import { ANY, CONTENT, dripping, endless, json, MANIFEST, stalled } from '../answers.ts'
import type { Stage } from '../stage.ts'
import { buildImage } from '../../../../scripts/lib/oci-image.ts'
import { silent } from '../../../support/hostile-registry.ts'
import { file, layer } from '../../../support/layer.ts'
import { GENUINE } from '../images.ts'

const BASIC = { username: 'reader', password: 'kit-password-of-reader' }
const login = (stage: Stage) => ({
  logins: [{ key: stage.registry.host, username: BASIC.username, password: stage.secret(BASIC.password) }],
})

function askedPlain(stage: Stage): string | undefined {
  const { registryPlain, lanPlain, registry } = stage.parties
  const plain = [registryPlain, lanPlain, registry].find((party) => party.requests.length > 0)
  return plain === undefined ? undefined : `asked ${plain.host} without TLS`
}

export const TRANSPORT_CASES: readonly Case[] = [
  {
    id: 'T1-no-downgrade',
    title: 'a registry that has no TLS is not asked without it',
    ask: 'resolve',
    expected: 'refused',
    setup: login,
    serve: async (stage) => {
      put(stage.parties.registryPlain, genuine)
      await stage.shut('registry')
    },
    forbidden: askedPlain,
  },
  {
    id: 'T1-plain-on-443',
    title: 'plain HTTP on the port of TLS is not spoken',
    ask: 'resolve',
    expected: 'refused',
    setup: login,
    serve: async (stage) => {
      await stage.replaceRegistry(undefined)
      put(stage.registry, genuine)
    },
    forbidden: askedPlain,
  },
  {
    id: 'T1-private-no-downgrade',
    title: 'a registry in a private network is not asked without TLS by itself',
    ask: 'resolve',
    expected: 'refused',
    reference: () => '10.20.30.40:5000/team/app:1',
    setup: (stage) => ({
      logins: [
        { key: '10.20.30.40:5000', username: BASIC.username, password: stage.secret(BASIC.password, []) },
      ],
    }),
    serve: (stage) => put(stage.parties.lanPlain, genuine),
    forbidden: askedPlain,
  },
  {
    id: 'T1-configured',
    title: 'a registry that is configured for it is asked without TLS',
    ask: 'pull',
    expected: 'right',
    needs: ['plain-http'],
    reference: (stage) => stage.reference(':1', stage.parties.lanPlain.host),
    setup: (stage) => ({ plainHttp: [stage.parties.lanPlain.host] }),
    serve: (stage) => put(stage.parties.lanPlain, genuine),
  },
  {
    id: 'T1-loopback',
    title: 'a registry of this machine is asked without TLS',
    ask: 'pull',
    expected: 'right',
    needs: ['plain-http'],
    reference: (stage) => stage.reference(':1', stage.parties.localhost.host),
    setup: (stage) => ({ plainHttp: [stage.parties.localhost.host] }),
    serve: (stage) => put(stage.parties.localhost, genuine),
  },
  {
    id: 'T2-stranger',
    title: 'a certificate of an unknown authority is refused',
    ask: 'resolve',
    expected: 'refused',
    setup: login,
    serve: async (stage) => {
      await stage.replaceRegistry(stage.authority.stranger)
      put(stage.registry, genuine)
    },
    forbidden: ({ registry }) => (registry.requests.length > 0 ? 'asked all the same' : undefined),
  },
  {
    id: 'T2-misnamed',
    title: 'a certificate for another name is refused',
    ask: 'resolve',
    expected: 'refused',
    setup: login,
    serve: async (stage) => {
      await stage.replaceRegistry(stage.authority.misnamed)
      put(stage.registry, genuine)
    },
    forbidden: ({ registry }) => (registry.requests.length > 0 ? 'asked all the same' : undefined),
  },
  {
    id: 'T2-own-authority',
    title: 'a registry’s own authority is trusted where it is configured',
    ask: 'pull',
    expected: 'right',
    needs: ['own-ca'],
    setup: () => ({ trust: 'registry' }),
    serve: (stage) => put(stage.registry, genuine),
  },
  {
    id: 'T2-client-certificate',
    title: 'a client certificate is shown where one is configured',
    ask: 'pull',
    expected: 'right',
    needs: ['client-certificate'],
    setup: () => ({ clientCertificate: true }),
    serve: async (stage) => {
      const { good, ca } = stage.authority
      await stage.replaceRegistry({ ...good, ca, requestCert: true, rejectUnauthorized: true })
      put(stage.registry, genuine)
    },
  },
  {
    id: 'T3-proxy',
    title: 'HTTPS_PROXY is used',
    ask: 'pull',
    expected: 'right',
    reference: (stage) => stage.reference(':1', 'hidden.example'),
    setup: ({ proxy }) => ({ env: { HTTPS_PROXY: proxy?.url ?? '' } }),
    serve: (stage) => put(stage.registry, genuine),
  },
  ...[
    ['T3-no-proxy', 'registry.example', 'a host of NO_PROXY'],
    ['T3-no-proxy-suffix', '.example', 'a host below a suffix of NO_PROXY'],
    ['T3-no-proxy-list', 'x.invalid, registry.example', 'a later host of NO_PROXY'],
  ].map(([id = '', list = '', title = '']): Case => ({
    id,
    title: `${title} is asked without the proxy`,
    ask: 'resolve',
    expected: 'right',
    setup: ({ proxy }) => ({ env: { HTTPS_PROXY: proxy?.url ?? '', NO_PROXY: list } }),
    serve: (stage) => put(stage.registry, genuine),
    forbidden: ({ proxy }) => ((proxy?.asked.length ?? 0) > 0 ? 'asked the proxy' : undefined),
  })),
  {
    id: 'T6-silent',
    title: 'a registry that never answers is given up',
    ask: 'resolve',
    expected: 'refused',
    serve: ({ registry }) => registry.on(ANY, silent),
  },
  {
    id: 'T6-dripping',
    title: 'a manifest that comes a byte a second is given up',
    ask: 'pull',
    expected: 'refused',
    serve: (stage) => {
      put(stage.registry, genuine)
      const headers = { 'content-type': genuine.manifest.mediaType }
      stage.registry.on(/^GET \/v2\/.+\/manifests\//, dripping(headers))
    },
  },
  {
    id: 'T6-stalled',
    title: 'a layer that stops coming is given up or asked for again',
    ask: 'pull',
    expected: 'either',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.times(1, blobOf(genuine), stalled(layerOf(genuine).bytes, 1000))
    },
  },
  {
    id: 'T7-connections',
    title: 'an image of forty layers takes no crowd of connections',
    ask: 'pull',
    expected: 'right',
    serve: (stage) => put(stage.registry, manyLayers()),
    forbidden: ({ registry }) =>
      registry.mostConnections() > 16 ? `held ${registry.mostConnections()} connections at once` : undefined,
  },
  {
    id: 'T8-warning',
    title: 'a warning of the registry changes nothing',
    ask: 'resolve',
    expected: 'right',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.on(MANIFEST, (_request, response) => {
        response.setHeader(
          'warning',
          '299 - "use other.example/team/app instead; see https://other.example/"',
        )
        return false
      })
    },
    forbidden: ({ other }) => (other.requests.length > 0 ? 'followed the warning' : undefined),
  },
  {
    id: 'T8-escape',
    title: 'an error’s text does not reach the terminal as it is',
    ask: 'resolve',
    expected: 'refused',
    serve: ({ registry }) => {
      const message = '\u001b[2J\u001b]0;owned\u0007all is well\nresolved: sha256:0'
      registry.on(CONTENT, json({ errors: [{ code: 'DENIED', message }] }, 403))
    },
  },
  {
    id: 'T8-endless-error',
    title: 'an error without end is not read to its end',
    ask: 'resolve',
    expected: 'refused',
    serve: (stage) => stage.registry.on(CONTENT, endless(stage, '{"errors":[', {}, 403)),
  },
  {
    id: 'T9-user-agent',
    title: 'every request says who asks',
    ask: 'pull',
    expected: 'right',
    serve: (stage) => put(stage.registry, genuine),
    forbidden: ({ registry }) =>
      registry.requests.some(({ headers }) => (headers['user-agent'] ?? '') === '')
        ? 'asked without a User-Agent'
        : undefined,
  },
  {
    id: 'T7-no-storm',
    title: 'a pull of one layer takes few requests',
    ask: 'pull',
    expected: 'right',
    serve: (stage) => put(stage.registry, genuine),
    forbidden: ({ registry }) => askedMoreThan(registry, 10),
  },
  {
    id: 'T6-header-flood',
    title: 'headers of 2 MiB are refused',
    ask: 'resolve',
    expected: 'either',
    serve: (stage) => {
      put(stage.registry, evil)
      stage.registry.on(ANY, (_request, response) => {
        const head = Array.from({ length: 2048 }, (_one, at) => `x-flood-${at}: ${'f'.repeat(1000)}\r\n`)
        response.socket?.end(`HTTP/1.1 200 OK\r\n${head.join('')}\r\n`)
        return true
      })
    },
  },
]

function blobOf(image: typeof genuine): RegExp {
  return new RegExp(`^GET /v2/${REPOSITORY}/blobs/${layerOf(image).digest}$`)
}

function manyLayers(): typeof genuine {
  const layers = Array.from({ length: 39 }, (_one, at) => layer([file(`file-${at}`, `content ${at}`)]))
  return buildImage({ layers: [...layers, layer([file('marker', GENUINE)])] })
}
