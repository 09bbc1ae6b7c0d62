/** `fairlead controller`: the controller of one state folder in the foreground. */
import { openLocal } from '../../engine/local/open.ts'
import { RUNTIMES } from '../../engine/local/runtime.ts'
import { createLogger } from '../../log.ts'
import type { RunCommand } from '../command-spec.ts'
import { refuseKubernetes } from '../kubernetes-engine.ts'
import { runController } from '../run-controller.ts'
import { stateDirOf } from '../state-folder.ts'

export const controller: RunCommand = async (context, call) => {
  if (call.options.text('engine') === 'kubernetes') throw refuseKubernetes()
  const { signal } = context
  const log = createLogger(call.options.text('logLevel') ?? 'info')
  const runtime = RUNTIMES.find((name) => name === call.options.text('runtime'))
  const state = openLocal({ stateDir: stateDirOf(context, call), runtime })
  await runController(state, { log, exitWhenIdle: call.options.flag('exitWhenIdle'), signal })
}
