/** How the image starts the controller, read from the Dockerfile: what is measured is what pods run. */
import { readFileSync } from 'node:fs'
import path from 'node:path'

export interface ImageSettings {
  /** What stands between `node` and the program. */
  readonly nodeFlags: readonly string[]
  /** But for PATH, which is the image's own. */
  readonly env: Readonly<Record<string, string>>
}

export function imageSettings(): ImageSettings {
  const text = readFileSync(path.join(import.meta.dirname, '../../Dockerfile'), 'utf8')
  const entrypoint = /^ENTRYPOINT (\[.+\])$/m.exec(text)?.[1]
  const variables = /^ENV ((?:.*\\\n)*.*)$/m.exec(text)?.[1]
  if (entrypoint === undefined || variables === undefined)
    throw new Error('the Dockerfile has no ENTRYPOINT or ENV')
  const pairs = variables
    .split(/[\s\\]+/)
    .map((pair) => pair.split('='))
    .map(([name = '', value = '']): [string, string] => [name, value])
  return {
    nodeFlags: (JSON.parse(entrypoint) as readonly string[]).slice(1, -1),
    env: Object.fromEntries(pairs.filter(([name]) => name !== 'PATH' && name !== '')),
  }
}
