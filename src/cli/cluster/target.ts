/** The cluster that a command of the kubectl plugin speaks to, and the apps in it. */
import { API_VERSION, KIND } from '../../crd/labels.ts'
import { parseStatus } from '../../crd/status.ts'
import type { KubeClient } from '../../engine/kubernetes/api/types.ts'
import { CONTAINER_APPS } from '../../engine/kubernetes/resources.ts'
import { ExpectedError, printable } from '../../errors.ts'
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'
import { appId, parseAppKey, type AppKey } from '../../reconcile/names.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext, ClusterChoice, OpenCluster } from '../context.ts'
import { asUsage, UsageError } from '../usage-error.ts'
import { PLUGIN_PROGRAM } from './program-name.ts'

export interface ClusterTarget {
  readonly client: KubeClient
  /** Of what names none: `-n`, else the kubeconfig's. */
  readonly namespace: string
}

export type ClusterCommand = (
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
) => Promise<number | void>

/** A command that speaks to the cluster of the kubeconfig, with the rights of its user. */
export function onCluster(run: ClusterCommand): RunCommand {
  return async (context, call) => {
    const connect = context.connectCluster ?? connectByKubeconfig
    const choice = { path: call.options.text('kubeconfig'), context: call.options.text('context') }
    const { client, namespace } = await connect(choice)
    try {
      return await run(context, call, { client, namespace: namespaceOf(call, namespace) })
    } finally {
      client.close()
    }
  }
}

/**
 * Imported only when it is time: the help of a command needs no cluster. A kubeconfig that can't be used is input that
 * is wrong: no server was asked yet.
 */
async function connectByKubeconfig(choice: ClusterChoice): Promise<OpenCluster> {
  const [{ connectKubeconfig }, { openKubeClient }] = await Promise.all([
    import('../../engine/kubernetes/api/connect.ts'),
    import('../../engine/kubernetes/api/client.ts'),
  ])
  const connection = await connectKubeconfig(choice).catch((error: unknown) => {
    throw asUsage(error, 'kubeconfig')
  })
  return { client: openKubeClient(connection), namespace: connection.namespace }
}

function namespaceOf(call: CommandCall, usual: string): string {
  const namespace = call.options.text('namespace') ?? usual
  if (parseAppKey('x', namespace) !== undefined) return namespace
  throw new UsageError(
    `found ${JSON.stringify(printable(namespace))}; must be lower-case letters, digits and dashes`,
    '--namespace',
  )
}

/** The first argument: `name` or `namespace/name`. */
export function namedClusterApp(call: CommandCall, target: ClusterTarget): AppKey {
  const text = call.args[0] ?? ''
  const key = parseAppKey(text, target.namespace)
  if (key !== undefined) return key
  throw new UsageError(
    `found ${JSON.stringify(printable(text))}; must be name or namespace/name in lower-case letters, digits and dashes`,
    'name',
  )
}

/** All of them, or those of one namespace; sorted. */
export async function listApps(
  { client }: ClusterTarget,
  namespace: string | undefined,
): Promise<readonly StoredApp[]> {
  const objects = await client.list(CONTAINER_APPS, { namespace })
  return objects.map(storedApp).toSorted((a, b) => (appId(a.key) < appId(b.key) ? -1 : 1))
}

/** NotFound when there is none. */
export async function requireClusterApp({ client }: ClusterTarget, key: AppKey): Promise<StoredApp> {
  const object = await client.get(CONTAINER_APPS, key.namespace, key.name)
  if (object !== undefined) return storedApp(object)
  throw new ExpectedError(
    'NotFound',
    `there is no ContainerApp ${key.name} in namespace ${key.namespace}; '${PLUGIN_PROGRAM} status -A' lists what there is`,
  )
}

export function storedApp(object: KubeObject): StoredApp {
  const { namespace = '', name, generation = 1, deletionTimestamp } = object.metadata
  return {
    key: { namespace, name },
    baseDir: '/',
    resource: { ...object, apiVersion: API_VERSION, kind: KIND },
    generation,
    status: parseStatus(object['status'] ?? {}),
    deletion: deletionTimestamp === undefined ? undefined : { allVolumes: false },
  }
}
