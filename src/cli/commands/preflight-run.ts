/** `fairlead preflight run`: the preflight in a container of Fairlead's own image. */
import { preflightMain } from '../../preflight/main.ts'
import type { RunCommand } from '../command-spec.ts'

export const preflightRun: RunCommand = async (context, call) =>
  preflightMain({
    env: context.env,
    reportFile: call.options.text('report'),
    signal: context.signal,
    print: (line) => context.stdout.write(line),
  })
