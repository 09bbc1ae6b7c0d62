/**
 * Values as YAML that every reader reads alike: YAML 1.2 (ours) and 1.1 (kubectl). No aliases, no folding, members in
 * the order given.
 */
import { Document, isScalar, Scalar, visit } from 'yaml'

/** YAML 1.1 takes some of these for line ends, terminals take others for commands: always escaped. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what must not reach a reader
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/
// oxlint-disable-next-line no-control-regex -- as above; JSON-style quoting has escaped everything below 0x20 already
const UNSAFE_UNESCAPED = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g
/** YAML 1.1 words that the library does not know: `=` is its default key, `<<` its merge key. */
const SPECIAL_1_1 = /^(=|<<|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$/

/**
 * The library writes texts of several lines as blocks, and some blanks do not survive that: those of a line that has
 * nothing else (`" \\n"`), and those after line ends at the start (`"\\n a"`).
 */
const UNSAFE_BLOCK = /^\s|(^|\n)[ \t]+(\n|$)/

/** The value as one YAML document with a line end. Members that are undefined are left out, as in JSON. */
export function toYaml(value: unknown): string {
  const document = new Document(value === undefined ? null : value, {
    version: '1.2',
    schema: 'core',
    compat: 'yaml-1.1',
    aliasDuplicateObjects: false,
    keepUndefined: false,
  })
  visit(document, (_key, node) => {
    if (isScalar(node) && typeof node.value === 'string' && needsQuotes(node.value)) {
      node.type = Scalar.QUOTE_DOUBLE
    }
  })
  const text = document.toString({ lineWidth: 0, indent: 2, doubleQuotedAsJSON: true })
  return text.replaceAll(UNSAFE_UNESCAPED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function needsQuotes(text: string): boolean {
  return UNSAFE.test(text) || SPECIAL_1_1.test(text) || UNSAFE_BLOCK.test(text)
}
