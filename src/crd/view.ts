/**
 * Careful looks into a value that may have any shape. The semantic rules use them, so that one wrong field does not
 * hide what is wrong with another: a part of the wrong type is simply not seen (the schema reports it).
 */
export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The members of an object; {} for anything else. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

/** The items of a list; [] for anything else. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : []
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Text or a number: the two ways to write a quantity. */
export function quantityOf(value: unknown): string | number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined
}

/** Which of `names` are present. */
export function presentOf(fields: Fields, names: readonly string[]): readonly string[] {
  return names.filter((name) => fields[name] !== undefined)
}
