/** The commands of `kubectl fairlead`: what a user of a cluster asks, with the rights of their kubeconfig. */
import type { CommandSpec, OptionSpec } from '../command-spec.ts'
import type { CommandTree } from '../commands.ts'
import { PLUGIN_PROGRAM } from '../cluster/program-name.ts'
import { EXIT_DIFF_FAILED } from '../print-error.ts'
import { CLUSTER_RENDERING, PREFLIGHT_RENDERING } from './cluster-rendering.ts'
import {
  FILES,
  NAME,
  NAMESPACE as FILE_NAMESPACE,
  NO_WAIT,
  OUTPUT,
  VOLUME_PATH,
  WAIT_TIMEOUT,
} from './common.ts'

const NAMESPACE: OptionSpec = {
  flags: '-n, --namespace <namespace>',
  description: "namespace of what names none (default: the kubeconfig's)",
  kind: 'text',
}
const KUBECONFIG: OptionSpec = {
  flags: '--kubeconfig <file>',
  description: 'kubeconfig to use (default: $KUBECONFIG, else ~/.kube/config)',
  kind: 'file',
}
const CONTEXT: OptionSpec = {
  flags: '--context <name>',
  description: 'context of the kubeconfig',
  kind: 'text',
}

const WAITING = [NO_WAIT, WAIT_TIMEOUT, NAMESPACE, OUTPUT]

const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'status',
    summary: 'show the ContainerApps of a namespace, or one in full',
    arguments: [{ ...NAME, name: '[name]' }],
    options: [
      NAMESPACE,
      { flags: '-A, --all-namespaces', description: 'the apps of every namespace' },
      { flags: '-w, --watch', description: 'go on and print what changes' },
      OUTPUT,
    ],
    examples: [
      { words: 'status -A', says: 'a table of all apps' },
      { words: 'status mattermost -n chat', says: 'image, digest, volumes and what is wrong' },
    ],
    load: async () => (await import('../cluster/commands/status.ts')).status,
  },
  {
    name: 'explain',
    summary: 'say what Fairlead made of an app, why, and what can be done',
    details: 'Image, pods, volumes, whatever is not as it should be, and the last events, in plain words.',
    arguments: [NAME],
    options: [NAMESPACE, OUTPUT],
    examples: [{ words: 'explain mattermost', says: 'why it runs what it runs' }],
    load: async () => (await import('../cluster/commands/explain.ts')).explain,
  },
  {
    name: 'diff',
    summary: 'show what applying files, or the next look at an app, would change',
    details:
      'Each change is tried by the API server without being made, with your rights: those of the controller are needed. An image ' +
      'that is not running already is read from here, with your credentials; what it changes in how the app runs is told first, its ' +
      'files by "fairlead diff". A tag that has moved and that nobody has asked for is told, too, and is no difference. Exit 0 without a difference, 1 with one, 2 or 3 when it ' +
      'cannot be told.',
    failureCode: EXIT_DIFF_FAILED,
    arguments: [{ ...NAME, name: '[name]' }],
    options: [FILES, NAMESPACE, OUTPUT, ...CLUSTER_RENDERING],
    examples: [
      { words: 'diff -f app.yaml', says: 'the resource, and what would be made for it' },
      { words: 'diff mattermost', says: 'whether the cluster has what the resource says' },
    ],
    load: async () => (await import('../cluster/commands/diff.ts')).diff,
  },
  {
    name: 'check',
    summary: 'say everything that is wrong with files before anything is applied',
    details:
      'Checks the resources, then their images: user, entrypoint, hooks, volumes. No cluster is asked. Exit 2 when a resource is ' +
      'invalid, 1 when an image does not fit to it, 0 when there are at most warnings.',
    options: [
      { ...FILES, required: true },
      { flags: '--no-images', description: 'only the resources, no image is read' },
      FILE_NAMESPACE,
      OUTPUT,
      ...CLUSTER_RENDERING,
    ],
    examples: [{ words: 'check -f app.yaml', says: 'all problems at once' }],
    load: async () => (await import('../cluster/commands/check.ts')).check,
  },
  {
    name: 'render',
    summary: 'print the objects that the controller would apply',
    details:
      "From the pin in the document's own status where it has one, else as at first apply. No cluster is asked.",
    options: [{ ...FILES, required: true }, FILE_NAMESPACE, ...CLUSTER_RENDERING, ...PREFLIGHT_RENDERING],
    examples: [
      { words: 'render -f app.yaml', says: 'claims, Service and workload' },
      {
        words: 'render -f app.yaml --preflight --preflight-image fairlead:1',
        says: 'with the pod that prepares them',
      },
    ],
    load: async () => (await import('../cluster/commands/render.ts')).renderForCluster,
  },
  {
    name: 'rebuild',
    summary: 'resolve the reference anew and move to the digest that it names now',
    details:
      'What runs goes on running until the new image is pulled, checked and its volumes are ready. Where nobody ' +
      'answers, the rebuild stays wanted, also after the command has ended, until it works or is taken back by ' +
      '--cancel, rollback or restart.',
    arguments: [NAME],
    options: [
      { flags: '--cancel', description: 'take back a rebuild or rollback that has had no answer yet' },
      ...WAITING,
    ],
    examples: [
      { words: 'rebuild mattermost', says: 'prints the old and the new digest' },
      { words: 'rebuild mattermost --cancel', says: 'not any more: the pin stays' },
    ],
    load: async () => (await import('../cluster/commands/rebuild.ts')).rebuild,
  },
  {
    name: 'rollback',
    summary: 'go back to a digest that ran before',
    arguments: [NAME],
    options: [
      {
        flags: '--to <digest>',
        description: 'a digest of status.image.history, or its beginning (default: the newest)',
        kind: 'text',
      },
      ...WAITING,
    ],
    examples: [{ words: 'rollback mattermost', says: 'the digest before the current one' }],
    load: async () => (await import('../cluster/commands/rollback.ts')).rollback,
  },
  {
    name: 'restart',
    summary: 'replace the pods by fresh ones of the same digest',
    arguments: [NAME],
    options: WAITING,
    examples: [{ words: 'restart mattermost', says: 'stop gracefully, start again' }],
    load: async () => (await import('../cluster/commands/restart.ts')).restart,
  },
  {
    name: 'volumes',
    summary: 'list and delete volumes',
    commands: [
      {
        name: 'ls',
        summary: 'list the claims that Fairlead made, also of apps that are gone',
        arguments: [{ ...NAME, name: '[name]' }],
        options: [
          NAMESPACE,
          { flags: '-A, --all-namespaces', description: 'the volumes of every namespace' },
          OUTPUT,
        ],
        examples: [{ words: 'volumes ls mattermost', says: 'the volumes of one app' }],
        load: async () => (await import('../cluster/commands/volumes-ls.ts')).volumesLs,
      },
      {
        name: 'rm',
        summary: "delete a volume's claim, and with it the data",
        details:
          'Refused while a pod mounts the claim or its app is about to. What becomes of the PersistentVolume is the ' +
          'word of its reclaim policy.',
        arguments: [NAME, VOLUME_PATH],
        options: [
          {
            flags: '--all-paths',
            description: 'also where the claim holds further volumes (layout: OneClaim)',
          },
          NAMESPACE,
        ],
        examples: [{ words: 'volumes rm mattermost /mattermost/logs', says: 'for good' }],
        load: async () => (await import('../cluster/commands/volumes-rm.ts')).volumesRm,
      },
    ],
  },
]

export const PLUGIN_TREE: CommandTree = {
  program: PLUGIN_PROGRAM,
  summary: 'Looks after the ContainerApps of a cluster, with the rights of your kubeconfig.',
  groups: [{ title: 'Apps of a cluster', commands: COMMANDS }],
  options: [NAMESPACE, KUBECONFIG, CONTEXT],
  optionsAnywhere: true,
}
