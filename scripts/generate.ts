/** `npm run generate`: writes every file that is generated. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { allGeneratedFiles, ROOT } from './lib/generated.ts'

for (const { path, content } of allGeneratedFiles()) {
  const target = join(ROOT, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, content)
  console.log(`wrote ${path} (${Buffer.byteLength(content)} bytes)`)
}
