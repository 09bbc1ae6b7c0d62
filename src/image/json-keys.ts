/**
 * Finds what JSON.parse hides: equal keys, keys that differ by case only, and depth. Works on text that JSON.parse has
 * already accepted, so it needs no grammar of its own: it follows quotes and brackets.
 */

export const MAX_DEPTH = 64

interface Level {
  /** Keys seen so far by their folded form; undefined in arrays. */
  readonly keys: Map<string, string> | undefined
  /** A free map: keys are compared as they are. */
  readonly isMap: boolean
  key: string
  expectsKey: boolean
}

/** The end of a sentence about the document, or undefined when all is well. `text` must be valid JSON. */
export function findKeyProblem(text: string, mapKeys: ReadonlySet<string>): string | undefined {
  const levels: Level[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    const level = levels.at(-1)
    if (char === '{' || char === '[') {
      if (levels.length >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`
      levels.push(openLevel(char, level, mapKeys))
    } else if (char === '}' || char === ']') {
      levels.pop()
    } else if (char === ',' && level?.keys !== undefined) {
      level.expectsKey = true
    } else if (char === '"') {
      const end = endOfString(text, at)
      if (level?.expectsKey === true) {
        const problem = takeKey(level, JSON.parse(text.slice(at, end + 1)) as string)
        if (problem !== undefined) return problem
      }
      at = end
    }
  }
  return undefined
}

function openLevel(char: string, parent: Level | undefined, mapKeys: ReadonlySet<string>): Level {
  if (char === '[') return { keys: undefined, isMap: false, key: '', expectsKey: false }
  const isMap = parent?.keys !== undefined && !parent.isMap && mapKeys.has(parent.key)
  return { keys: new Map(), isMap, key: '', expectsKey: true }
}

function takeKey(level: Level, key: string): string | undefined {
  level.key = key
  level.expectsKey = false
  const folded = level.isMap ? key : foldKey(key)
  const twin = level.keys?.get(folded)
  level.keys?.set(folded, key)
  if (twin === undefined) return undefined
  return twin === key
    ? `has the key ${JSON.stringify(key)} twice in one object`
    : `has the keys ${JSON.stringify(twin)} and ${JSON.stringify(key)} in one object; they differ by case only`
}

/** Upper first: U+017F and U+212A fold to s and k for Go, and only this order shows it. */
export function foldKey(key: string): string {
  return key.toUpperCase().toLowerCase()
}

/** Index of the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
