/** `fairlead controller`: the controller of one state folder, or of a cluster, in the foreground. */
import { createLogger } from '../../log.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'

export const controller: RunCommand = (context, call) =>
  call.options.text('engine') === 'kubernetes' ? ofCluster(context, call) : ofHost(context, call)

/** Each engine's code is loaded only where it runs: a pod has little memory. */
async function ofHost(context: CliContext, call: CommandCall): Promise<void> {
  const [{ openLocal }, { RUNTIMES }, { runController }, { stateDirOf }, { addressOf }] = await Promise.all([
    import('../../engine/local/open.ts'),
    import('../../engine/local/runtime.ts'),
    import('../run-controller.ts'),
    import('../state-folder.ts'),
    import('../listen-address.ts'),
  ])
  const { signal } = context
  const log = createLogger(call.options.text('logLevel') ?? 'info')
  const runtime = RUNTIMES.find((name) => name === call.options.text('runtime'))
  const state = openLocal({ stateDir: stateDirOf(context, call), runtime })
  const exitWhenIdle = call.options.flag('exitWhenIdle')
  const metrics = addressOf(call.options.text('metricsAddress') ?? '0', '--metrics-address')
  await runController(state, { log, exitWhenIdle, metrics, signal })
}

async function ofCluster(context: CliContext, call: CommandCall): Promise<void> {
  const [{ hostname }, { clusterControllerOptions }, connect, { runClusterController }] = await Promise.all([
    import('node:os'),
    import('../cluster/controller-options.ts'),
    import('../../engine/kubernetes/api/connect.ts'),
    import('../cluster/run-controller.ts'),
  ])
  const { signal, env } = context
  const options = clusterControllerOptions(context, call, hostname())
  const isPod = (env['KUBERNETES_SERVICE_HOST'] ?? '') !== ''
  const connection =
    isPod && options.kubeconfig === undefined && options.context === undefined
      ? await connect.connectInCluster({ env })
      : await connect.connectKubeconfig({ path: options.kubeconfig, context: options.context })
  await runClusterController({ connection, options, log: createLogger(options.logLevel), signal })
}
