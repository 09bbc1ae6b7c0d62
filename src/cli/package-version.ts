/** The package's own version, from package.json: two folders up, from src/cli and from dist/cli alike. */
import { readFileSync } from 'node:fs'

export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version?: string
  }
  return manifest.version ?? 'unknown'
}
