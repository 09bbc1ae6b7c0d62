/** `make cluster` as its user has it: what it prints is typed as it stands, and so are the commands of a backup. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustRun } from '../../scripts/lib/run.ts'
import { pages } from '../architecture/markdown.ts'
import { ROOT } from '../delivery/tools.ts'
import { sweep } from './bed/clean.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'

const READY = 'kubectl wait --namespace play --for=condition=Ready capp/demo --timeout=2m'
const [SAVE, RESTORE] = pages()
  .filter((page) => page.path === 'docs/operations-kubernetes.md')
  .flatMap((page) => page.blocks)
  .filter(({ heading }) => heading === 'Backup and restore')
  .map(({ text }) => text)

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)('make cluster', () => {
  let owner: ChildProcess
  let printed: string
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'fairlead-play-'))
    const script = path.join(ROOT, 'scripts/cluster.ts')
    owner = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    printed = await untilPrinted(owner, /Ctrl-C/)
  })

  afterAll(async () => {
    owner.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
    await sweep()
  })

  /** As in another terminal: a shell that stops at the first command that fails. */
  function type(text: string): Promise<string> {
    const exports = printed.split('\n').filter((line) => line.startsWith('export '))
    return mustRun('sh', ['-euc', [...exports, text].join('\n')], { cwd: folder })
  }

  /** The command that a comment of what was printed tells. */
  function hint(what: string): string {
    return new RegExp(`^# ${what}.*?: ?(.*)$`, 'm').exec(printed)?.[1] ?? ''
  }

  test('installs Fairlead and runs an app with volumes by the commands that it prints', async () => {
    const said = await type(printed)
    expect(said).toContain('play/demo  Running')
    expect(said.match(/Image|Spec/g)?.length).toBeGreaterThan(4)
    expect(await type('kubectl get pvc --namespace play --output name | wc -l')).toBe('5\n')
  })

  test('lets its other words be typed as well', async () => {
    const ask = printed.split('\n').find((line) => line.includes('curl')) ?? ''
    const version = () => type(ask.slice(ask.indexOf('curl')))
    expect(await version()).toContain('10.12.0')
    await type(hint('Another version'))
    await expect.poll(version, { timeout: 180_000, interval: 500 }).toContain('10.12.1')
  })

  test('apps that were backed up as documented come back to their data, and can be applied as before', async () => {
    const claims = 'kubectl get pvc --namespace play --output jsonpath={.items[*].metadata.uid}'
    const before = await type(claims)
    await type(`${SAVE ?? ''}\nkubectl delete capp --all --namespace play`)
    await type(`${RESTORE ?? ''}\n${READY}`)
    expect(await type(claims)).toBe(before)
    const apply = printed.split('\n').find((line) => line.startsWith('kubectl apply')) ?? ''
    await type(apply)
    expect(await type(apply)).toContain('containerapp.fairlead.dev/demo unchanged')
    await type(READY)
  })

  test('ends at Ctrl-C with nothing left', async () => {
    const root = /^export KUBECONFIG=(.*)\/admin\.kubeconfig$/m.exec(printed)?.[1] ?? ''
    expect(existsSync(root)).toBe(true)
    const ended = once(owner, 'exit')
    owner.kill('SIGINT')
    expect(await ended).toEqual([0, null])
    expect(existsSync(root)).toBe(false)
  })
})

async function untilPrinted(child: ChildProcess, last: RegExp): Promise<string> {
  if (child.stdout === null) throw new Error('the program has no stdout')
  let text = ''
  for await (const line of createInterface({ input: child.stdout })) {
    text += `${line}\n`
    if (last.test(line)) return text
  }
  throw new Error(`the cluster ended before it said what to type: ${text}`)
}
