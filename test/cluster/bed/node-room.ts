/**
 * A room of its own for a node: namespaces for mounts, network and processes, held by one process. Whatever happens in
 * there (mounts, packet filter rules, links, containers) ends with that process and never touches the machine's own.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { mustRun } from '../../../scripts/lib/run.ts'
import type { Command } from './programs.ts'
import { startProcess } from './processes.ts'
import { identityLine } from './root.ts'
import type { NodeFacts } from './node-config.ts'

export interface NodeRoom {
  /** Pid, as this machine sees it, of the process with number 1 inside. */
  readonly pid: number
  /** The words that run a program inside. */
  inside(command: Command): Command
}

/** Folders that programs write to by fixed names: the node has its own, empty ones. */
const PRIVATE = ['/run', '/var/lib', '/var/log']

/** Makes it and puts it on the bridge. `name` is also the name of its process. */
export async function makeRoom(root: string, node: NodeFacts, index: number): Promise<NodeRoom> {
  const started = path.join(node.folder, 'started')
  await mkdir(node.folder, { recursive: true })
  const binds = PRIVATE.map((target) => ({ target, source: path.join(node.folder, 'private', target) }))
  for (const { source } of binds) await mkdir(source, { recursive: true })
  const pid = await startProcess(root, {
    name: `node${index}`,
    command: [
      'unshare',
      '--mount',
      '--net',
      '--pid',
      '--fork',
      '--mount-proc',
      '--kill-child',
      '--propagation=slave',
      '/bin/sh',
      '-c',
      initScript(binds, started),
    ],
    ready: async () => (await readFile(started, 'utf8')) !== '',
  })
  const child = await onlyChild(pid)
  // Killing number 1 ends all others inside; killing its parent does the same a moment later.
  await writeFile(path.join(root, 'processes', `node${index}-init`), identityLine(child) ?? '')
  const room = roomOf(child)
  await connect(room, node, index)
  return room
}

/** The room whose number 1 this machine sees as `pid`. */
export function roomOf(pid: number): NodeRoom {
  return {
    pid,
    inside: ([program, ...args]) => [
      'nsenter',
      `--target=${pid}`,
      '--mount',
      '--net',
      '--pid',
      '--',
      program,
      ...args,
    ],
  }
}

/** Number 1 has to reap orphans: `wait` of a shell does. */
function initScript(
  binds: readonly { readonly source: string; readonly target: string }[],
  started: string,
): string {
  return [
    'set -e',
    'mount --make-rshared /',
    ...binds.map(({ source, target }) => `mount --bind '${source}' '${target}'`),
    'echo 1 >/proc/sys/net/ipv4/ip_forward',
    `echo yes >'${started}'`,
    'set +e',
    'while :; do sleep 1000 & wait $!; done',
  ].join('\n')
}

async function onlyChild(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const child = Number(children.trim().split(' ')[0])
  if (!(child > 1)) throw new Error(`process ${pid} has no child`)
  return child
}

async function connect(room: NodeRoom, node: NodeFacts, index: number): Promise<void> {
  const { bridge, hostAddress, serviceRange } = node.network
  const link = `${bridge}n${index}`
  await ip('link', 'add', 'name', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(room.pid))
  await ip('link', 'set', link, 'master', bridge, 'up')
  const inside = async (...args: readonly string[]) => {
    const [program, ...words] = room.inside(['ip', ...args])
    await mustRun(program, words)
  }
  await inside('link', 'set', 'lo', 'up')
  await inside('address', 'add', `${node.address}/24`, 'dev', 'eth0')
  await inside('link', 'set', 'eth0', 'up')
  await inside('route', 'add', 'default', 'via', hostAddress)
  for (const other of [0, 1, 2, 3].filter((number) => number !== index).map(node.network.node))
    await inside('route', 'add', other.podRange, 'via', other.address)
  await ip('route', 'add', node.podRange, 'via', node.address)
  if (index === 0) await ip('route', 'add', serviceRange, 'via', node.address)
}

async function ip(...args: readonly string[]): Promise<void> {
  await mustRun('ip', args)
}
