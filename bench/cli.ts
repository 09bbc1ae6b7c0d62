/**
 * Start of the command line against `node -e 0`, in the same run: `npx node bench/cli.ts [rounds]`. The target is 4 × with a
 * warm compile cache; `bin/fairlead` is measured as users run it, shell included.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalAppStore } from '../src/engine/local/app-store.ts'
import { statePaths } from '../src/engine/local/paths.ts'
import { compare, type Contestant } from './lib/compare.ts'

const ROOT = join(import.meta.dirname, '..')
const TARGET = 4
const DIGEST = `sha256:${'a'.repeat(64)}` as const

const rounds = Number(process.argv[2] ?? 15)
const state = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
try {
  await writeApps(state, 20)
  const fairlead = `FAIRLEAD_STATE=${state} ${join(ROOT, 'bin/fairlead')}`
  const contestants: readonly Contestant[] = [
    { name: 'node -e 0', command: `${join(ROOT, 'node_modules/.bin/node')} -e 0` },
    { name: 'fairlead --help', command: `${fairlead} --help` },
    { name: 'fairlead status (20 apps)', command: `${fairlead} status` },
    { name: 'fairlead status app-3', command: `${fairlead} status app-3` },
  ]
  // The first run of each fills the compile cache.
  for (const { command } of contestants) spawnSync('sh', ['-c', command])
  const results = compare(
    contestants,
    rounds,
    () => state,
    () => undefined,
  )
  const base = results[0]?.medianSeconds ?? Number.NaN
  const rows = results.map(({ name, medianSeconds, seconds }) => {
    const ratio = medianSeconds / base
    return `| ${name} | ${ms(medianSeconds)} | ${ms(Math.min(...seconds))} | ${ratio.toFixed(2)} × | ${ratio <= TARGET ? 'yes' : 'no'} |`
  })
  console.log(
    ['| | median ms | best ms | against node | within 4 × |', '|---|---|---|---|---|', ...rows].join('\n'),
  )
} finally {
  rmSync(state, { recursive: true, force: true })
}

function ms(seconds: number): string {
  return (seconds * 1000).toFixed(0)
}

/** Apps as a controller would have left them. */
async function writeApps(dir: string, count: number): Promise<void> {
  const store = new LocalAppStore(statePaths(dir))
  const now = new Date().toISOString()
  for (let index = 0; index < count; index += 1) {
    const key = { namespace: 'default', name: `app-${index}` }
    const image = {
      reference: 'example/app:1',
      canonical: 'docker.io/example/app:1',
      digest: DIGEST,
      resolvedAt: now,
    }
    const ready = {
      type: 'Ready',
      status: 'True' as const,
      reason: 'Running',
      message: 'the app is running',
      lastTransitionTime: now,
    }
    const resource = {
      apiVersion: 'fairlead.dev/v1alpha1',
      kind: 'ContainerApp',
      metadata: { ...key },
      spec: { image: image.reference },
    }
    await store.submit([{ key, resource, baseDir: '/', status: undefined }])
    await store.writeStatus(key, {
      observedGeneration: 1,
      image,
      volumes: [],
      workload: { replicas: 1, ready: 1, revision: 'abc' },
      conditions: [ready],
    })
  }
}
