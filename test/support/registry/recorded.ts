/** Requests as a test registry saw them. */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
  /** Milliseconds of a clock that only goes forward. */
  readonly atMs: number
}

/** Answers a request itself and returns true, or leaves it to the next rule. */
export type Behaviour = (request: RecordedRequest, response: ServerResponse) => boolean | Promise<boolean>

/** What is asked is recorded when it arrives, not when it is answered. */
export async function record(message: IncomingMessage): Promise<RecordedRequest> {
  const atMs = performance.now()
  const parts: Buffer[] = []
  for await (const part of message) parts.push(part as Buffer)
  const url = new URL(message.url ?? '/', 'http://registry')
  return {
    method: message.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    authorization: message.headers.authorization,
    headers: message.headers,
    body: Buffer.concat(parts).toString('utf8'),
    atMs,
  }
}
