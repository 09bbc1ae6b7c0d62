import { registryBinaries } from '../../../../scripts/lib/registry-binaries.ts'
import { mustRun } from '../../../../scripts/lib/run.ts'
import { readLayout } from './pulled.ts'
import { digestsIn, linesOf } from './tool.ts'
import type { Question, Tool } from './tool.ts'

/** https://github.com/google/go-containerregistry */
export async function craneTool(): Promise<Tool> {
  const { crane } = await registryBinaries()
  return {
    name: 'crane',
    asks: ['resolve', 'pull', 'tags'],
    features: ['plain-http'],
    version: async () => (await mustRun(crane, ['version'])).trim(),
    command: (question) => ({
      program: crane,
      args: [
        ...argumentsOf(question),
        ...((question.setup.plainHttp ?? []).length > 0 ? ['--insecure'] : []),
      ],
      env: { SSL_CERT_FILE: question.caFile },
    }),
    read: ({ ask, target }, stdout) => {
      if (ask === 'pull') return readLayout(target)
      return ask === 'tags' ? { tags: linesOf(stdout) } : { digests: digestsIn(stdout) }
    },
  }
}

function argumentsOf({ ask, reference, target }: Question): readonly string[] {
  if (ask === 'pull') return ['pull', '--format', 'oci', reference, target]
  return [ask === 'tags' ? 'ls' : 'digest', reference]
}
