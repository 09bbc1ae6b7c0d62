/** The options of `fairlead controller --engine kubernetes`, read and checked before anything is connected. */
import { leaseNameOf, parseLabelSelector, parseNamespaces, type Scope } from '../../controller/shard.ts'
import type { CommandCall } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { addressOf, type Address } from '../listen-address.ts'
import { UsageError } from '../usage-error.ts'
import { DEFAULT_VOLUME_SIZE, volumeSize } from './render-options.ts'

export interface ClusterControllerOptions {
  readonly logLevel: string
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  readonly scope: Scope
  readonly preflightImage: string
  readonly preflightPullSecrets: readonly string[]
  readonly defaultVolumeSize: string
  readonly leaderElect: boolean
  readonly leaderNamespace: string | undefined
  readonly leaseName: string
  readonly health: Address | undefined
  readonly metrics: Address | undefined
  readonly metricsAuth: boolean
  readonly registriesConfig: string | undefined
  readonly credentialProviders: { readonly config: string; readonly binDir: string } | undefined
  readonly workers: number
  /** Name of this pod, else of this host; events and the Lease show it. */
  readonly instance: string
  /** Named in the rule that a message says is missing. */
  readonly serviceAccount: string
}

const LEASE = 'fairlead-controller'
const DEFAULT_WORKERS = 16

export function clusterControllerOptions(
  context: Pick<CliContext, 'env'>,
  { options }: CommandCall,
  hostname: string,
): ClusterControllerOptions {
  const scope = {
    namespaces: parseNamespaces(options.text('namespace')),
    labelSelector: parseLabelSelector(options.text('watchLabelSelector')),
  }
  return {
    logLevel: options.text('logLevel') ?? 'info',
    kubeconfig: options.text('kubeconfig'),
    context: options.text('context'),
    scope,
    preflightImage: required(options.text('preflightImage'), '--preflight-image'),
    preflightPullSecrets: names(options.text('preflightPullSecret')),
    defaultVolumeSize: volumeSize(options.text('defaultVolumeSize') ?? DEFAULT_VOLUME_SIZE),
    leaderElect: options.flag('leaderElect'),
    leaderNamespace: options.text('leaderNamespace'),
    leaseName: leaseNameOf(LEASE, scope),
    health: addressOf(options.text('healthAddress') ?? ':8081', '--health-address'),
    metrics: addressOf(options.text('metricsAddress') ?? '0', '--metrics-address'),
    metricsAuth: options.flag('metricsAuth'),
    registriesConfig: options.text('registriesConfig'),
    credentialProviders: credentialProviders(
      options.text('credentialProviderConfig'),
      options.text('credentialProviderBinDir'),
    ),
    workers: workersOf(options.count('workers')),
    instance: context.env['POD_NAME'] ?? hostname,
    serviceAccount: context.env['POD_SERVICE_ACCOUNT'] ?? LEASE,
  }
}

function required(text: string | undefined, flag: string): string {
  if (text !== undefined && text !== '') return text
  throw new UsageError(
    "names no image; preflight pods need the controller's own, such as example.com/fairlead:1",
    flag,
  )
}

function names(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]))
}

function workersOf(count: number | undefined): number {
  if (count === undefined) return DEFAULT_WORKERS
  if (count >= 1 && count <= 1000) return count
  throw new UsageError(`found ${count}; must be from 1 to 1000`, '--workers')
}

function credentialProviders(config: string | undefined, binDir: string | undefined) {
  if (config === undefined && binDir === undefined) return undefined
  if (config !== undefined && binDir !== undefined) return { config, binDir }
  throw new UsageError(
    'needs the other one as well: the file says which plugins, the folder holds them',
    config === undefined ? '--credential-provider-bin-dir' : '--credential-provider-config',
  )
}
