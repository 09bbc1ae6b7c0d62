/** Nothing of a bed is left: not after its end, and not after its owner was killed. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, test } from 'vitest'
import { mustRun } from '../../scripts/lib/run.ts'
import { busyboxImage } from '../support/busybox-image.ts'
import { startBed } from './bed/bed.ts'
import { sweep } from './bed/clean.ts'
import { isClusterMissing } from './bed/test-cluster.ts'

const CLUSTER = path.join(import.meta.dirname, '../../scripts/cluster.ts')
const started: number[] = []
const isMissing = await isClusterMissing()

afterAll(async () => {
  for (const pid of started) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL')
  await sweep()
})

test.skipIf(isMissing)('stopping a bed with pods, mounts and service rules leaves nothing', async () => {
  const before = await machineFacts()
  const bed = await startBed()
  const { root, network } = bed.plane
  const image = await bed.registry.push('test/app', '1', busyboxImage())
  await bed.plane.kubectl(['create', 'deployment', 'app', `--image=${image}`, '--port=80'])
  await bed.plane.kubectl(['expose', 'deployment', 'app'])
  await bed.plane.kubectl(['rollout', 'status', 'deployment/app', '--timeout=60s'])
  expect(processesOf(root).length).toBeGreaterThan(10)
  const cgroups = cgroupsOf(root)
  expect(cgroups).not.toEqual([])
  expect(await bed.node.run('iptables-save')).toContain('KUBE-SERVICES')
  await bed.stop()
  expect(processesOf(root)).toEqual([])
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(root)
  expect(cgroups.filter((folder) => existsSync(folder))).toEqual([])
  expect(existsSync(`/sys/class/net/${network?.bridge ?? ''}`)).toBe(false)
  expect(existsSync(root)).toBe(false)
  expect(await machineFacts()).toEqual(before)
})

test.skipIf(isMissing)('what a killed owner left is swept by the next', async () => {
  const before = await machineFacts()
  const owner = spawn(process.execPath, [CLUSTER], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (owner.pid !== undefined) started.push(owner.pid)
  const root = await announcedRoot(owner.stdout)
  const kubectl = path.join(root, 'bin/kubectl')
  const env = { KUBECONFIG: path.join(root, 'admin.kubeconfig') }
  expect(await mustRun(kubectl, ['get', 'nodes', '-o', 'name'], { env })).toBe('node/node0\n')
  const ended = new Promise((resolve) => owner.once('exit', resolve))
  owner.kill('SIGKILL')
  await ended
  expect(processesOf(root).length).toBeGreaterThan(5)
  const bridge = `/sys/class/net/${readFileSync(path.join(root, 'bridge'), 'utf8')}`
  expect(existsSync(bridge)).toBe(true)
  await sweep()
  expect(processesOf(root)).toEqual([])
  expect(existsSync(bridge)).toBe(false)
  expect(existsSync(root)).toBe(false)
  expect(await machineFacts()).toEqual(before)
})

async function announcedRoot(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const [, file] = /^export KUBECONFIG=(.*)$/.exec(line) ?? []
    if (file !== undefined) return path.dirname(file)
  }
  throw new Error('the cluster ended before it said where it is')
}

/** All that work below the root, or live among its mounts: the node's programs and the containers' as well. */
function processesOf(root: string): readonly string[] {
  return pidsOf(root).map((pid) => `${pid} ${factOf(pid, 'cmdline').replaceAll('\0', ' ').slice(0, 80)}`)
}

function pidsOf(root: string): readonly string[] {
  const name = path.basename(root)
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => ['cmdline', 'mountinfo'].some((file) => factOf(pid, file).includes(name)))
}

/** Folders of the containers' cgroups, in whichever hierarchies the machine has. */
function cgroupsOf(root: string): readonly string[] {
  const lines = pidsOf(root).flatMap((pid) => factOf(pid, 'cgroup').split('\n'))
  const inside = new Set(
    lines.map((line) => line.split(':')[2] ?? '').filter((name) => name.includes('k8s.io')),
  )
  const hierarchies = ['', ...readdirSync('/sys/fs/cgroup')]
  return hierarchies
    .flatMap((hierarchy) => [...inside].map((name) => path.join('/sys/fs/cgroup', hierarchy, name)))
    .filter((folder) => existsSync(folder))
}

function factOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

/** What a node could leave on the machine itself. Rules of packet filters are only those with Kubernetes' names. */
async function machineFacts(): Promise<unknown> {
  const rules = await mustRun('iptables-save', [])
  const loops = await mustRun('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'])
  return {
    rules: rules.split('\n').filter((line) => /KUBE|CNI/.test(line)),
    loops: loops.split('\n').filter((line) => line.includes('fairlead-bed')),
    folders: [
      '/var/lib/cni',
      '/var/lib/kubelet',
      '/var/log/pods',
      '/var/log/containers',
      '/run/containerd',
    ].map((folder) => existsSync(folder)),
  }
}
