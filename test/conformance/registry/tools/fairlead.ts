import path from 'node:path'
import { mustRun } from '../../../../scripts/lib/run.ts'
import type { Setup } from '../case.ts'
import type { Brought } from '../verdict.ts'
import type { Command, Question, Tool } from './tool.ts'
import { readTree } from './pulled.ts'

const PROGRAM = path.join(import.meta.dirname, '../../../../bin/fairlead')

/** The command line of this checkout. */
export const fairlead: Tool = {
  name: 'fairlead',
  asks: ['resolve', 'pull', 'tags', 'referrers'],
  features: [
    'referrers',
    'referrers-filter',
    'mirrors',
    'mirrors-for-digests-only',
    'own-ca',
    'client-certificate',
    'plain-http',
    'unpack',
  ],
  version: async () => (await mustRun(PROGRAM, ['version'])).split('\n')[0]?.replace(/^fairlead /, '') ?? '',
  command: (question) => ({
    program: PROGRAM,
    args: argumentsOf(question),
    env: {
      FAIRLEAD_CONFIG: path.join(question.home, 'fairlead.yaml'),
      FAIRLEAD_STATE: path.join(question.home, 'state'),
      ...(question.setup.trust === 'registry' ? {} : { NODE_EXTRA_CA_CERTS: question.caFile }),
    },
    files: { 'fairlead.yaml': JSON.stringify(configOf(question)) },
  }),
  read: (question, stdout): Brought => {
    if (question.ask === 'pull') return readTree(path.join(question.target, 'rootfs'))
    const answer = JSON.parse(stdout) as {
      readonly digest?: string
      readonly tags?: readonly string[]
      readonly referrers?: readonly { readonly digest: string }[]
    }
    return {
      digests: answer.digest === undefined ? [] : [answer.digest],
      tags: answer.tags ?? [],
      referrers: (answer.referrers ?? []).map(({ digest }) => digest),
    }
  },
}

function argumentsOf({ ask, reference, target, artifactType }: Question): Command['args'] {
  switch (ask) {
    case 'resolve':
      return ['resolve', reference, '-o', 'json']
    case 'pull':
      return ['unpack', reference, target]
    case 'tags':
      return ['inspect', reference, '--tags', '-o', 'json']
    case 'referrers': {
      const filter = artifactType === undefined ? [] : ['--artifact-type', artifactType]
      return ['inspect', reference, '--referrers', ...filter, '-o', 'json']
    }
  }
}

function configOf(question: Question): unknown {
  const { setup, caFile, client } = question
  const registry = {
    ...(setup.trust === 'registry' ? { caFile } : {}),
    ...(setup.clientCertificate === true
      ? { clientCertFile: client.certFile, clientKeyFile: client.keyFile }
      : {}),
    ...(setup.mirrors === undefined ? {} : { mirrors: setup.mirrors.map(mirrorOf) }),
  }
  const plain = Object.fromEntries((setup.plainHttp ?? []).map((host) => [host, { plainHttp: true }]))
  return { registries: { 'registry.example': registry, ...plain } }
}

function mirrorOf({ host, prefix, resolve }: NonNullable<Setup['mirrors']>[number]): unknown {
  return { url: `https://${host}${prefix === undefined ? '' : `/${prefix}`}`, resolve }
}
