/**
 * What can be done to the lines of a watch on their way through the fault proxy. A script is asked for each line and
 * decides what the client gets; line numbers count from 1 and include bookmarks.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface LineControls {
  /** Exactly this text; lines need their line end. */
  send(text: string): void
  /** Ends the answer in good order. */
  end(): void
  reset(): void
  /** Nothing more comes, and the connection stays. */
  freeze(): void
}

export type LineScript = (line: string, number: number, controls: LineControls) => void

/** Runs a script over an answer. Resolves when the answer is over for the client, however it went. */
export async function scriptLines(
  upstream: IncomingMessage,
  response: ServerResponse,
  script: LineScript,
): Promise<void> {
  let isOver = false
  const controls: LineControls = {
    send: (text) => void response.write(text),
    end: () => {
      isOver = true
      response.end()
    },
    reset: () => {
      isOver = true
      // What was sent has to arrive: a reset throws away what waits in the client's socket.
      setTimeout(() => response.socket?.resetAndDestroy(), 20)
    },
    freeze: () => {
      isOver = true
    },
  }
  let number = 0
  for await (const line of linesIn(upstream)) {
    number += 1
    script(line, number, controls)
    if (isOver) break
  }
  if (!isOver) response.end()
}

async function* linesIn(upstream: IncomingMessage): AsyncGenerator<string, void, undefined> {
  let rest = ''
  upstream.setEncoding('utf8')
  for await (const chunk of upstream) {
    const parts = (rest + String(chunk)).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) yield `${part}\n`
  }
}

type Act = (line: string, controls: LineControls) => void

/** Passes all lines but one, for which `act` speaks. */
function at(number: number, act: Act): () => LineScript {
  return () => (line, now, controls) => {
    if (now === number) act(line, controls)
    else controls.send(line)
  }
}

/** `number` lines pass, then the connection is reset. */
export function resetAfter(number: number): () => LineScript {
  return at(number, (line, controls) => {
    controls.send(line)
    controls.reset()
  })
}

/** `number` lines pass, then the server closes in good order. */
export function closeAfter(number: number): () => LineScript {
  return at(number, (line, controls) => {
    controls.send(line)
    controls.end()
  })
}

/** `number` lines pass, then nothing ever comes. */
export function freezeAfter(number: number): () => LineScript {
  return at(number, (line, controls) => {
    controls.send(line)
    controls.freeze()
  })
}

/** Half of the line, and the end. */
export function truncateAt(number: number): () => LineScript {
  return at(number, (line, controls) => {
    controls.send(line.slice(0, line.length / 2))
    controls.end()
  })
}

/** The line comes damaged, those after it whole. */
export function garbleAt(number: number): () => LineScript {
  return at(number, (line, controls) => controls.send(`${line.slice(0, line.length / 2)}\n`))
}

/** An ERROR event comes in place of the line. */
export function errorEventAt(number: number, code: number, reason: string): () => LineScript {
  return at(number, (_line, controls) => {
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: 'injected' }
    controls.send(`${JSON.stringify({ type: 'ERROR', object })}\n`)
    controls.end()
  })
}

/** The line comes twice. */
export function duplicateAt(number: number): () => LineScript {
  return at(number, (line, controls) => {
    controls.send(line)
    controls.send(line)
  })
}

/** The line comes after the one that follows it. */
export function swapAt(number: number): () => LineScript {
  return () => {
    let held = ''
    return (line, now, controls) => {
      if (now === number) held = line
      else controls.send(now === number + 1 ? line + held : line)
    }
  }
}

/** Lines that the predicate is true for never come. The client can't know; nothing but a relist repairs that. */
export function dropWhere(predicate: (line: string) => boolean): () => LineScript {
  return () => (line, _now, controls) => {
    if (!predicate(line)) controls.send(line)
  }
}

/** Lines from `number` on wait for `gate`, then all come at once: a stale view. */
export function holdFrom(number: number, gate: Promise<unknown>): () => LineScript {
  return () => {
    let held: string | undefined
    return (line, now, controls) => {
      if (now < number) return controls.send(line)
      if (held !== undefined) {
        held += line
        return undefined
      }
      held = line
      void gate.then(() => {
        controls.send(held ?? '')
        held = undefined
      })
      return undefined
    }
  }
}

/** A script for what comes after a streamed list; the list itself passes. Its lines count from 1 again. */
export function afterList(script: () => LineScript): () => LineScript {
  return () => {
    const inner = script()
    let listed = 0
    return (line, now, controls) => {
      if (listed > 0) return inner(line, now - listed, controls)
      if (line.includes('"k8s.io/initial-events-end"')) listed = now
      return controls.send(line)
    }
  }
}
