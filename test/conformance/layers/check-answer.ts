/** Our answer and what a case expects, brought to one form so that a test needs a single comparison. */
import type { Answer } from './run-in-memory.ts'
import type { LayerCase } from './case.ts'
import { sortLines } from './tree-lines.ts'

export interface Comparable {
  readonly outcome: readonly string[] | string
  readonly dropped: readonly string[]
}

/** Of an error the reason and, if the message holds it, the part that the case asks for. */
export function found({ expected }: LayerCase, answer: Answer): Comparable {
  if (!('error' in answer))
    return { outcome: sortLines(answer.tree), dropped: answer.dropped.map(({ rule }) => rule).sort() }
  const says = 'error' in expected ? (expected.says ?? '') : undefined
  const part = says !== undefined && answer.message.includes(says) ? says : answer.message
  return { outcome: `${answer.error}: ${part}`, dropped: [] }
}

export function wanted({ expected, dropped = [] }: LayerCase): Comparable {
  if ('error' in expected) return { outcome: `${expected.error}: ${expected.says ?? ''}`, dropped: [] }
  return { outcome: sortLines(expected.tree), dropped: [...dropped].sort() }
}
