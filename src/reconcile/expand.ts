/**
 * `$(NAME)` in env values, command and args, as Kubernetes expands it: known names are replaced, unknown ones stay as
 * written, `$$` is a literal `$` before `(`.
 */
export function expandReferences(text: string, values: ReadonlyMap<string, string>): string {
  let out = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char !== '$' || at + 1 >= text.length) {
      out += char
      continue
    }
    const next = text[at + 1]
    if (next === '$') {
      out += '$'
      at++
      continue
    }
    const end = next === '(' ? text.indexOf(')', at + 2) : -1
    if (end === -1) {
      out += char
      continue
    }
    const name = text.slice(at + 2, end)
    out += values.get(name) ?? text.slice(at, end + 1)
    at = end
  }
  return out
}
