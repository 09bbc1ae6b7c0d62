/** The controller, of one host or of a cluster. */
import type { CommandSpec } from '../command-spec.ts'
import { RUNTIME, STATE } from './common.ts'

export const CONTROLLER_COMMAND: CommandSpec = {
  name: 'controller',
  summary: 'run the controller in the foreground, JSON logs to stderr',
  details:
    'With --engine local it serves the state folder of this host ("up" starts one in the background when none runs); it needs root. ' +
    'With --engine kubernetes it serves a cluster: in a pod by its service account, elsewhere by a kubeconfig. ' +
    'SIGTERM and SIGINT end it gracefully; containers keep running.',
  options: [
    {
      flags: '--engine <engine>',
      description: 'local or kubernetes',
      choices: ['local', 'kubernetes'],
      required: true,
    },
    {
      flags: '--log-level <level>',
      description: 'debug, info (the default), warn or error',
      choices: ['debug', 'info', 'warn', 'error'],
    },
    { flags: '--exit-when-idle', description: 'local: end when no app is left' },
    { ...RUNTIME, description: `local: ${RUNTIME.description}` },
    STATE,
    {
      flags: '--kubeconfig <file>',
      description: 'kubernetes: kubeconfig to use outside a pod',
      kind: 'file',
    },
    { flags: '--context <name>', description: 'kubernetes: context of the kubeconfig', kind: 'text' },
    {
      flags: '--namespace <names>',
      description: 'kubernetes: serve only these namespaces, separated by commas (default: all)',
      kind: 'text',
    },
    {
      flags: '--watch-label-selector <selector>',
      description: 'kubernetes: serve only ContainerApps with these labels, to share the work among several',
      kind: 'text',
    },
    {
      flags: '--preflight-image <image>',
      description: "kubernetes: image of the preflight pods, the controller's own; needed",
      kind: 'reference',
    },
    {
      flags: '--preflight-pull-secret <names>',
      description:
        'kubernetes: pull secrets of that image in the namespaces of the apps, separated by commas',
      kind: 'text',
    },
    {
      flags: '--default-volume-size <size>',
      description: 'kubernetes: size of a claim for which nobody named one (default: 10Gi)',
      kind: 'text',
    },
    {
      flags: '--leader-elect',
      description: 'kubernetes: write only while holding the Lease, so that several may run',
    },
    {
      flags: '--leader-namespace <namespace>',
      description: 'kubernetes: namespace of the Lease (default: the own one)',
      kind: 'text',
    },
    {
      flags: '--health-address <address>',
      description: 'kubernetes: where /healthz and /readyz answer (default: :8081; 0 for nowhere)',
      kind: 'text',
    },
    {
      flags: '--metrics-address <address>',
      description: 'where /metrics answers (default: nowhere)',
      kind: 'text',
    },
    {
      flags: '--metrics-auth',
      description: 'kubernetes: show metrics only to those whom the API server lets get /metrics',
    },
    {
      flags: '--registries-config <file>',
      description: 'kubernetes: mirrors, CAs and layouts of registries; see docs/operations-kubernetes.md',
      kind: 'file',
    },
    {
      flags: '--credential-provider-config <file>',
      description: 'kubernetes: CredentialProviderConfig of the kubelet, for cloud registries',
      kind: 'file',
    },
    {
      flags: '--credential-provider-bin-dir <folder>',
      description: 'kubernetes: folder of its plugins',
      kind: 'folder',
    },
    {
      flags: '--workers <n>',
      description: 'kubernetes: apps worked on at a time (default: 16)',
      kind: 'text',
    },
  ],
  examples: [
    { words: 'controller --engine local', says: 'for a service manager' },
    {
      words: 'controller --engine kubernetes --preflight-image example.com/fairlead',
      says: 'for a cluster, with the kubeconfig of this user',
    },
  ],
  needsRoot: true,
  spareRoot: (options) => options.text('engine') === 'kubernetes',
  load: async () => (await import('../commands/controller.ts')).controller,
}
