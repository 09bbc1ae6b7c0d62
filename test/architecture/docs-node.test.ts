/** The machine's own Node may be older than what the sources need: commands for people name the checkout's, through npx. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './source-files.ts'

/** A file of ours, also one whose name a message puts in. */
const BARE = /(?<!npx )\bnode (?:src|test|bench|scripts)\/[^\s`]*\.ts|(?<!npx )\bnode bench\/\$\{/g

/** Pages, and everything that prints or explains a command. */
function texts(): readonly string[] {
  const below = ['src', 'test', 'bench', 'scripts', 'docs'].flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(folder, name),
    ),
  )
  return [...readdirSync(ROOT), ...below].filter((name) => /\.(?:md|ts)$/.test(name))
}

test('no documented command starts a TypeScript file with the machine’s own Node', () => {
  const found = texts().flatMap((name) =>
    [...readFileSync(path.join(ROOT, name), 'utf8').matchAll(BARE)].map((match) => `${name}: ${match[0]}`),
  )
  expect(found).toEqual([])
})
