import { expect, test } from 'vitest'
import { adviceFor } from '../../../src/cli/cluster/advice.ts'
import { REASONS } from '../../../src/errors.ts'

test.each(REASONS)('%s comes with one sentence that fits two lines', (reason) => {
  const advice = adviceFor(reason) ?? ''
  expect(advice).toMatch(/^[A-Z].*\.$/)
  expect(advice).not.toMatch(/\. [A-Z]/)
  expect(advice.length).toBeLessThanOrEqual(2 * 78)
})

test.each(['Running', 'Suspended', 'toString', ''])('%j needs none', (reason) => {
  expect(adviceFor(reason)).toBeUndefined()
})
