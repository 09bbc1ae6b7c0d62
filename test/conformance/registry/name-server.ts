/** A name server for A and AAAA questions over UDP (RFC 1035), whose answers may change from one question to the next. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'

export type Names = Readonly<Record<string, readonly string[] | readonly (readonly string[])[]>>

const HEADER_BYTES = 12
const TYPE_A = 1
const TYPE_AAAA = 28
const NAME_ERROR = 3

interface Question {
  readonly name: string
  readonly type: number
  /** The question section as it was sent. */
  readonly bytes: Buffer
}

export class NameServer {
  readonly #socket: Socket = createSocket('udp4')
  readonly #names: Names
  readonly #asked = new Map<string, number>()

  constructor(names: Names) {
    this.#names = names
    this.#socket.on('message', (message, peer) => {
      const question = parseQuestion(message)
      if (question !== undefined) this.#socket.send(this.#answer(message, question), peer.port, peer.address)
    })
  }

  async listen(address: string, port = 53): Promise<void> {
    this.#socket.bind(port, address)
    await once(this.#socket, 'listening')
  }

  /** Names whose answers change begin anew. */
  reset(): void {
    this.#asked.clear()
  }

  close(): void {
    this.#socket.close()
  }

  #answer(message: Buffer, { name, type, bytes }: Question): Buffer {
    const addresses = this.#addressesOf(name, type)
    const wanted = (addresses ?? []).filter((address) => isIPv6(address) === (type === TYPE_AAAA))
    const header = Buffer.alloc(HEADER_BYTES)
    message.copy(header, 0, 0, 2)
    // An answer, with recursion available.
    header.writeUInt16BE(0x8180 | (addresses === undefined ? NAME_ERROR : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(wanted.length, 6)
    return Buffer.concat([header, bytes, ...wanted.map((address) => recordOf(address, type))])
  }

  /** Only questions for A move a changing name on: the one for AAAA comes beside it. */
  #addressesOf(name: string, type: number): readonly string[] | undefined {
    const entry = Object.hasOwn(this.#names, name) ? this.#names[name] : undefined
    if (entry === undefined) return undefined
    const turn = this.#asked.get(name) ?? 0
    if (type === TYPE_A) this.#asked.set(name, turn + 1)
    const list = entry as readonly (string | readonly string[])[]
    if (list.every((item) => typeof item === 'string')) return list
    const now = list[Math.min(turn, list.length - 1)]
    return typeof now === 'string' ? [now] : now
  }
}

function parseQuestion(message: Buffer): Question | undefined {
  if (message.length < HEADER_BYTES + 5) return undefined
  const labels: string[] = []
  let at = HEADER_BYTES
  for (let length = message[at] ?? 0; length !== 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
    if (at + 5 > message.length) return undefined
  }
  return {
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(at + 1),
    bytes: message.subarray(HEADER_BYTES, at + 5),
  }
}

function recordOf(address: string, type: number): Buffer {
  const data = type === TYPE_A ? Buffer.from(address.split('.').map(Number)) : bytesOfIPv6(address)
  const head = Buffer.alloc(12)
  // The name is the question's; class IN, and no time to live: each question is asked anew.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function bytesOfIPv6(address: string): Buffer {
  const [front = '', back = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [head, tail] = [groups(front), groups(back)]
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  const bytes = Buffer.alloc(16)
  for (const [at, group] of [...head, ...zeros, ...tail].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), at * 2)
  return bytes
}
