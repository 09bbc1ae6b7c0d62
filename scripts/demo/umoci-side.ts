/** First half of the demo: what happens to the image's promises with umoci and runc alone. */
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { DemoImage } from '../lib/demo-image.ts'
import type { Cleanup } from './cleanup.ts'
import { pluginAnswers } from './facts.ts'
import type { Facts } from './facts.ts'
import { giveFolders, runPlain, unpackBundle } from './plain-runtime.ts'
import type { PlainContainer } from './plain-runtime.ts'
import { heading, say, showCommand, showOutput, verdict } from './stage.ts'

const PLUGINS = '/mattermost/plugins'

/** Runs the image three times and returns what was true. `folder` is private and removed by the caller. */
export async function umociSide(image: DemoImage, folder: string, cleanup: Cleanup): Promise<Facts> {
  await mkdir(folder, { recursive: true })
  const bundle = path.join(folder, 'bundle')
  const start = async (): Promise<PlainContainer> =>
    await runPlain(bundle, path.join(folder, 'runc'), `fairlead-demo-${process.pid}`, cleanup)

  heading('1. The image under umoci and runc, as they come')
  showCommand(`umoci unpack --image ${image.layout}:v1 bundle`)
  await unpackBundle(`${image.layout}:v1`, bundle)
  showCommand('runc run --bundle bundle mattermost')
  const asItComes = await firstRun(await start())

  heading('2. The usual way round: give the folders to the app’s user')
  say('Each tmpfs in config.json gets the options uid=2000,gid=2000. Then a plugin is uploaded.')
  await giveFolders(bundle)
  const uploadedPlugin = await runWithUpload(await start(), await readFile(image.extraPlugin))

  heading('3. The next run')
  const dataKept = await nextRun(await start())
  return { ...asItComes, uploadedPlugin, dataKept }
}

async function firstRun(container: PlainContainer): Promise<Pick<Facts, 'shippedPlugin' | 'writable'>> {
  const mount = await container.mountAt(PLUGINS)
  say(`What is mounted at ${PLUGINS}: ${mount}`)
  const checked = await ask(container, ['check'])
  const shippedPlugin = pluginAnswers(checked, 'hello')
  verdict(
    shippedPlugin,
    'The plugin that the image ships answers.',
    'The image ships a plugin and a config file. Neither is seen: a tmpfs lies over each VOLUME.',
  )
  const posted = await ask(container, ['post', 'hello world'])
  const writable = posted.startsWith('posted')
  verdict(
    writable,
    'The app can write its data.',
    'The image gives its data folder to the app’s user. Here it is root’s, and user 2000 may not write.',
  )
  await container.stop()
  return { shippedPlugin, writable }
}

async function runWithUpload(container: PlainContainer, plugin: Buffer): Promise<boolean> {
  const installed = await ask(container, ['install', 'extra'], plugin)
  const checked = await ask(container, ['check'])
  const answers = pluginAnswers(checked, 'extra')
  const refused = installed.startsWith('installed')
    ? `It was uploaded with mode 0755, and it is refused: ${await container.mountAt(PLUGINS)}.`
    : 'It could not even be uploaded.'
  verdict(answers, 'The uploaded plugin runs.', refused)
  const posted = (await ask(container, ['post', 'hello world'])).startsWith('posted')
  verdict(posted, 'Now the app can write its data …', 'The app still cannot write its data.')
  await container.stop()
  return answers
}

async function nextRun(container: PlainContainer): Promise<boolean> {
  const checked = await ask(container, ['check'])
  const kept = checked.includes('hello world')
  verdict(
    kept,
    '… and it is still there after a restart.',
    '… and it is gone after a restart, the uploaded plugin with it.',
  )
  await container.stop()
  return kept
}

/** Runs the app’s own command line in the container and shows both sides of the conversation. */
async function ask(container: PlainContainer, args: readonly string[], input?: Buffer): Promise<string> {
  const words = args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg)).join(' ')
  showCommand(`runc exec mattermost mattermost ${words}${input === undefined ? '' : ' <extra-plugin'}`)
  const result = await container.exec(args, input)
  showOutput(result.stdout + result.stderr)
  return result.stdout + result.stderr
}
