/**
 * What makes a bed one to play with: images of Fairlead and of an app in its registry, a `values.yaml` and an `app.yaml`
 * that fit, programs to put in front of PATH, and the words that say what to type.
 */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { API_VERSION, KIND } from '../../src/crd/labels.ts'
import { toYaml } from '../../src/crd/to-yaml.ts'
import type { Bed } from '../../test/cluster/bed/bed.ts'
import { clusterBinaries } from './cluster-binaries.ts'
import { controllerImage, type ControllerImage } from './controller-image.ts'
import { demoImage, type DemoImage } from './demo-image.ts'
import { readLayoutImage } from './oci-layout.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const SYSTEM = 'fairlead-system'
const APP = { name: 'demo', namespace: 'play' }
const PORT = 8065

export interface PlayImages {
  readonly controller: ControllerImage
  readonly demo: DemoImage
}

/** Minutes when they are not in the cache. */
export async function playImages(): Promise<PlayImages> {
  return { controller: await controllerImage(), demo: await demoImage() }
}

/** Returns lines for a shell: exports, then commands that install Fairlead and run the app, then comments. */
export async function furnish(bed: Bed, images: PlayImages): Promise<readonly string[]> {
  const { root, adminKubeconfig } = bed.plane
  const image = await pushImages(bed, images)
  const files = { values: path.join(root, 'values.yaml'), app: path.join(root, 'app.yaml') }
  await writeFile(files.values, valuesYaml(bed, image))
  await writeFile(files.app, appYaml())
  const programs = await writePrograms(root)
  return [
    `export KUBECONFIG=${adminKubeconfig}`,
    `export PATH=${programs}:$PATH`,
    '',
    '# Fairlead, with values that fit this cluster:',
    `helm install fairlead ${path.join(ROOT, 'charts/fairlead')} --namespace ${SYSTEM} --create-namespace --values ${files.values} --wait`,
    '# An app with five volumes:',
    `kubectl apply --filename ${files.app}`,
    `kubectl wait --namespace ${APP.namespace} --for=condition=Ready capp/${APP.name} --timeout=2m`,
    `kubectl fairlead status ${APP.name} --namespace ${APP.namespace}`,
    ...hints(bed),
  ]
}

/** What more there is to try, as comments. */
function hints(bed: Bed): readonly string[] {
  const { name, namespace } = APP
  const address = `$(kubectl get service ${name} --namespace ${namespace} -o jsonpath={.spec.clusterIP}):${PORT}`
  const patch = JSON.stringify({ spec: { image: 'demo/app:v2' } })
  return [
    '',
    `# Is it there? curl http://${address}/version`,
    `# Another version: kubectl patch capp/${name} --namespace ${namespace} --type=merge --patch '${patch}'`,
    `# Images of your own: skopeo copy --dest-tls-verify=false SOURCE docker://${bed.registry.host}/NAME:TAG`,
    `# Their name in an app is ${bed.registry.host}/NAME:TAG, or just NAME:TAG, as of Docker Hub.`,
    '# Storage: kubectl get storageclass. Ctrl-C in the first window ends the cluster; nothing is left behind.',
  ]
}

/** The controller's image as values of the chart; an app's is `demo/app` with the tags v1 and v2. */
async function pushImages(
  bed: Bed,
  { controller: { layout, tag }, demo }: PlayImages,
): Promise<{ readonly repository: string; readonly tag: string }> {
  await bed.registry.push('fairlead', tag, await readLayoutImage(layout, tag))
  for (const version of ['v1', 'v2'])
    await bed.registry.push('demo/app', version, await readLayoutImage(demo.layout, version))
  return { repository: `${bed.registry.host}/fairlead`, tag }
}

/** Nodes know the registry as 127.0.0.1 as well; a pod's own loopback is another one. */
function valuesYaml(bed: Bed, image: { readonly repository: string; readonly tag: string }): string {
  const mirrors = [{ url: `http://${bed.registry.nodeHost}`, resolve: true }]
  const registries = { 'docker.io': { mirrors }, [bed.registry.host]: { mirrors } }
  const comment = '# Pods reach the registry of this cluster by another address than this machine does.\n'
  return comment + toYaml({ image, defaultVolumeSize: '1Gi', registriesConfig: { registries } })
}

/** The image listens on loopback unless it is told otherwise. */
function appYaml(): string {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: APP.namespace } }
  const spec = {
    image: 'demo/app:v1',
    env: [{ name: 'MM_ADDRESS', value: '0.0.0.0' }],
    volumes: [{ path: '/mattermost/plugins', size: '2Gi', exec: 'Required' }],
    ports: [{ name: 'http', port: PORT }],
  }
  return `${toYaml(namespace)}---\n${toYaml({ apiVersion: API_VERSION, kind: KIND, metadata: APP, spec })}`
}

/** kubectl with the plugin, and Helm without anything of the user's own configuration. */
async function writePrograms(root: string): Promise<string> {
  const folder = path.join(root, 'bin')
  const { kube, helm } = await clusterBinaries()
  const home = path.join(root, 'helm')
  const homes = ['CACHE', 'CONFIG', 'DATA'].map((name) => `HELM_${name}_HOME='${home}'`).join(' ')
  await mkdir(folder)
  await writeProgram(path.join(folder, 'kubectl'), `exec '${kube}' kubectl "$@"`)
  await writeProgram(path.join(folder, 'helm'), `${homes} exec '${helm}' "$@"`)
  await symlink(path.join(ROOT, 'bin/kubectl-fairlead'), path.join(folder, 'kubectl-fairlead'))
  return folder
}

async function writeProgram(file: string, command: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${command}\n`)
  await chmod(file, 0o755)
}
