/**
 * The smallest client of an API server that the bed itself needs. It stands apart from Fairlead's own transport on
 * purpose: the bed must be able to tell what happened when that one is wrong.
 */
import { Agent, request } from 'node:https'

export interface ApiAccess {
  /** `https://127.0.0.1:6443` */
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly cert?: string
  readonly key?: string
  readonly token?: string
}

export interface ApiAnswer {
  readonly status: number
  readonly text: string
}

const TIMEOUT_MS = 30_000

export class ApiClient {
  private readonly access: ApiAccess
  private readonly agent: Agent

  constructor(access: ApiAccess) {
    this.access = access
    this.agent = new Agent({
      keepAlive: true,
      ca: access.ca,
      ...(access.cert === undefined ? {} : { cert: access.cert }),
      ...(access.key === undefined ? {} : { key: access.key }),
    })
  }

  /** Any status is an answer; rejects only when there was none. */
  send(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<ApiAnswer> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const { token } = this.access
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, this.access.url), {
        method,
        agent: this.agent,
        timeout: TIMEOUT_MS,
        headers: {
          accept: 'application/json',
          ...(bytes === undefined ? {} : { 'content-type': contentType, 'content-length': bytes.length }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      })
      call.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        response.on('error', reject)
      })
      call.on('timeout', () => call.destroy(new Error(`no answer from ${path} within ${TIMEOUT_MS} ms`)))
      call.on('error', reject)
      call.end(bytes)
    })
  }

  /** Parsed body of a 2xx answer; throws with the server's words for any other. */
  async json<T>(method: string, path: string, body?: unknown, contentType?: string): Promise<T> {
    const answer = await this.send(method, path, body, contentType)
    if (answer.status < 200 || answer.status > 299)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`)
    return JSON.parse(answer.text) as T
  }

  close(): void {
    this.agent.destroy()
  }
}
