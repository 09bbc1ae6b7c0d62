/** Text as one word of a POSIX shell, whatever is in it. */
import { ExpectedError } from '../errors.ts'

/**
 * Single quotes keep everything but a single quote, which is spelled outside of them.
 * @throws ExpectedError InvalidSpec for NUL, which no word of a shell and no argument of a program can hold.
 */
export function shellQuote(text: string): string {
  if (text.includes('\0'))
    throw new ExpectedError('InvalidSpec', 'arguments and variables of hooks can hold no NUL character')
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
