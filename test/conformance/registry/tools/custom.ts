import { readLayout } from './pulled.ts'
import type { Tool } from './tool.ts'

/**
 * Any command: its words, with `{ref}` for the reference and `{dir}` for a folder to pull to. With `{dir}` it pulls, and an
 * OCI layout is expected there; else it resolves, and the digest is looked for in what it prints.
 */
export function customTool(text: string): Tool {
  const words = text.split(/\s+/).filter((word) => word !== '')
  const [program] = words
  if (program === undefined || !text.includes('{ref}'))
    throw new Error(`${text}: a command must have {ref} where the reference belongs`)
  const isPull = text.includes('{dir}')
  return {
    name: program,
    asks: [isPull ? 'pull' : 'resolve'],
    features: [],
    version: () => Promise.resolve(''),
    command: ({ reference, target, caFile }) => ({
      program,
      args: words.slice(1).map((word) => word.replaceAll('{ref}', reference).replaceAll('{dir}', target)),
      env: { SSL_CERT_FILE: caFile, NODE_EXTRA_CA_CERTS: caFile },
    }),
    read: ({ target }, stdout) =>
      isPull ? readLayout(target) : { digests: stdout.match(/\bsha(?:256|512):[0-9a-f]{64,128}\b/g) ?? [] },
  }
}
