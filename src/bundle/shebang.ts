/**
 * The first line of a script as the kernel reads it (binfmt_script), and what `env` in it will look for.
 */
import type { ByteString } from '../image/bytes.ts'

/** Bytes of a file that the kernel looks at: BINPRM_BUF_SIZE. */
const KERNEL_READS = 256

export type ShebangResult =
  | { readonly interpreter: ByteString; readonly argument: ByteString | undefined }
  | { readonly problem: 'none' }
  | { readonly problem: 'empty' | 'too-long' }

/**
 * `start` is the beginning of the file. `none`: no `#!`. The argument is one word whatever blanks are in it; like the
 * kernel, a line that is longer than its buffer is fine only when the cut falls into the argument.
 */
export function parseShebang(start: Buffer): ShebangResult {
  const text = start.subarray(0, KERNEL_READS).toString('latin1')
  if (!text.startsWith('#!')) return { problem: 'none' }
  const newline = text.indexOf('\n')
  // The last byte of the kernel's buffer is overwritten by its own NUL.
  const cut = newline === -1 && start.length >= KERNEL_READS
  const line = trimBlanks(newline === -1 ? text.slice(2, KERNEL_READS - 1) : text.slice(2, newline))
  if (line === '') return { problem: cut ? 'too-long' : 'empty' }
  const end = line.search(/[ \t\0]/)
  if (end === -1) return cut ? { problem: 'too-long' } : { interpreter: line, argument: undefined }
  if (end === 0) return { problem: 'empty' }
  const argument = line[end] === '\0' ? '' : trimBlanks(line.slice(end)).replace(/\0.*/s, '')
  return { interpreter: line.slice(0, end), argument: argument === '' ? undefined : argument }
}

/**
 * The program that `env` will start, for `#!/usr/bin/env X`. `{ split: true }`: the argument holds blanks, which env
 * takes for part of the name unless it begins with `-S`. Undefined where that can't be told.
 */
export function envTarget(
  argument: ByteString,
): { readonly program: ByteString } | { readonly split: true } | undefined {
  const splits = /^(-S|--split-string=?)\s*/.exec(argument)
  if (splits === null) {
    if (/[ \t]/.test(argument)) return { split: true }
    return argument.startsWith('-') || argument.includes('=') ? undefined : { program: argument }
  }
  const words = argument.slice(splits[0].length).split(/[ \t]+/)
  const program = words.find((word) => !/^[A-Za-z_]\w*=/.test(word))
  return program === undefined || program === '' || /^[-'"\\$]/.test(program) ? undefined : { program }
}

function trimBlanks(text: string): string {
  return text.replaceAll(/^[ \t]+|[ \t]+$/g, '')
}
