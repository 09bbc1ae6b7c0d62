/**
 * What it takes to find out which digest a tag names: requests, time, memory, manners. `npx node bench/resolve.ts [rounds]
 * [tags]`. The registry of the times is Debian's docker-registry on loopback; that of the counts is one of the tests'.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { registryBinaries } from '../scripts/lib/registry-binaries.ts'
import { buildImage, pushImage, retag } from '../test/support/layout.ts'
import { file, layer } from '../test/support/layer.ts'
import { startHostileRegistry } from '../test/support/hostile-registry.ts'
import { startRegistry } from '../test/support/real-registry.ts'
import { compare, markdownTable } from './lib/compare.ts'
import { memoryNow } from './lib/memory-use.ts'
import { countQuestions } from './lib/question-count.ts'
import { craneStorm, ourOutage, ourStorm } from './lib/storm.ts'
import type { StormResult } from './lib/storm.ts'

const WIDTH = 16
const LISTED = 100_000
const ROUNDS = Number(process.argv[2] ?? 5)
const TAGS = Number(process.argv[3] ?? 1000)
const ASK = path.join(import.meta.dirname, 'lib/ask-tags.ts')

const { crane } = await registryBinaries()
console.log(`${await counts()}\n`)
console.log(`${await times()}\n`)
console.log(`${await memory()}\n`)
console.log(await manners())

async function counts(): Promise<string> {
  const found = await countQuestions()
  return [
    '| Requests | |',
    '|---|---|',
    `| first question, with a token server | ${found.firstWithToken} |`,
    `| each later one | ${found.laterWithToken} |`,
    `| a hundred resources with one tag, at once | ${found.hundredAtOnce} |`,
    `| a tag watched hourly for a (simulated) day: HEAD | ${found.dayHeads} |`,
    `| the same: GET, which registries count as pulls | ${found.dayGets} |`,
  ].join('\n')
}

/** The digests of so many tags, sixteen questions at a time. */
async function times(): Promise<string> {
  const registry = await startRegistry()
  try {
    await pushTags(registry.host)
    const names = `seq 0 ${TAGS - 1} | sed 's|^|${registry.host}/bench/app:t|'`
    const ours = `${TAGS} tags: Fairlead, one process`
    const results = compare(
      [
        { name: ours, command: `${process.execPath} ${ASK} digests ${registry.host} ${TAGS} ${WIDTH}` },
        { name: `xargs -P${WIDTH} crane digest`, command: `${names} | xargs -P${WIDTH} -n1 ${crane} digest` },
        {
          name: `xargs -P${WIDTH} skopeo inspect --raw`,
          command: `${names} | sed 's|^|docker://|' | xargs -P${WIDTH} -n1 skopeo inspect --tls-verify=false --raw`,
        },
      ],
      ROUNDS,
      () => '',
      () => undefined,
    )
    return markdownTable(results, ours)
  } finally {
    await registry.stop()
  }
}

async function pushTags(host: string): Promise<void> {
  const image = buildImage({ layers: [layer([file('a', 'bench')])] })
  await pushImage(host, 'bench/app', 't0', image)
  // One after the other: the registry's writes to one repository are not safe beside each other.
  for (let n = 1; n < TAGS; n += 1) await retag(host, 'bench/app', 't0', `t${n}`)
}

/** Most memory while a list of a hundred thousand tags is read; ours beside what Node takes by itself. */
async function memory(): Promise<string> {
  const registry = await startHostileRegistry()
  for (let n = 0; n < LISTED; n += 1) registry.tag('bench/app', `v1.${n}.0-build.${n}`)
  const answer = await peakOf(process.execPath, [ASK, 'list', registry.host])
  const { moreMb } = JSON.parse(answer.stdout) as { readonly moreMb: number }
  const others = [
    ['crane ls', crane, ['ls', `${registry.host}/bench/app`]],
    [
      'skopeo list-tags',
      'skopeo',
      ['list-tags', '--tls-verify=false', `docker://${registry.host}/bench/app`],
    ],
  ] as const
  const rows = [`| Fairlead | ${answer.peakMb.toFixed(0)} | ${moreMb.toFixed(0)} |`]
  for (const [name, program, args] of others)
    rows.push(`| ${name} | ${(await peakOf(program, args)).peakMb.toFixed(0)} | |`)
  await registry.stop()
  return [`| ${LISTED} tags listed | peak MB | of it for the list |`, '|---|---|---|', ...rows].join('\n')
}

/** The kernel keeps the peak; it is read again and again, because it goes with the process. */
async function peakOf(
  program: string,
  args: readonly string[],
): Promise<{ readonly peakMb: number; readonly stdout: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const parts: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => parts.push(chunk))
  let peakMb = 0
  const timer = setInterval(() => {
    if (child.pid !== undefined && child.exitCode === null) peakMb = Math.max(peakMb, peakNow(child.pid))
  }, 2)
  await once(child, 'close')
  clearInterval(timer)
  return { peakMb, stdout: Buffer.concat(parts).toString('utf8') }
}

function peakNow(pid: number): number {
  try {
    return memoryNow(pid).peakMb || 0
  } catch {
    // Gone between two looks.
    return 0
  }
}

async function manners(): Promise<string> {
  const outage = await ourOutage()
  const row = (name: string, { requests, tooEarly, minutes, found }: StormResult) =>
    `| ${name} | ${requests} | ${tooEarly} | ${found} | ${minutes.toFixed(1)} |`
  return [
    '| 200 tags, ten requests a minute let through | requests | before `Retry-After` was over | found | minutes |',
    '|---|---|---|---|---|',
    row('Fairlead, until all are found (simulated time)', await ourStorm()),
    row('`xargs -P16 crane digest`, one pass', await craneStorm(crane)),
    '',
    `While a registry answered 503 for a (simulated) minute, the same 200 tags cost it ${outage.during} requests; ${outage.recoverySeconds.toFixed(0)} s after its recovery all were found.`,
  ].join('\n')
}
