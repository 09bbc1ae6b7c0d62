/** Apps as a cluster's renderer meets them, as short as a test needs them. */
import type { ImageConfig } from '../../../src/image/types.ts'
import type { ClaimModes } from '../../../src/reconcile/kubernetes/claims.ts'
import { renderPreflight } from '../../../src/reconcile/kubernetes/preflight-pod.ts'
import { renderCluster } from '../../../src/reconcile/kubernetes/render.ts'
import { clusterRevisionBasis } from '../../../src/reconcile/kubernetes/revision-basis.ts'
import type {
  ClusterOptions,
  KubeObject,
  PreflightWish,
  RenderedCluster,
} from '../../../src/reconcile/kubernetes/types.ts'
import { desiredState } from '../../../src/reconcile/desired.ts'
import type { Desired } from '../../../src/reconcile/types.ts'
import { fieldsOf, itemsOf, type Fields } from '../../../src/crd/view.ts'
import type { FileNode } from '../../../src/rootfs/types.ts'
import { dir, file, tree } from '../../bundle/tree.ts'
import { anApp, anImage, frozen, KEY, sources } from '../../support/builders.ts'

export const OPTIONS: ClusterOptions = {
  fairleadImage: 'registry.example.com/fairlead@sha256:'.concat('fa'.repeat(32)),
  fairleadPullSecrets: [],
  imageVolumes: true,
  podSecurity: 'baseline',
  defaultVolumeSize: '10Gi',
}

export interface Case {
  readonly spec?: Fields
  readonly metadata?: Fields
  readonly config?: Partial<ImageConfig>
  readonly files?: Readonly<Record<string, FileNode>>
  readonly reference?: string
  readonly options?: Partial<ClusterOptions>
  readonly claimModes?: ClaimModes
}

const PASSWD = 'root:x:0:0::/root:/bin/sh\nmattermost:x:2000:2001::/mattermost:/bin/sh\n'
const UID = '6d9b5d0e-0000-4000-8000-000000000001'

export function desiredOf({ spec = {}, metadata = {}, config = {}, files = {}, reference }: Case): Desired {
  const app = anApp(
    { ...(reference === undefined ? {} : { image: reference }), ...spec },
    { uid: UID, ...metadata },
  )
  const image = anImage({ reference: app.spec.image, config })
  const result = desiredState({
    key: { ...KEY, name: app.metadata.name },
    app,
    image,
    tree: tree({ 'etc/passwd': file(PASSWD), ...files }),
    sources: { ...sources(), deferred: true },
    revision: clusterRevisionBasis(app, image),
  })
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return frozen(result.desired)
}

export function optionsOf(given: Case): ClusterOptions {
  return { ...OPTIONS, ...given.options }
}

export function rendered(given: Case): RenderedCluster {
  return renderCluster(desiredOf(given), optionsOf(given), given.claimModes)
}

/** By default everything is new and nothing runs yet. */
export function wishOf(given: Case, changes: Partial<PreflightWish> = {}): PreflightWish {
  const desired = desiredOf(given)
  const own = desired.volumes.filter(({ storage }) => storage.kind === 'own')
  const others = desired.volumes.filter((volume) => !own.includes(volume))
  return {
    desired,
    rendered: rendered(given),
    toSeed: own,
    toCheck: others,
    nodeName: undefined,
    options: optionsOf(given),
    ...changes,
  }
}

export function preflight(given: Case, changes: Partial<PreflightWish> = {}): KubeObject {
  return renderPreflight(wishOf(given, changes))
}

export function templateOf(workload: KubeObject): Fields {
  return fieldsOf(fieldsOf(workload['spec'])['template'])
}

export function podSpecOf(given: Case): Fields {
  return fieldsOf(templateOf(rendered(given).workload)['spec'])
}

/** The only container, or the first one, of a rendered app or pod. */
export function containerOf(podSpec: Fields): Fields {
  return fieldsOf(itemsOf(podSpec['containers'])[0])
}

export const appOf = (given: Case) => containerOf(podSpecOf(given))

/** Five volumes, a user by name, an owner of the folders. */
export const MATTERMOST: Case = {
  reference: 'mattermost/mattermost-team-edition:10.12',
  spec: {
    volumes: [{ path: '/mattermost/plugins', size: '5Gi' }],
    ports: [{ name: 'http', port: 8065 }],
    env: [
      { name: 'MM_SQLSETTINGS_DRIVERNAME', value: 'postgres' },
      { name: 'MM_SQLSETTINGS_DATASOURCE', valueFrom: { secretKeyRef: { name: 'db', key: 'url' } } },
    ],
    probes: { readiness: { httpGet: { path: '/api/v4/system/ping', port: 'http' } } },
    resources: { requests: { cpu: '0.5', memory: '512Mi' }, limits: { memory: '2Gi' } },
  },
  config: {
    user: 'mattermost',
    volumes: [
      '/mattermost/client/plugins',
      '/mattermost/config',
      '/mattermost/data',
      '/mattermost/logs',
      '/mattermost/plugins',
    ],
  },
  files: Object.fromEntries(
    ['client/plugins', 'config', 'data', 'logs', 'plugins'].map((name) => [
      `mattermost/${name}`,
      dir({ uid: 2000, gid: 2000 }),
    ]),
  ),
}

export const POSTGRES: Case = {
  reference: 'postgres:17@sha256:'.concat('a1'.repeat(32)),
  metadata: { name: 'db' },
  spec: {
    env: [{ name: 'POSTGRES_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }],
    ports: [{ port: 5432 }],
    volumeDefaults: { size: '20Gi', storageClassName: 'fast' },
    probes: { liveness: { exec: { command: ['pg_isready', '-U', 'postgres'] }, periodSeconds: 5 } },
    terminationGracePeriodSeconds: 120,
  },
  config: { volumes: ['/var/lib/postgresql/data'] },
  files: { 'var/lib/postgresql/data': dir({ mode: 0o1777, uid: 999, gid: 999 }) },
}

export const WEB: Case = {
  reference: 'registry.example.com:5000/team/web:2.1',
  metadata: { name: 'web' },
  spec: {
    replicas: 3,
    ports: [
      { name: 'http', port: 8080 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
    service: {
      type: 'LoadBalancer',
      loadBalancerClass: 'example.com/lb',
      annotations: { 'example.com/internal': 'true' },
    },
    pullSecrets: [{ name: 'registry' }],
    volumes: [
      { path: '/cache', medium: 'Memory', size: '64Mi' },
      { path: '/etc/web/web.conf', source: { configMap: { name: 'web' }, subPath: 'web.conf' } },
      {
        path: '/etc/web/tls',
        source: { secret: { secretName: 'web-tls', defaultMode: 256, optional: true } },
      },
    ],
  },
}

export const ONE_CLAIM: Case = {
  ...MATTERMOST,
  spec: {
    ...MATTERMOST.spec,
    volumes: [{ path: '/mattermost/logs', readOnly: true }],
    volumeDefaults: { layout: 'OneClaim', size: '30Gi', retain: 'Delete' },
  },
}

export const RESTRICTED: Case = { ...MATTERMOST, options: { podSecurity: 'restricted', imageVolumes: false } }

export const SIDECAR: Case = {
  ...POSTGRES,
  spec: {
    ...POSTGRES.spec,
    podTemplate: {
      metadata: { labels: { team: 'data' }, annotations: { 'prometheus.io/scrape': 'true' } },
      spec: {
        containers: [
          {
            name: 'exporter',
            image: 'quay.io/example/exporter:1',
            ports: [{ name: 'metrics', containerPort: 9187 }],
            volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
          },
          {
            name: 'app',
            env: [{ name: 'PGTZ', value: 'UTC' }],
            volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
          },
        ],
        volumes: [{ name: 'scratch', emptyDir: {} }],
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ key: 'dedicated', operator: 'Exists' }],
        serviceAccountName: 'db',
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              {
                labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'db' } },
                topologyKey: 'kubernetes.io/hostname',
              },
            ],
          },
        },
      },
    },
  },
}
