/**
 * What GNU tar says while it reads a folder that may be alive. Most of it is no failure: a file that changed or vanished
 * under it, a socket. Bounded, whatever it says.
 */
import { printable } from '../../errors.ts'

/** Words of errors that only a name's coming or going can cause, and of things that are no part of any archive. */
const HARMLESS =
  /: (?:socket ignored|door ignored|file changed as we read it|File removed before we read it|File shrank by \d+ bytes?; padding with zeros|(?:Cannot|Warning: Cannot) \w+: (?:No such file or directory|Not a directory|Too many levels of symbolic links|Stale file handle|No such device or address)|file is on a different filesystem; not dumped)$/
/** The last line of a tar that had something to say. */
const CLOSING = /^tar: (?:Exiting with failure status|Error is not recoverable)/
const MAX_LINE_CHARS = 8192
const MAX_NOTES = 20

export class TarWords {
  readonly #notes: string[] = []
  #more = 0
  #rest = ''
  #trouble: string | undefined

  /** A piece of its standard error. */
  add(chunk: Buffer): void {
    const lines = `${this.#rest}${chunk.toString('latin1')}`.split('\n')
    this.#rest = (lines.pop() ?? '').slice(-MAX_LINE_CHARS)
    for (const line of lines) this.#hear(line)
  }

  /** The first thing that may be a failure: the exit code tells whether it is one. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** All of it, of much the first. */
  notes(): readonly string[] {
    return this.#more === 0 ? this.#notes : [...this.#notes, `and ${this.#more} more`]
  }

  #hear(line: string): void {
    if (line === '' || CLOSING.test(line)) return
    const words = printable(line.replace(/^tar: (?:\.\/)?/, ''), 300)
    if (!HARMLESS.test(line)) this.#trouble ??= words
    if (this.#notes.length < MAX_NOTES) this.#notes.push(words)
    else this.#more += 1
  }
}
