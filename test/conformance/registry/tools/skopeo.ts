import path from 'node:path'
import { mustRun } from '../../../../scripts/lib/run.ts'
import type { Setup } from '../case.ts'
import { readLayout } from './pulled.ts'
import { digestsIn } from './tool.ts'
import type { Command, Question, Tool } from './tool.ts'

/** Debian's: https://github.com/containers/skopeo */
export const skopeo: Tool = {
  name: 'skopeo',
  asks: ['resolve', 'pull', 'tags'],
  features: ['plain-http', 'mirrors', 'own-ca', 'client-certificate'],
  version: async () => (await mustRun('skopeo', ['--version'])).trim().replace(/^skopeo version /, ''),
  command: (question) => ({
    program: 'skopeo',
    args: ['--insecure-policy', '--tmpdir', question.home, ...argumentsOf(question)],
    env: {
      REGISTRY_AUTH_FILE: path.join(question.home, '.docker/config.json'),
      ...(question.setup.trust === 'registry' ? {} : { SSL_CERT_FILE: question.caFile }),
    },
    files: {
      '.config/containers/registries.conf': registriesConf(question.setup),
      ...certificates(question),
    },
  }),
  read: ({ ask, target }, stdout) => {
    if (ask === 'pull') return readLayout(target)
    if (ask === 'resolve') return { digests: digestsIn(stdout) }
    return { tags: (JSON.parse(stdout) as { readonly Tags: readonly string[] | null }).Tags ?? [] }
  },
}

/** What files hold cannot be written here: the certificates are named by links that the runner makes of `@FILE`. */
function certificates({ setup, caFile, client }: Question): Readonly<Record<string, string>> {
  const isOwn = setup.trust === 'registry' || setup.clientCertificate === true
  if (!isOwn) return {}
  const shown =
    setup.clientCertificate === true
      ? { 'certs/client.cert': `@${client.certFile}`, 'certs/client.key': `@${client.keyFile}` }
      : {}
  return { 'certs/ca.crt': `@${caFile}`, ...shown }
}

function argumentsOf({ ask, reference, target, home, setup }: Question): Command['args'] {
  const image = `docker://${reference}`
  const isOwn = setup.trust === 'registry' || setup.clientCertificate === true
  const certs = (option: string) => (isOwn ? [option, path.join(home, 'certs')] : [])
  if (ask === 'pull') return ['copy', ...certs('--src-cert-dir'), image, `oci:${target}:pulled`]
  if (ask === 'tags') return ['list-tags', ...certs('--cert-dir'), image]
  return ['inspect', '--no-tags', ...certs('--cert-dir'), '--format', '{{.Digest}}', image]
}

/** containers-registries.conf(5) */
function registriesConf({ plainHttp = [], mirrors = [] }: Setup): string {
  const plain = plainHttp.map((host) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`)
  if (mirrors.length === 0) return plain.join('\n')
  const lines = mirrors.map(
    ({ host, prefix }) =>
      `[[registry.mirror]]\nlocation = "${host}${prefix === undefined ? '' : `/${prefix}`}"\n`,
  )
  return [...plain, '[[registry]]\nlocation = "registry.example"\n', ...lines].join('\n')
}
