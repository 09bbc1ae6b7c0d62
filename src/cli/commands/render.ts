/** `fairlead render`: what the controller would apply, as a stream of YAML that `up -f` accepts. */
import { toYaml } from '../../crd/to-yaml.ts'
import { hostFacts } from '../../engine/local/host.ts'
import { InstanceStore } from '../../engine/local/instance-store.ts'
import type { StatePaths } from '../../engine/local/paths.ts'
import { placesOf } from '../../engine/local/prepare.ts'
import { runtimeFor } from '../../engine/local/runtime.ts'
import { VolumeStore } from '../../engine/local/volume-store.ts'
import { instanceId } from '../../reconcile/names.ts'
import { imageStatus } from '../../reconcile/status-image.ts'
import { toLocal, type RenderedLocal } from '../../reconcile/to-local.ts'
import type { RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { withExaminedApp, type Examined } from '../examine.ts'
import { requireInput, type InputApp, type InputDocuments } from '../input-documents.ts'
import { InputSources } from '../input-sources.ts'
import { LOCAL_API_VERSION, LOCAL_INSTANCE_KIND } from '../local-instance.ts'
import { writeSentences } from '../output.ts'
import { issueLine } from '../print-error.ts'
import { readableState } from '../readable-state.ts'
import { statePathsOf } from '../state-folder.ts'
import { sourceDocuments, submissionOf } from '../submission.ts'

export const render: RunCommand = async (context, call) => {
  if (call.options.text('engine') === 'kubernetes')
    return (await import('../cluster/commands/render.ts')).renderForCluster(context, call)
  const documents = await requireInput(context, call)
  const paths = statePathsOf(context, call)
  const sources = new InputSources(await readableState(context, call), sourceDocuments(documents))
  const rendered: unknown[] = []
  for (const document of documents.apps) {
    const result = await withExaminedApp({ context, document, sources, paths }, (examined) =>
      renderApp(context, document, examined, paths),
    )
    rendered.push(...result)
  }
  // All of it or nothing: half a stream applied would be half of what was meant.
  const stream = [...rendered, ...sourceObjects(documents)]
  context.stdout.write(stream.map((value, index) => `${index === 0 ? '' : '---\n'}${toYaml(value)}`).join(''))
}

async function renderApp(
  context: CliContext,
  document: InputApp,
  examined: Examined,
  paths: StatePaths,
): Promise<readonly unknown[]> {
  const { desired, tree, warnings } = examined
  const host = hostFacts()
  const input = {
    paths,
    host,
    runtime: runtimeFor('runc', paths.runtime, host),
    instances: new InstanceStore(paths),
    volumes: new VolumeStore(paths),
    sources: examined.sources,
    apps: [],
  }
  const places = await placesOf(input, instanceId(desired.key, desired.revision), desired)
  const rendered = toLocal(desired, tree, host, places)
  writeSentences(context, [...warnings, ...rendered.warnings].map(issueLine))
  return [pinnedApp(context, document, examined), instanceObject(examined, rendered)]
}

/** The user's words, with the pin that what follows was rendered from. */
function pinnedApp(context: CliContext, document: InputApp, { image }: Examined): Record<string, unknown> {
  const resource = submissionOf(document).resource as Record<string, unknown>
  const before = document.app.status?.image
  const fresh = before?.reference !== image.reference.original
  const status = imageStatus(
    { resolved: image, request: undefined, fresh },
    before,
    new Date(context.now()).toISOString(),
  )
  return { ...resource, status: { image: status } }
}

/** Every file of the bundle with its exact bytes. */
function instanceObject({ desired }: Examined, rendered: RenderedLocal): Record<string, unknown> {
  const hookScript = rendered.hookScript === undefined ? {} : { 'hooks.sh': rendered.hookScript }
  return {
    apiVersion: LOCAL_API_VERSION,
    kind: LOCAL_INSTANCE_KIND,
    metadata: { name: rendered.id, namespace: desired.key.namespace },
    spec: {
      app: desired.key.name,
      revision: desired.revision,
      digest: desired.image.digest,
      volumes: desired.volumes.map(({ path, destination, origin, claimName, exec, seed, retain }) => ({
        path,
        destination,
        origin,
        claimName,
        exec,
        seed,
        retain,
      })),
      files: { 'config.json': `${JSON.stringify(rendered.config, undefined, 2)}\n`, ...hookScript },
    },
  }
}

/** So that the stream is complete: an app without the Secret that it names could not start. */
function sourceObjects({ secrets, configMaps }: InputDocuments): readonly unknown[] {
  return [
    ...configMaps.map(({ kind, metadata, data, binaryData }) => ({
      apiVersion: 'v1',
      kind,
      metadata,
      ...present({ data, binaryData }),
    })),
    ...secrets.map(({ kind, metadata, type, data }) => ({ apiVersion: 'v1', kind, metadata, type, data })),
  ]
}

function present(fields: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => Object.keys(value).length > 0))
}
