/** `make demo`: one image, first under umoci and runc, then under Fairlead. Ends by itself and leaves nothing. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { demoImage } from '../lib/demo-image.ts'
import { Cleanup } from './cleanup.ts'
import { fairleadSide } from './fairlead-side.ts'
import type { Facts } from './facts.ts'
import { comparison, heading, say } from './stage.ts'
import { umociSide } from './umoci-side.ts'

const INTRODUCTION =
  'The image has the shape of Mattermost: five VOLUMEs, a user of its own (2000, by name), no shell, and plugins ' +
  'that are programs, one of them shipped inside a VOLUME. It was built on this machine from demo/src.'

async function demo(cleanup: Cleanup): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-demo-'))
  cleanup.add(folder, () => rm(folder, { recursive: true, force: true }))
  heading('One image, two ways to run it')
  say(INTRODUCTION)
  const image = await demoImage()
  const plain = await umociSide(image, path.join(folder, 'plain'), cleanup)
  const fairlead = await fairleadSide(image, path.join(folder, 'fairlead'), cleanup)
  heading('Side by side')
  comparison(
    ['', 'umoci + runc', 'Fairlead'],
    [
      row('the shipped plugin answers', plain, fairlead, 'shippedPlugin'),
      row('the app may write its data', plain, fairlead, 'writable'),
      row('an uploaded plugin runs', plain, fairlead, 'uploadedPlugin'),
      row('data is there after a restart', plain, fairlead, 'dataKept'),
    ],
  )
  return Object.values(fairlead).every(Boolean)
}

function row(question: string, plain: Facts, fairlead: Facts, fact: keyof Facts): [string, boolean, boolean] {
  return [question, plain[fact], fairlead[fact]]
}

if (process.getuid?.() !== 0) {
  console.error('demo: containers need root: run "sudo make demo"')
  process.exitCode = 1
} else {
  const cleanup = new Cleanup()
  cleanup.onSignals()
  try {
    process.exitCode = (await demo(cleanup)) ? 0 : 1
  } catch (error) {
    console.error(`\ndemo: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  } finally {
    await cleanup.run()
  }
}
