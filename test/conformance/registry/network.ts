/**
 * The little internet that cases run in: a network namespace of its own in which public, private, loopback and metadata
 * addresses all lead to servers of the kit, and a name server that knows a handful of names. No packet can leave it, so
 * a tool that is lured to 169.254.169.254 or to a stranger meets a trap and nothing else.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'

/** Public addresses of the range that RFC 5737 keeps for documentation; private ones of RFC 1918. */
export const ADDRESSES = {
  registry: '203.0.113.10',
  other: '203.0.113.20',
  auth: '203.0.113.30',
  mirror: '203.0.113.40',
  hub: '203.0.113.50',
  site: '203.0.113.60',
  proxy: '203.0.113.70',
  hidden: '203.0.113.80',
  lan: '10.20.30.40',
  lanAuth: '10.20.30.41',
  metadata: '169.254.169.254',
  metadata6: 'fd00:ec2::254',
  nat64: '64:ff9b::a9fe:a9fe',
  loopback: '127.0.0.1',
  loopback6: '::1',
} as const

/** Answers of the name server; several addresses are all given, a list of lists is gone through question by question. */
export const NAMES: Readonly<Record<string, readonly string[] | readonly (readonly string[])[]>> = {
  'registry.example': [ADDRESSES.registry],
  'xn--bcher-kva.example': [ADDRESSES.registry],
  'other.example': [ADDRESSES.other],
  'auth.example': [ADDRESSES.auth],
  'mirror.example': [ADDRESSES.mirror],
  'registry-1.docker.io': [ADDRESSES.hub],
  'index.docker.io': [ADDRESSES.hub],
  'auth.docker.io': [ADDRESSES.auth],
  'docker.io': [ADDRESSES.site],
  'www.docker.io': [ADDRESSES.site],
  'proxy.example': [ADDRESSES.proxy],
  'hidden.example': [ADDRESSES.hidden],
  'lan.example': [ADDRESSES.lan],
  'lan-auth.example': [ADDRESSES.lanAuth],
  'metadata.example': [ADDRESSES.metadata],
  'loop.example': [ADDRESSES.loopback],
  'mixed.example': [ADDRESSES.other, ADDRESSES.metadata],
  'rebind.example': [[ADDRESSES.other], [ADDRESSES.metadata]],
}

export const NAME_SERVER = '127.0.0.53'

/** The words before a program that is to run in a namespace of its own; without root, in a user namespace as well. */
export function isolated(): readonly string[] {
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user']
  return ['unshare', '--net', '--mount', '--propagation', 'private', ...user, '--']
}

/** Makes the namespace that this process is alone in. `folder` holds the two files that are laid over /etc. */
export function furnishNetwork(folder: string): void {
  run('ip', ['link', 'set', 'lo', 'up'])
  for (const address of new Set(Object.values(ADDRESSES))) {
    if (address === ADDRESSES.loopback || address === ADDRESSES.loopback6) continue
    run('ip', ['address', 'add', `${address}/${address.includes(':') ? '128' : '32'}`, 'dev', 'lo'])
  }
  layOver(folder, '/etc/resolv.conf', `nameserver ${NAME_SERVER}\noptions timeout:2 attempts:1\n`)
  layOver(folder, '/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n')
}

function layOver(folder: string, target: string, text: string): void {
  const file = path.join(folder, path.basename(target))
  writeFileSync(file, text)
  run('mount', ['--bind', file, target])
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
