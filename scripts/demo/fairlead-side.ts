/** Second half of the demo: the same image under Fairlead, then a new digest of the same tag. */
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DEMO_VERSIONS } from '../lib/demo-image.ts'
import type { DemoImage } from '../lib/demo-image.ts'
import { freePort } from '../../test/support/free-ports.ts'
import { startLocalRegistry } from '../lib/local-registry.ts'
import { readLayoutImage } from '../lib/oci-layout.ts'
import { pushImage } from '../lib/registry-push.ts'
import type { Cleanup } from './cleanup.ts'
import { FairleadCli } from './fairlead-cli.ts'
import { pluginAnswers } from './facts.ts'
import type { Facts } from './facts.ts'
import { heading, say, showCommand, showOutput, verdict } from './stage.ts'

const REPOSITORY = 'mattermost/mattermost-team-edition'
const TAG = '10.12'
const NAME = 'mattermost'
const LISTENS_WITHIN_MS = 15_000

/** Everything of the second half that changes from run to run. */
interface Scene {
  readonly image: DemoImage
  readonly registry: string
  /** Of the app itself: the local engine runs on the host's network. */
  readonly url: string
  readonly fairlead: FairleadCli
  readonly resource: string
}

/** Runs the app under Fairlead in a private state folder below `folder`; throws when Fairlead breaks a promise. */
export async function fairleadSide(image: DemoImage, folder: string, cleanup: Cleanup): Promise<Facts> {
  const scene = await setScene(image, folder, cleanup)
  const first = await firstStart(scene)
  const { uploadedPlugin, dataKept } = await uploadAndRestart(scene)
  await rebuild(scene)
  heading('7. Where things stand')
  await scene.fairlead.run(['status', NAME])
  return { ...first, uploadedPlugin, dataKept }
}

async function setScene(image: DemoImage, folder: string, cleanup: Cleanup): Promise<Scene> {
  const registry = await startLocalRegistry(path.join(folder, 'registry'))
  cleanup.add('the registry', () => registry.stop())
  await pushImage(registry.host, REPOSITORY, TAG, await readLayoutImage(image.layout, 'v1'))
  const fairlead = new FairleadCli(path.join(folder, 'state'))
  cleanup.add('the app under Fairlead', () => fairlead.stopAll([NAME]))
  const port = await freePort()
  const resource = path.join(folder, 'mattermost.yaml')
  await writeFile(resource, resourceText(`${registry.host}/${REPOSITORY}:${TAG}`, port))
  return { image, registry: registry.host, url: `http://127.0.0.1:${port}`, fairlead, resource }
}

function resourceText(image: string, port: number): string {
  return `apiVersion: fairlead.dev/v1alpha1
kind: ContainerApp
metadata:
  name: ${NAME}
spec:
  image: ${image}
  ports:
    - {name: http, port: ${port}}
  env:
    - {name: MM_PORT, value: "${port}"}
`
}

async function firstStart({
  fairlead,
  resource,
  url,
}: Scene): Promise<Pick<Facts, 'shippedPlugin' | 'writable'>> {
  heading('4. The same image under Fairlead')
  showCommand('cat mattermost.yaml')
  showOutput(await readFile(resource, 'utf8'))
  await fairlead.watch(['up', '-f', resource], 'up -f mattermost.yaml')
  await untilItListens(url)
  const shippedPlugin = pluginAnswers(await ask(`${url}/plugins`), 'hello')
  verdict(
    shippedPlugin,
    'The plugin that the image ships answers: each VOLUME was seeded from the image, once.',
  )
  const posted = await ask(`${url}/posts`, 'POST', Buffer.from('hello world'))
  const writable = posted.startsWith('posted')
  verdict(writable, 'The app writes its data: folders keep owner and mode of the image.')
  return { shippedPlugin, writable }
}

async function uploadAndRestart(scene: Scene): Promise<Pick<Facts, 'uploadedPlugin' | 'dataKept'>> {
  const { fairlead, image, url } = scene
  heading('5. A plugin is uploaded, and the app restarts')
  await ask(`${url}/plugins/extra`, 'PUT', await readFile(image.extraPlugin), '--upload-file extra-plugin')
  await fairlead.watch(['restart', NAME])
  await untilItListens(url)
  const answers = await ask(`${url}/plugins`)
  const uploadedPlugin = pluginAnswers(answers, 'extra') && pluginAnswers(answers, 'hello')
  verdict(uploadedPlugin, 'Both plugins answer: volumes are real folders, mounted without noexec.')
  const dataKept = (await ask(`${url}/posts`)).includes('hello world')
  verdict(dataKept, 'The post is still there.')
  return { uploadedPlugin, dataKept }
}

async function rebuild({ fairlead, image, registry, url }: Scene): Promise<void> {
  heading('6. The tag moves, and the app follows when asked')
  say(
    `Somebody pushes ${DEMO_VERSIONS.v2} under the same tag ${TAG}. What runs is a digest, so nothing happens yet:`,
  )
  await pushImage(registry, REPOSITORY, TAG, await readLayoutImage(image.layout, 'v2'))
  const before = await ask(`${url}/version`)
  verdict(before.includes(DEMO_VERSIONS.v1), `It is still ${DEMO_VERSIONS.v1}.`)
  await fairlead.watch(['rebuild', NAME])
  await untilItListens(url)
  const after = await ask(`${url}/version`)
  verdict(after.includes(DEMO_VERSIONS.v2), `Now it is ${DEMO_VERSIONS.v2}.`)
  const kept = await ask(`${url}/posts`)
  const plugins = await ask(`${url}/plugins`)
  const ok =
    kept.includes('hello world') && pluginAnswers(plugins, 'hello') && pluginAnswers(plugins, 'extra')
  verdict(ok, 'Data and both plugins are as they were.')
  if (!before.includes(DEMO_VERSIONS.v1) || !after.includes(DEMO_VERSIONS.v2) || !ok) {
    throw new Error('the rebuild did not keep what it promises')
  }
}

/** `Ready` means that the process is up; a moment later it listens. */
async function untilItListens(url: string): Promise<void> {
  const deadline = performance.now() + LISTENS_WITHIN_MS
  while (!(await isListening(url))) {
    if (performance.now() > deadline)
      throw new Error(`nothing listens at ${url} after ${LISTENS_WITHIN_MS} ms`)
    await delay(20)
  }
}

async function isListening(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/version`)).ok
  } catch {
    return false
  }
}

/** Asks the app over HTTP and shows it as the curl command that does the same. */
async function ask(url: string, method = 'GET', body?: Buffer, bodyWords?: string): Promise<string> {
  const words = bodyWords ?? (body === undefined ? '' : `--data '${body.toString()}'`)
  showCommand(`curl ${[words, url].filter((part) => part !== '').join(' ')}`)
  const answer = await fetch(url, body === undefined ? { method } : { method, body: new Uint8Array(body) })
  const text = await answer.text()
  showOutput(text)
  return text
}
