/** The image as umoci unpacks it and runc runs it, without any help: a bundle and the container from it. */
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { mustRun, run } from '../lib/run.ts'
import type { RunResult } from '../lib/run.ts'
import type { Cleanup } from './cleanup.ts'

interface RuntimeConfig {
  readonly process: { terminal: boolean }
  readonly mounts: { readonly destination: string; readonly type: string; options?: readonly string[] }[]
}

/** Unpacks the image; the only thing changed is that no terminal is asked for. */
export async function unpackBundle(image: string, bundle: string): Promise<void> {
  await mustRun('umoci', ['unpack', '--image', image, bundle])
  await editConfig(bundle, (config) => {
    config.process.terminal = false
  })
}

/**
 * What people do when the app's user may not write: give it the tmpfs folders. (Modes alone do not help: runc 1.1
 * copies the mode of the image's folder over the mount option, and leaves root as the owner.)
 */
export async function giveFolders(bundle: string): Promise<void> {
  await editConfig(bundle, (config) => {
    for (const mount of config.mounts.filter(({ destination }) => destination.startsWith('/mattermost/'))) {
      mount.options = [...(mount.options ?? []), 'uid=2000', 'gid=2000']
    }
  })
}

async function editConfig(bundle: string, edit: (config: RuntimeConfig) => void): Promise<void> {
  const file = path.join(bundle, 'config.json')
  const config = JSON.parse(await readFile(file, 'utf8')) as RuntimeConfig
  edit(config)
  await writeFile(file, JSON.stringify(config, null, 2))
}

/** A running container. `exec` runs the app's own program in it: the image has no shell. */
export interface PlainContainer {
  exec(args: readonly string[], input?: Buffer): Promise<RunResult>
  /** Type and options of what is mounted at a path, as the kernel says. */
  mountAt(destination: string): Promise<string>
  stop(): Promise<void>
}

/** `runc run`, and waits until the app says that it serves. `root` is runc's private state folder. */
export async function runPlain(
  bundle: string,
  root: string,
  id: string,
  cleanup: Cleanup,
): Promise<PlainContainer> {
  const runc = ['--root', root]
  const child = spawn('runc', [...runc, 'run', '--bundle', bundle, id], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const words: string[] = []
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(`runc ended with ${String(code)}: ${words.join('').trim()}`))
  })
  const serves = new Promise<undefined>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words.push(text)
      if (words.join('').includes(' starts on port ')) resolve(undefined)
    })
  })
  cleanup.add(`container ${id}`, async () => await run('runc', [...runc, 'delete', '--force', id]))
  const problem = await Promise.race([serves, ended])
  if (problem !== undefined) throw new Error(problem)
  return {
    exec: async (args, input) =>
      await run('runc', [...runc, 'exec', id, '/mattermost/bin/mattermost', ...args], input ? { input } : {}),
    mountAt: async (destination) => await mountAt(runc, id, destination),
    stop: async () => {
      await mustRun('runc', [...runc, 'kill', id, 'TERM'])
      await ended
      await run('runc', [...runc, 'delete', '--force', id])
    },
  }
}

/** proc(5), mountinfo: … mount point, options, optional fields, `-`, type, source, super options. */
async function mountAt(runc: readonly string[], id: string, destination: string): Promise<string> {
  const { pid } = JSON.parse(await mustRun('runc', [...runc, 'state', id])) as { readonly pid: number }
  const lines = (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).split('\n').map((line) => line.split(' '))
  const found = lines.findLast((fields) => fields[4] === destination)
  if (found === undefined) return 'nothing is mounted there'
  return `${found[found.indexOf('-') + 1] ?? ''} (${found[5] ?? ''})`
}
