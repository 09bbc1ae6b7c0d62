/** A login is found and left out as a regular expression says that would take too long for long texts. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { printable } from '../../src/errors.ts'
import { invalidReference } from '../../src/image/reference-error.ts'

const LOGIN =
  /^(?!oci(?:-archive)?:)((?:[a-zA-Z][a-zA-Z0-9+.-]{0,30}:\/\/)?)(?:[^/@]*:.*@(?=[^@]*\/)|(?<=:\/\/)[^/]*@)/s

test('any text is shown without its login', () => {
  const piece = fc.constantFrom('a', 'https', 'oci', ':', '://', '/', '@', '@', ':', '\n')
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      (text) => {
        const { message } = invalidReference(text, 'is wrong')
        const shown = JSON.stringify(printable(text.replace(LOGIN, '$1…@')))
        expect(message.startsWith(`reference ${shown} `)).toBe(true)
        expect(message.includes('has a login')).toBe(LOGIN.test(text))
      },
    ),
    { numRuns: 20_000 },
  )
})
