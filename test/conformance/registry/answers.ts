/** Answers that cases are made of, beside those of test/support/hostile-registry.ts. */
import type { ServerResponse } from 'node:http'
import { digestOf } from '../../support/registry/content.ts'
import type { Behaviour } from '../../support/registry/recorded.ts'
import { tokenEndpoint, tokenGate } from '../../support/registry/tokens.ts'
import type { TokenServer } from '../../support/registry/tokens.ts'
import type { Party, Stage } from './stage.ts'

export const MANIFEST = /^(?:GET|HEAD) \/v2\/.+\/manifests\//
export const GET_MANIFEST = /^GET \/v2\/.+\/manifests\//
export const HEAD_MANIFEST = /^HEAD \/v2\/.+\/manifests\//
export const BLOB = /^(?:GET|HEAD) \/v2\/.+\/blobs\//
export const GET_BLOB = /^GET \/v2\/.+\/blobs\//
export const TAGS = /^GET \/v2\/.+\/tags\/list$/
export const REFERRERS = /^GET \/v2\/.+\/referrers\//
export const ANY = / \/v2\//
/** Everything but the question for the version, which some clients ask first. */
export const CONTENT = / \/v2\/.+/

const MiB = 1 << 20
const CHUNK = Buffer.alloc(64 * 1024, 0x20)
/** No client should take nearly as much; the end is there for those that do. */
const MOST_ENDLESS = 512 * MiB

export function redirect(location: string, status = 307): Behaviour {
  return (_request, response) => {
    response.writeHead(status, { location, 'content-length': '0' })
    response.end()
    return true
  }
}

/** A document with the headers of a manifest; `digest` is what the header says, right or wrong. */
export function document(
  bytes: Buffer,
  mediaType: string | undefined,
  digest: string | undefined = digestOf(bytes),
): Behaviour {
  return (request, response) => {
    if (mediaType !== undefined) response.setHeader('content-type', mediaType)
    if (digest !== undefined) response.setHeader('docker-content-digest', digest)
    response.writeHead(200, { 'content-length': String(bytes.length) })
    response.end(request.method === 'HEAD' ? undefined : bytes)
    return true
  }
}

export function bytes(content: Buffer, status = 200): Behaviour {
  return (request, response) => {
    response.writeHead(status, { 'content-length': String(content.length) })
    response.end(request.method === 'HEAD' ? undefined : content)
    return true
  }
}

/** `start`, then blanks for as long as the client takes them; JSON may have as many blanks as it likes. */
export function endless(
  stage: Stage,
  start: string,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): Behaviour {
  return async (request, response) => {
    response.writeHead(status, headers)
    if (request.method === 'HEAD') {
      response.end()
      return true
    }
    response.write(start)
    for (let sent = 0; sent < MOST_ENDLESS && !response.destroyed; sent += CHUNK.length) {
      if (!response.write(CHUNK)) await drained(response)
      if (!response.destroyed) stage.taken += CHUNK.length
    }
    response.destroy()
    return true
  }
}

/** The connection stays open, and one byte comes a second. */
export function dripping(headers: Readonly<Record<string, string>>): Behaviour {
  return (_request, response) => {
    response.writeHead(200, headers)
    const timer = setInterval(() => response.write(' '), 1000)
    response.once('close', () => clearInterval(timer))
    return true
  }
}

/** A start, then silence. */
export function stalled(content: Buffer, sent: number): Behaviour {
  return (_request, response) => {
    response.writeHead(200, { 'content-length': String(content.length) })
    response.write(content.subarray(0, sent))
    return true
  }
}

/** The registry wants tokens of `realm`'s server; `challenge` may say it in a way of its own. */
export function demandTokens(
  registry: Party,
  realm: string,
  challenge: (scope: string) => string | readonly string[] = (scope) => bearer(realm, scope),
): void {
  registry.on(
    ANY,
    tokenGate((scope) => challenge(scope) as string),
  )
}

export function bearer(realm: string, scope: string): string {
  return `Bearer realm="${realm}",service="registry.example",scope="${scope}"`
}

/** A token server at `/token`. */
export function giveTokens(party: Party, server: TokenServer = {}): string {
  party.on(/ \/token$/, tokenEndpoint(server))
  return `${party.url}/token`
}

/** The same as a rule of JSON text. */
export function json(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Behaviour {
  return (request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(value))
    return true
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
