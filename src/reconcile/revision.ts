/**
 * The revision: a short hash over exactly what makes a container differ. It is taken from the inputs (digest, words of
 * the user, contents of named Secrets and ConfigMaps), never from what we render, so an upgrade of Fairlead restarts no
 * app, and neither does an edit of labels, sizes or policies.
 */
import { normalizePath } from '../crd/path.ts'
import type { App, AppSpec } from '../crd/types.ts'
import { RESTART_REQUESTED_AT } from '../crd/labels.ts'
import type { Digest } from '../image/types.ts'
import { digestOf } from '../image/digest.ts'
import { canonicalJson } from './canonical-json.ts'
import { shortHash } from './names.ts'
import type { Sources } from './ports.ts'

/**
 * `declared`: the image's own volume paths; naming one of them without a word about its mount changes nothing. `more`:
 * what else makes a container differ on the engine at hand, such as probes in a pod.
 */
export function revisionOf(
  app: App,
  manifestDigest: Digest,
  sources: Sources,
  declared: readonly string[] = [],
  more?: unknown,
): string {
  const { spec } = app
  const inputs = {
    manifestDigest,
    volumes: volumeInputs(spec, declared),
    volumeDefaults: {
      exec: spec.volumeDefaults?.exec,
      medium: spec.volumeDefaults?.medium,
      readOnly: spec.volumeDefaults?.readOnly,
      size: spec.volumeDefaults?.medium === 'Memory' ? spec.volumeDefaults.size : undefined,
    },
    command: spec.command,
    args: spec.args,
    env: spec.env,
    envFrom: spec.envFrom,
    workingDir: spec.workingDir,
    user: spec.user,
    resources: spec.resources,
    hooks: spec.hooks,
    securityContext: spec.securityContext,
    restartRequestedAt: app.metadata.annotations?.[RESTART_REQUESTED_AT],
    sources: namedSources(app).map(({ kind, name }) => [
      kind,
      name,
      contentHash(kind === 'Secret' ? sources.secret(name) : sources.configMap(name)),
    ]),
    more,
  }
  return shortHash(canonicalJson(inputs), 10)
}

/** What makes a mount differ. Volumes are keyed by path: neither their order nor a final `/` says anything. */
function volumeInputs(spec: AppSpec, declared: readonly string[]) {
  return (spec.volumes ?? [])
    .map(({ path, exec, medium, readOnly, source, size }) => ({
      path: normalizePath(path),
      exec,
      medium,
      readOnly,
      source,
      // The size of a tmpfs is part of the mount; that of a folder is not.
      size:
        (medium ?? spec.volumeDefaults?.medium) === 'Memory'
          ? (size ?? spec.volumeDefaults?.size)
          : undefined,
    }))
    .filter(
      ({ path, ...mount }) =>
        !declared.includes(path) || Object.values(mount).some((word) => word !== undefined),
    )
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Every Secret and ConfigMap that the running container sees, by name; pull secrets are not among them. */
export function namedSources(
  app: App,
): readonly { readonly kind: 'Secret' | 'ConfigMap'; readonly name: string }[] {
  const { spec } = app
  const secrets = new Set<string>()
  const configMaps = new Set<string>()
  for (const from of spec.envFrom ?? []) {
    if (from.secretRef !== undefined) secrets.add(from.secretRef.name)
    if (from.configMapRef !== undefined) configMaps.add(from.configMapRef.name)
  }
  for (const entry of spec.env ?? []) {
    if (entry.valueFrom?.secretKeyRef !== undefined) secrets.add(entry.valueFrom.secretKeyRef.name)
    if (entry.valueFrom?.configMapKeyRef !== undefined) configMaps.add(entry.valueFrom.configMapKeyRef.name)
  }
  for (const volume of spec.volumes ?? []) {
    if (volume.source?.secret !== undefined) secrets.add(volume.source.secret.secretName)
    if (volume.source?.configMap !== undefined) configMaps.add(volume.source.configMap.name)
  }
  return [
    ...[...secrets].sort().map((name) => ({ kind: 'Secret' as const, name })),
    ...[...configMaps].sort().map((name) => ({ kind: 'ConfigMap' as const, name })),
  ]
}

function contentHash(data: Readonly<Record<string, Buffer>> | undefined): string | undefined {
  if (data === undefined) return undefined
  return digestOf(
    canonicalJson(
      Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value.toString('base64')])),
    ),
  )
}
