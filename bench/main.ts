/**
 * Runs every benchmark and writes docs/performance.md from what they print: `make bench`. Ratios are against peers in
 * the same run on the same machine; absolute figures carry the machine's shape and mean little elsewhere. With names
 * (`npx node bench/main.ts unpack resolve`) only these run, and the other sections stay as they are.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { argv } from 'node:process'

const ROOT = join(import.meta.dirname, '..')
const PAGE = join(ROOT, 'docs/performance.md')

const BENCHMARKS: readonly (readonly [title: string, file: string, about: string])[] = [
  [
    'Unpacking',
    'unpack.ts',
    'A generated image of 1.26 GiB in about 60,000 entries and three layers, the real PostgreSQL image, and two images that share nine tenths of their layers, on a tmpfs and on a disk. Ours verifies blob digests and DiffIDs and merges by the image spec; `gzip | tar` does neither. On the disk all of them count until their data is there. Of containerd only the import counts, without the start of its daemon.',
  ],
  [
    'From `up` to running',
    'up.ts',
    'An image that is already unpacked, one volume that exists. The floor is `runc run -d` of the same image. What lies between is the start of the command line, a submission written durably, the checks, and the supervisor.',
  ],
  [
    'Start of the command line',
    'cli.ts',
    'Against `node -e 0`, the least that a program in this language takes.',
  ],
  ['References', 'reference.ts', 'Parsing image references, ordinary and adversarial.'],
  [
    'From a tag to a digest',
    'resolve.ts',
    'Times against a real registry on loopback; requests, memory and manners against one of the tests. `crane` and `skopeo` are a process for each tag, as scripts use them.',
  ],
  [
    'The controller on a cluster',
    'cluster-scale.ts',
    'A real API server on etcd without nodes; Deployments become available by a process that patches their status. Each resource has an image (ten of them, in a registry on loopback), five variables and a port: a Deployment and a Service. The controller is compiled JavaScript with the arguments of `manifests/`, a service account and the memory limit of its pod. API server, etcd, registry and that process share the machine with it. The plain loop sends the same writes, as many at a time as the controller has workers.',
  ],
  [
    'Change of leader',
    'cluster-failover.ts',
    'Two controllers and one Lease, while a user edits ten times a second. Overlaps are writes of the old leader after the first one of the new, by the audit log.',
  ],
  [
    'Memory of an informer',
    'informer-memory.ts',
    'Ten thousand objects of about 2.9 KB, against a server in a process of its own.',
  ],
  [
    'Informer under faults',
    'informer-faults.ts',
    'The fault table of the informer against a real API server, with the informer of `@kubernetes/client-node` beside it: alone, and restarted five seconds after each error.',
  ],
]

function main(): void {
  const wanted = argv.slice(2)
  const unknown = wanted.find((name) => !BENCHMARKS.some(([, file]) => file === `${name}.ts`))
  if (unknown !== undefined) throw new Error(`there is no benchmark ${unknown}`)
  const page = readFileSync(PAGE, 'utf8')
  const sections = BENCHMARKS.map(([title, file, about]) => {
    if (wanted.length > 0 && !wanted.includes(file.replace(/\.ts$/, ''))) return sectionOf(page, title)
    return `## ${title}\n\n${about} Command: \`npx node bench/${file}\`.\n\n${run(file)}\n`
  })
  writeFileSync(PAGE, [header(), ...sections.filter((section) => section !== undefined)].join('\n'))
}

function run(file: string): string {
  process.stderr.write(`bench: ${file}\n`)
  const result = spawnSync(process.execPath, [join(import.meta.dirname, file)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  })
  if (result.status !== 0) throw new Error(`${file} ended with ${String(result.status)}`)
  process.stdout.write(`${result.stdout}\n`)
  return result.stdout.trim()
}

/** As it stands on the page; undefined when it was never measured. */
function sectionOf(page: string, title: string): string | undefined {
  const section = page.split(/^(?=## )/m).find((text) => text.startsWith(`## ${title}\n`))
  return section === undefined ? undefined : `${section.trimEnd()}\n`
}

function header(): string {
  const [cpu] = cpus()
  const version = (program: string) =>
    execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.trim() ?? ''
  return `# Performance

Tables are written by \`make bench\`, a section when its benchmark was last run. Ratios compare programs in the same run on
the same machine. Generated images stay for the next run, 1.4 GiB each in \`/dev/shm/fairlead-bench\` and
\`/var/tmp/fairlead-bench\`: remove them when you are done. The machine of this run: ${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory, Linux ${release().split('-')[0] ?? ''}, Node ${process.versions.node}, ${version('runc')}, ${version('crun')}, ${version('umoci')}, ${version('buildah')}.
`
}

main()
