/**
 * Kill -9 of the controller after each of its durable writes, for `up`, `rebuild` and `down`: the next start
 * converges, nothing is lost, nothing is seeded twice, never two containers on one volume (invariant 9).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLocal } from '../../src/engine/local/open.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { dir, file } from '../support/layer.ts'
import { writeLayout } from '../support/layout.ts'
import { freePort } from '../support/free-ports.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const KEY = { namespace: 'default', name: 'sweep' }
/** More writes than any of the three takes; reaching it means that the sweep never ended by itself. */
const TOO_MANY = 80

/**
 * The app is its own witness: a second container can't get the port, a second seeding brings back what
 * the first start deleted.
 */
const WITNESS = [
  // Containers share the host's network: a port can be held by one of them only.
  '(nc -l -p "$PORT" 2>>/data/violations || echo "a second container?" >>/data/violations) &',
  'if [ -s /data/starts ] && [ -e /data/seed ]; then echo "seeded again" >>/data/violations; fi',
  'rm -f /data/seed',
  'echo "$VERSION" >>/data/starts',
  WAIT_FOREVER,
].join('\n')

interface Witness {
  readonly layout: string
  readonly port: number
}

async function makeWitness(sandbox: Sandbox): Promise<Witness> {
  const witness = { layout: path.join(sandbox.dir, 'layout'), port: await freePort() }
  await tagVersion(witness, 'v1')
  return witness
}

async function tagVersion({ layout, port }: Witness, version: string): Promise<void> {
  const parts = [
    dir('data', { uid: 2000, gid: 2000 }),
    file('data/seed', 'from the image\n', { uid: 2000, gid: 2000 }),
    file('data/kept', 'kept\n'),
  ]
  const config = { User: 'app', Volumes: ['/data'], Env: ['PATH=/bin', `VERSION=${version}`, `PORT=${port}`] }
  await writeLayout(layout, [{ tag: 'latest', image: busyboxImage({ run: WITNESS, parts, config }) }])
}

/** A controller that kills itself after its n-th write; resolves with how it ended, or undefined when it got Ready. */
async function controllerUntil(
  sandbox: Sandbox,
  crashAfterWrite: number,
  done: () => Promise<boolean>,
): Promise<'crashed' | 'done'> {
  const child = spawn(path.join(ROOT, 'bin/fairlead'), ['controller', '--engine', 'local'], {
    stdio: 'ignore',
    env: { ...process.env, ...sandbox.env, FAIRLEAD_CRASH_AFTER_WRITE: String(crashAfterWrite) },
  })
  let ended = false
  const exit = once(child, 'exit').then(() => {
    ended = true
  })
  await eventually(
    `the controller crashes at write ${crashAfterWrite} or gets done`,
    async () => ended || (await done()),
  )
  if (ended) return 'crashed'
  child.kill('SIGTERM')
  await exit
  return 'done'
}

async function submit(sandbox: Sandbox, { layout }: Witness): Promise<void> {
  const { apps } = openLocal({ stateDir: sandbox.state })
  await apps.submit([
    { key: KEY, resource: app('sweep', `oci:${layout}:latest`), baseDir: sandbox.dir, status: undefined },
  ])
}

async function isReady(sandbox: Sandbox, version: string): Promise<boolean> {
  const { apps, volumes } = openLocal({ stateDir: sandbox.state })
  const stored = await apps.read(KEY)
  const ready = stored?.status?.conditions?.find(({ type }) => type === 'Ready')
  const [volume] = await volumes.list(KEY)
  if (ready?.status !== 'True' || volume === undefined) return false
  const starts = existsSync(path.join(volume.dataDir, 'starts'))
    ? readFileSync(path.join(volume.dataDir, 'starts'), 'utf8')
    : ''
  return starts.trim().split('\n').at(-1) === version
}

async function expectIntact(sandbox: Sandbox): Promise<void> {
  const { volumes } = openLocal({ stateDir: sandbox.state })
  const stored = await volumes.list(KEY)
  expect(stored).toHaveLength(1)
  const data = stored[0]?.dataDir ?? ''
  const violations = path.join(data, 'violations')
  expect(existsSync(violations) ? readFileSync(violations, 'utf8') : '').toBe('')
  expect(readFileSync(path.join(data, 'kept'), 'utf8')).toBe('kept\n')
  // What the app did to its data at the first start is still so: nothing was replaced behind its back.
  expect(readFileSync(path.join(data, 'starts'), 'utf8').split('\n')[0]).toBe('v1')
  expect(existsSync(path.join(data, 'seed'))).toBe(false)
  const leftovers = (await readdir(stored[0]?.dir ?? '')).filter(
    (name) => name !== 'data' && name !== 'volume.json',
  )
  expect(leftovers).toEqual([])
  for (const store of ['layers', 'rootfs']) {
    const names = await readdir(path.join(sandbox.state, store))
    expect(names.filter((name) => name.startsWith('.'))).toEqual([])
  }
}

describe.each(['runc', 'crun'] as const)('under %s', (runtime) => {
  test('up converges after a crash at every write', async () => {
    for (let write = 1; ; write++) {
      expect(write).toBeLessThan(TOO_MANY)
      await using sandbox = await Sandbox.create({ runtime })
      const witness = await makeWitness(sandbox)
      await submit(sandbox, witness)
      const first = await controllerUntil(sandbox, write, () => isReady(sandbox, 'v1'))
      if (first === 'crashed') await controllerUntil(sandbox, 0, () => isReady(sandbox, 'v1'))
      await expectIntact(sandbox)
      if (first === 'done') {
        expect(write, 'the sweep must have crashed somewhere').toBeGreaterThan(5)
        break
      }
    }
  })

  test('rebuild converges after a crash at every write', async () => {
    for (let write = 1; ; write++) {
      expect(write).toBeLessThan(TOO_MANY)
      await using sandbox = await Sandbox.create({ runtime })
      const witness = await makeWitness(sandbox)
      await submit(sandbox, witness)
      await controllerUntil(sandbox, 0, () => isReady(sandbox, 'v1'))
      await tagVersion(witness, 'v2')
      const { apps } = openLocal({ stateDir: sandbox.state })
      await apps.change(KEY, (resource) => withRequest(resource))
      const first = await controllerUntil(sandbox, write, () => isReady(sandbox, 'v2'))
      if (first === 'crashed') await controllerUntil(sandbox, 0, () => isReady(sandbox, 'v2'))
      await expectIntact(sandbox)
      if (first === 'done') {
        expect(write, 'the sweep must have crashed somewhere').toBeGreaterThan(3)
        break
      }
    }
  })

  test('down ends the app and keeps its volume after a crash at every write', async () => {
    for (let write = 1; ; write++) {
      expect(write).toBeLessThan(TOO_MANY)
      await using sandbox = await Sandbox.create({ runtime })
      const witness = await makeWitness(sandbox)
      await submit(sandbox, witness)
      await controllerUntil(sandbox, 0, () => isReady(sandbox, 'v1'))
      const { apps, instances } = openLocal({ stateDir: sandbox.state })
      await apps.requestDeletion(KEY, false)
      const gone = async () => (await apps.read(KEY)) === undefined
      const first = await controllerUntil(sandbox, write, gone)
      if (first === 'crashed') await controllerUntil(sandbox, 0, gone)
      expect(await instances.list(KEY)).toEqual([])
      await expectIntact(sandbox)
      if (first === 'done') {
        expect(write, 'the sweep must have crashed somewhere').toBeGreaterThan(2)
        break
      }
    }
  })
})

function withRequest(resource: Record<string, unknown>): Record<string, unknown> {
  const metadata = resource['metadata'] as Record<string, unknown>
  return {
    ...resource,
    metadata: { ...metadata, annotations: { 'fairlead.dev/resolve-requested-at': 'sweep' } },
  }
}
