import * as fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { envTarget, parseShebang } from '../../src/bundle/shebang.ts'

const long = 'x'.repeat(300)

describe('parseShebang', () => {
  test.each<[string, string, unknown]>([
    ['an interpreter', '#!/bin/sh\necho', { interpreter: '/bin/sh', argument: undefined }],
    ['blanks before it', '#! \t /bin/sh \t\n', { interpreter: '/bin/sh', argument: undefined }],
    ['an argument, blanks and all', '#!/bin/sh -e  -u \t\n', { interpreter: '/bin/sh', argument: '-e  -u' }],
    ['a file that ends in the line', '#!/bin/sh', { interpreter: '/bin/sh', argument: undefined }],
    [
      'a carriage return as part of the name',
      '#!/bin/sh\r\n',
      { interpreter: '/bin/sh\r', argument: undefined },
    ],
    ['a relative interpreter', '#!bin/sh\n', { interpreter: 'bin/sh', argument: undefined }],
    [
      'a name that fills the buffer up to its newline',
      `#!/${'a'.repeat(252)}\n`,
      { interpreter: `/${'a'.repeat(252)}`, argument: undefined },
    ],
    ['an argument that is cut', `#!/bin/sh ${long}\n`, { interpreter: '/bin/sh', argument: 'x'.repeat(245) }],
    ['NUL as an end', '#!/bin/sh\0junk\n', { interpreter: '/bin/sh', argument: undefined }],
  ])('reads %s', (_, text, expected) => {
    expect(parseShebang(Buffer.from(text, 'latin1'))).toEqual(expected)
  })

  test.each([
    ['no #!', 'echo', 'none'],
    ['nothing', '', 'none'],
    ['a blank before it', ' #!/bin/sh\n', 'none'],
    ['no interpreter', '#!\n/bin/sh', 'empty'],
    ['blanks only', '#! \t\n', 'empty'],
    ['a name longer than the buffer', `#!/${long}\n`, 'too-long'],
    ['blanks longer than the buffer', `#!${' '.repeat(300)}/bin/sh\n`, 'too-long'],
  ])('tells %s', (_, text, problem) => {
    expect(parseShebang(Buffer.from(text))).toEqual({ problem })
  })

  test('never throws, and never finds a name with a blank or a newline', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\0', '/', 'a', 'é'), maxLength: 300 }),
        (rest) => {
          const result = parseShebang(Buffer.from(`#!${rest}`, 'latin1'))
          const name = 'interpreter' in result ? result.interpreter : 'none'
          expect(name).toMatch(/^[^ \t\n\0]+$/)
        },
      ),
    )
  })
})

describe('the kernel', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'shebang-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** Starts a script with this first line; the interpreter is `echo`, which prints its arguments. */
  function kernel(text: string): { readonly started: boolean; readonly output: string } {
    const script = join(folder, 'script')
    writeFileSync(script, text)
    chmodSync(script, 0o755)
    // Not by the exit code: execvp hands what the kernel refuses to a shell, which finds only a comment here.
    const output = spawnSync(script, []).stdout?.toString() ?? ''
    return { started: output.includes(script), output: output.replace(script, '').trim() }
  }

  test.each([
    ['a plain line', '#!/bin/echo\n'],
    ['blanks', '#!  /bin/echo \t a  b \t\n'],
    ['no newline', '#!/bin/echo'],
    ['a carriage return', '#!/bin/echo\r\n'],
    ['an empty line', '#!\n'],
    ['blanks only', '#!   \n'],
    ['a long argument', `#!/bin/echo ${long}\n`],
    ['a long name', `#!/${long}\n`],
    ['long blanks', `#!${' '.repeat(300)}/bin/echo\n`],
    ['slashes up to the edge', `#!${'/'.repeat(245)}bin/echo\n`],
    ['slashes beyond the edge', `#!${'/'.repeat(246)}bin/echo\n`],
  ])('agrees on %s', (_, text) => {
    const ours = parseShebang(Buffer.from(text))
    const theirs = kernel(text)
    const starts = 'interpreter' in ours && /^\/+bin\/echo$/.test(ours.interpreter)
    const argument = 'interpreter' in ours && starts ? (ours.argument ?? '') : ''
    expect({ started: starts, output: argument }).toEqual(theirs)
  })

  test.each([
    [5, true],
    [6, false],
  ])('takes a chain of %i scripts: %s', (count, starts) => {
    for (let each = count; each >= 1; each--) {
      const interpreter = each === count ? '/bin/echo' : join(folder, `chain${each + 1}`)
      writeFileSync(join(folder, `chain${each}`), `#!${interpreter}\n`, { mode: 0o755 })
    }
    const output = spawnSync(join(folder, 'chain1'), []).stdout?.toString() ?? ''
    expect(output.includes('chain1')).toBe(starts)
  })
})

describe('envTarget', () => {
  test.each<[string, unknown]>([
    ['python3', { program: 'python3' }],
    ['/opt/node', { program: '/opt/node' }],
    ['node --harmony', { split: true }],
    ['-S node --harmony', { program: 'node' }],
    ['-S  A=1 node x', { program: 'node' }],
    ['--split-string=node x', { program: 'node' }],
    ['-S -i node', undefined],
    ['-S "a b"', undefined],
    ['-i', undefined],
    ['A=1', undefined],
  ])('of "%s"', (argument, expected) => {
    expect(envTarget(argument)).toEqual(expected)
  })
})
