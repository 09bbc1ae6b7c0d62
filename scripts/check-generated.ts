/** Fails when a generated file is not what `npm run generate` would write; part of `make check`. Writes nothing. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { allGeneratedFiles, ROOT } from './lib/generated.ts'

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(path.join(ROOT, file), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const stale = allGeneratedFiles().filter((file) => contentOf(file.path) !== file.content)
for (const file of stale) console.error(`${file.path} is stale: run 'make generate' and commit the result`)
process.exitCode = stale.length === 0 ? 0 : 1
