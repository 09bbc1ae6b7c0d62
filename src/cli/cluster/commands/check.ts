/** `kubectl fairlead check`: files, as a cluster would take them. */
import type { RunCommand } from '../../command-spec.ts'
import { checkOn } from '../../commands/check.ts'

export const check: RunCommand = (context, call) => checkOn(context, call, 'kubernetes')
