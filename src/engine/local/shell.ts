/** The one way a value becomes a shell word: single quotes, with quotes inside spelled out. NUL can't be quoted. */
import { invariant } from '../../errors.ts'

export function shellWord(value: string): string {
  invariant(!value.includes('\0'), 'a shell word holds no NUL')
  return `'${value.replaceAll("'", String.raw`'\''`)}'`
}

export function shellWords(values: readonly string[]): string {
  return values.map(shellWord).join(' ')
}
