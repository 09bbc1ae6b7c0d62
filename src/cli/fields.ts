/** `Label    value` lines for people. */
import { wrapText } from './table.ts'

/** Wide enough for the labels, narrow enough for a sha256 digest in 80 columns. */
export const LABEL_WIDTH = 9

/** The value after its label, wrapped under itself; nothing for an empty value. */
export function field(label: string, value: string, width: number): readonly string[] {
  if (value === '') return []
  return wrapText(value, width - LABEL_WIDTH).map(
    (line, index) => `${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${line}`,
  )
}

/** Several fields with line ends. */
export function fieldLines(fields: Readonly<Record<string, string>>, width: number): string {
  return Object.entries(fields)
    .flatMap(([label, value]) => field(label, value, width))
    .map((line) => `${line}\n`)
    .join('')
}
