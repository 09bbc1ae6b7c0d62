/** What no client may do, in any case or in some: each check says in words what was done, or nothing. */
import type { Case } from './case.ts'
import type { Party, Stage } from './stage.ts'

type Found = string | undefined

const MiB = 1 << 20
/** A cap of 4 MiB (32 MiB for a list of tags), and what lies in the buffers of two sockets when a client stops reading. */
const MOST_TAKEN = 32 * MiB
const MOST_TAKEN_OF_TAGS = 64 * MiB

/** Held against every tool in every case. */
export function alwaysForbidden(one: Case, stage: Stage, output: string): Found {
  return (
    connectedTo(stage.traps.filter((trap) => !isWelcome(one, trap))) ??
    authorizationAt(stage, ['other', 'otherPlain', 'registryPlain', 'authPlain', 'lanPlain', 'site']) ??
    secretSent(stage) ??
    secretPrinted(stage, output) ??
    tookTooMuch(stage, one.ask === 'tags' ? MOST_TAKEN_OF_TAGS : MOST_TAKEN) ??
    controlPrinted(output)
  )
}

/** Whether any of them was connected to, asked or not. */
export function connectedTo(parties: readonly Party[]): Found {
  const found = parties.find((party) => party.connections() > 0)
  return found === undefined ? undefined : `connected to ${found.url}`
}

export function nothingAsked(stage: Stage): Found {
  const [first] = stage.asked()
  return first === undefined ? undefined : `asked ${first}`
}

export function authorizationAt(stage: Stage, names: readonly (keyof Stage['parties'])[]): Found {
  const found = names.find((name) =>
    stage.parties[name].requests.some(({ authorization }) => authorization !== undefined),
  )
  return found === undefined ? undefined : `sent an Authorization header to ${stage.parties[found].url}`
}

export function askedMoreThan(party: Party, most: number, pattern = /./): Found {
  const count = party.requests.filter(({ method, path }) => pattern.test(`${method} ${path}`)).length
  return count > most ? `asked ${party.host} ${count} times, which is more than ${most}` : undefined
}

/** A request between an answer that asked for time and the end of that time. Clocks are compared with a little slack. */
export function askedWithin(party: Party, waitMs: number, pattern = /./): Found {
  const times = party.requests
    .filter(({ method, path }) => pattern.test(`${method} ${path}`))
    .map(({ atMs }) => atMs)
  const [first = 0, ...later] = times
  const early = later.filter((time) => time - first < waitMs - 50)
  return early.length === 0 ? undefined : `asked ${early.length} times before the ${waitMs} ms were over`
}

export function printed(output: string, text: string): Found {
  return output.includes(text) ? `printed ${JSON.stringify(text)}` : undefined
}

function isWelcome(one: Case, trap: Party): boolean {
  return (one.welcome ?? []).includes('loopback') && trap.host.startsWith('127.')
}

function secretSent(stage: Stage): Found {
  for (const party of stage.all()) {
    for (const request of party.requests) {
      const text = [request.path, request.query.toString(), request.body, decoded(request.authorization)]
      const leaked = stage.secrets.find(
        (secret) => !secret.hosts.includes(party.host) && text.join('\n').includes(secret.text),
      )
      if (leaked !== undefined) return `sent a secret to ${party.url}`
    }
  }
  return undefined
}

function secretPrinted(stage: Stage, output: string): Found {
  const leaked = stage.secrets.some(
    ({ text }) => output.includes(text) || output.includes(Buffer.from(text).toString('base64').slice(4, -4)),
  )
  return leaked ? 'printed a secret' : undefined
}

function tookTooMuch(stage: Stage, most: number): Found {
  if (stage.taken <= most) return undefined
  return `took ${Math.round(stage.taken / MiB)} MiB of an answer without end`
}

/** What registries of the kit say to clear the terminal; colours of a tool's own are its own business. */
function controlPrinted(output: string): Found {
  return output.includes('\u001b[2J')
    ? 'printed a control sequence of the registry to the terminal'
    : undefined
}

function decoded(authorization: string | undefined): string {
  const [, pair] = /^Basic (.+)$/i.exec(authorization ?? '') ?? []
  return pair === undefined ? (authorization ?? '') : Buffer.from(pair, 'base64').toString('utf8')
}
