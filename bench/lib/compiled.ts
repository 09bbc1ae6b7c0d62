/** The project as compiled JavaScript, as its image has it. In a folder of its own: `dist` belongs to whoever builds. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import path from 'node:path'

const ROOT = path.join(import.meta.dirname, '../..')

/** Compiles and returns the path of `main.js`. FAIRLEAD_BENCH_MAIN names one that is there already. */
export function compiledMain(): string {
  const given = process.env['FAIRLEAD_BENCH_MAIN'] ?? ''
  if (given !== '') return given
  // Below node_modules, so that the packages are found; with the package.json that tells version and module type.
  const folder = path.join(ROOT, 'node_modules/.cache/fairlead-bench')
  mkdirSync(folder, { recursive: true })
  copyFileSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'))
  const tsc = path.join(ROOT, 'node_modules/.bin/tsc')
  const args = ['-p', path.join(ROOT, 'tsconfig.build.json'), '--outDir', path.join(folder, 'dist')]
  const { status, stdout } = spawnSync(tsc, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the project does not compile:\n${stdout}`)
  return path.join(folder, 'dist/main.js')
}
