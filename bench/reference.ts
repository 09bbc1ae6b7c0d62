/**
 * How fast references are parsed, and what the worst text costs. Run with `npx node bench/reference.ts`.
 * Goals: at least 1,000,000 references a second; no text of 10 KB above 1 ms.
 */
import { parseReference } from '../src/image/reference.ts'

const HEX = 'f'.repeat(64)
const REFERENCES = [
  'ubuntu',
  'ubuntu:24.04',
  'mattermost/mattermost-team-edition:10.12',
  'localhost:5000/team/app:v1.2.3',
  'registry.example.com/a/b/c:2026-01-01',
  `quay.io/prometheus/node-exporter@sha256:${HEX}`,
  `ghcr.io/org/app:1.0@sha256:${HEX}`,
  'oci:/srv/images/app:1.0',
]

const SIZE = 10_000
const ADVERSARIAL: Readonly<Record<string, string>> = {
  'dashes then a bad end': `${'a-'.repeat(SIZE / 2)}!`,
  underscores: `${'a__'.repeat(SIZE / 3)}!`,
  slashes: 'a/'.repeat(SIZE / 2),
  colons: 'a:'.repeat(SIZE / 2),
  'colons in a layout path': `oci:${'a:'.repeat(2100)}!`,
  'at-signs': '@'.repeat(SIZE),
  dots: `${'a.'.repeat(SIZE / 2)}/x`,
  brackets: `[${':'.repeat(SIZE)}]/x`,
  'upper case': 'A'.repeat(SIZE),
  'a scheme without end': `${'a'.repeat(SIZE)}://x`,
}

function referencesPerSecond(): number {
  const rounds = 200_000
  const start = process.hrtime.bigint()
  let parsed = 0
  for (let round = 0; round < rounds; round++) {
    for (const text of REFERENCES) parsed += parseReference(text).original.length > 0 ? 1 : 0
  }
  return parsed / (Number(process.hrtime.bigint() - start) / 1e9)
}

function worstMs(text: string): number {
  const times = Array.from({ length: 50 }, () => {
    const start = process.hrtime.bigint()
    try {
      parseReference(text)
    } catch {
      // Refusing is what is measured.
    }
    return Number(process.hrtime.bigint() - start) / 1e6
  })
  return times.sort((a, b) => a - b)[25] ?? 0
}

referencesPerSecond()
console.log(`${Math.round(referencesPerSecond()).toLocaleString('en')} references/s`)
for (const [name, text] of Object.entries(ADVERSARIAL)) {
  console.log(`${worstMs(text).toFixed(4)} ms  ${name} (${text.length} characters)`)
}
