import path from 'node:path'
import { readFileSync } from 'node:fs'
import { registryBinaries } from '../../../../scripts/lib/registry-binaries.ts'
import { mustRun } from '../../../../scripts/lib/run.ts'
import { readLayout } from './pulled.ts'
import { digestsIn, linesOf } from './tool.ts'
import type { Command, Question, Tool } from './tool.ts'

/** https://github.com/regclient/regclient */
export async function regctlTool(): Promise<Tool> {
  const { regctl } = await registryBinaries()
  return {
    name: 'regctl',
    asks: ['resolve', 'pull', 'tags', 'referrers'],
    features: ['plain-http', 'mirrors', 'own-ca', 'client-certificate', 'referrers', 'referrers-filter'],
    version: async () => /VCSTag:\s+(\S+)/.exec(await mustRun(regctl, ['version']))?.[1] ?? '',
    command: (question) => ({
      program: regctl,
      args: argumentsOf(question),
      env: {
        REGCTL_CONFIG: path.join(question.home, 'regctl.json'),
        ...(question.setup.trust === 'registry' ? {} : { SSL_CERT_FILE: question.caFile }),
      },
      files: { 'regctl.json': JSON.stringify(configOf(question)) },
    }),
    read: ({ ask, target }, stdout) => {
      if (ask === 'pull') return readLayout(target)
      if (ask === 'tags') return { tags: linesOf(stdout) }
      return ask === 'resolve' ? { digests: digestsIn(stdout) } : { referrers: digestsIn(stdout) }
    },
  }
}

function argumentsOf({ ask, reference, target, artifactType }: Question): Command['args'] {
  switch (ask) {
    case 'resolve':
      return ['image', 'digest', reference]
    case 'pull':
      return ['image', 'copy', reference, `ocidir://${target}:pulled`]
    case 'tags':
      return ['tag', 'ls', reference]
    case 'referrers': {
      const filter = artifactType === undefined ? [] : ['--filter-artifact-type', artifactType]
      const format = '{{range .Descriptors}}{{.Digest}}{{"\\n"}}{{end}}'
      return ['artifact', 'list', reference, ...filter, '--format', format]
    }
  }
}

function configOf({ setup, caFile, client }: Question): unknown {
  const mirrors = setup.mirrors ?? []
  const registry = {
    hostname: 'registry.example',
    ...(setup.trust === 'registry' ? { regcert: readFileSync(caFile, 'utf8') } : {}),
    ...(setup.clientCertificate === true
      ? {
          clientCert: readFileSync(client.certFile, 'utf8'),
          clientKey: readFileSync(client.keyFile, 'utf8'),
        }
      : {}),
    ...(mirrors.length === 0 ? {} : { mirrors: mirrors.map(({ host }) => host) }),
  }
  const prefixed = mirrors.filter(({ prefix }) => prefix !== undefined)
  return {
    hosts: {
      'registry.example': registry,
      ...Object.fromEntries(
        prefixed.map(({ host, prefix }) => [host, { hostname: host, pathPrefix: prefix }]),
      ),
      ...Object.fromEntries(
        (setup.plainHttp ?? []).map((host) => [host, { hostname: host, tls: 'disabled' }]),
      ),
    },
  }
}
