/**
 * Row 3, read-only layouts: `oci:` and `oci-archive:` are read without a single write, whatever keeps them from being
 * written, and while somebody else rewrites them (rules L1, L2, L7).
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { busyboxImage } from '../support/busybox-image.ts'
import { layoutIndex, writeArchive, writeLayout } from '../support/layout.ts'
import { runProgram } from '../support/sandbox.ts'

const FAIRLEAD = path.join(import.meta.dirname, '../../bin/fairlead')
const NOBODY = [
  'setpriv',
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--inh-caps=+dac_read_search',
  '--ambient-caps=+dac_read_search',
  '--',
]
const CHANGING_CALLS = [
  'openat',
  'open',
  'creat',
  'unlink',
  'unlinkat',
  'rename',
  'renameat',
  'renameat2',
  'mkdir',
  'mkdirat',
  'rmdir',
  'chmod',
  'fchmod',
  'fchmodat',
  '?fchmodat2',
  'chown',
  'fchown',
  'lchown',
  'fchownat',
  'utimensat',
  'utime',
  'utimes',
  'truncate',
  'ftruncate',
  'link',
  'linkat',
  'symlink',
  'symlinkat',
  'setxattr',
  'lsetxattr',
  'fsetxattr',
  'removexattr',
  'mknod',
  'mknodat',
  'flock',
  'fallocate',
]

interface Place {
  /** What is given to the command line. */
  readonly reference: string
  /** File or folder that must not change. */
  readonly watched: readonly string[]
  readonly cleanUp?: () => void
  readonly runAs?: readonly string[]
}

/** Everything that a write would change: content, modes, owners, sizes, modification and change times. */
function fingerprint(roots: readonly string[]): string {
  const hash = createHash('sha256')
  const visit = (file: string) => {
    const stats = lstatSync(file, { bigint: true })
    hash.update(
      `${file} ${stats.mode} ${stats.uid} ${stats.gid} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs} ${stats.nlink}\n`,
    )
    if (stats.isSymbolicLink()) hash.update(readlinkSync(file))
    else if (stats.isFile()) hash.update(readFileSync(file))
    else if (stats.isDirectory())
      for (const name of readdirSync(file).toSorted()) visit(path.join(file, name))
  }
  for (const root of roots) visit(root)
  return hash.digest('hex')
}

const PLACES: readonly (readonly [string, (work: string) => Promise<Place>])[] = [
  [
    'a read-only bind mount',
    async (work) => {
      const layout = await plainLayout(work)
      const mountPoint = path.join(work, 'mounted')
      await mkdir(mountPoint)
      execFileSync('mount', ['--bind', layout, mountPoint])
      execFileSync('mount', ['-o', 'remount,bind,ro', mountPoint])
      return {
        reference: `oci:${mountPoint}:latest`,
        watched: [mountPoint],
        cleanUp: () => execFileSync('umount', [mountPoint]),
      }
    },
  ],
  [
    'a folder without write permission, as nobody',
    async (work) => {
      const layout = await plainLayout(work)
      execFileSync('chmod', ['-R', 'a-w,a+rX', layout])
      execFileSync('chmod', ['a+rx', work])
      return { reference: `oci:${layout}:latest`, watched: [layout], runAs: NOBODY }
    },
  ],
  [
    'immutable files and folders',
    async (work) => {
      const layout = await plainLayout(work)
      execFileSync('chattr', ['-R', '+i', layout])
      return {
        reference: `oci:${layout}:latest`,
        watched: [layout],
        cleanUp: () => execFileSync('chattr', ['-R', '-i', layout]),
      }
    },
  ],
  [
    'blobs that are symlinks out of the layout, as rules_oci makes them',
    async (work) => {
      const layout = await plainLayout(work)
      const store = path.join(work, 'elsewhere')
      await rename(path.join(layout, 'blobs/sha256'), store)
      await mkdir(path.join(layout, 'blobs/sha256'))
      for (const name of readdirSync(store))
        await symlink(path.join('../../../elsewhere', name), path.join(layout, 'blobs/sha256', name))
      return { reference: `oci:${layout}:latest`, watched: [layout, store] }
    },
  ],
  [
    'an archive',
    async (work) => {
      const archive = path.join(work, 'image.tar')
      await writeArchive(archive, [{ tag: 'latest', image: busyboxImage() }])
      return { reference: `oci-archive:${archive}:latest`, watched: [archive] }
    },
  ],
]

async function plainLayout(work: string): Promise<string> {
  const layout = path.join(work, 'layout')
  await writeLayout(layout, [{ tag: 'latest', image: busyboxImage() }])
  return layout
}

async function inWorkFolder(use: (work: string) => Promise<void>): Promise<void> {
  const work = await mkdtemp(path.join(tmpdir(), 'fairlead-row3-'))
  try {
    await use(work)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

describe.each(PLACES)('%s', (_title, make) => {
  test('is resolved, inspected and unpacked without a write', async () => {
    await inWorkFolder(async (work) => {
      const place = await make(work)
      try {
        const before = fingerprint(place.watched)
        const prefix = place.runAs ?? []
        await expectNoWrites(work, place, [...prefix, FAIRLEAD, 'resolve', place.reference, '-o', 'json'])
        await expectNoWrites(work, place, [...prefix, FAIRLEAD, 'inspect', place.reference, '-o', 'json'])
        await expectNoWrites(work, place, [FAIRLEAD, 'unpack', place.reference, path.join(work, 'out')])
        expect(fingerprint(place.watched)).toBe(before)
        expect(readdirSync(path.join(work, 'out/rootfs/bin'))).toContain('busybox')
      } finally {
        place.cleanUp?.()
      }
    })
  })
})

/** Runs under strace; no call that could change anything names a watched path. */
async function expectNoWrites(work: string, place: Place, command: readonly string[]): Promise<void> {
  const trace = path.join(work, 'trace')
  const result = await runProgram('strace', [
    '-f',
    '-y',
    '-o',
    trace,
    '-e',
    `trace=${CHANGING_CALLS.join(',')}`,
    ...command,
  ])
  expect(result.code, result.stderr).toBe(0)
  const lines = (await readFile(trace, 'utf8'))
    .split('\n')
    .filter((line) => place.watched.some((file) => line.includes(file)))
  expect(lines.length, 'strace must have seen us read the layout').toBeGreaterThan(0)
  const writing = lines.filter(
    (line) => !/ open(at)?\(/.test(line) || /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE/.test(line),
  )
  expect(writing).toEqual([])
}

test('is read right while another process rewrites index.json in place all the time', async () => {
  await inWorkFolder(async (work) => {
    const layout = path.join(work, 'layout')
    const images = [busyboxImage({ run: 'one' }), busyboxImage({ run: 'another one, of another length' })]
    await writeLayout(layout, [{ tag: 'latest', image: images[0] ?? busyboxImage() }])
    for (const [index, image] of images.entries()) {
      await writeLayout(layout, [{ tag: 'latest', image }])
      await writeFile(
        path.join(work, `index-${index}`),
        JSON.stringify(layoutIndex([{ tag: 'latest', image }])),
      )
    }
    // Truncate, then write in two halves: a reader without care sees every torn state. Whole it stays for a moment, as
    // with any builder: a machine that is busy would else never see it twice alike.
    const script =
      'i=0; while :; do i=$((1-i)); s=$(wc -c <"$1/index-$i"); head -c $((s/2)) "$1/index-$i" >"$1/layout/index.json"; tail -c +$((s/2+1)) "$1/index-$i" >>"$1/layout/index.json"; sleep 0.02; done'
    const writer = spawn('sh', ['-c', script, 'sh', work], { stdio: 'ignore' })
    try {
      const digests = new Set<string>(images.map(({ digest }) => digest))
      let answers = 0
      for (let round = 0; round < 12 || (answers === 0 && round < 200); round++) {
        const result = await runProgram(FAIRLEAD, ['resolve', `oci:${layout}:latest`, '-o', 'json'])
        // A layout that never holds still may be refused, in words; it is never misread.
        if (result.code === 0) {
          answers += 1
          expect(digests).toContain((JSON.parse(result.stdout) as { digest: string }).digest)
        } else expect(result.stderr).toMatch(/^LayoutInvalid: /m)
      }
      expect(answers).toBeGreaterThan(0)
    } finally {
      writer.kill('SIGKILL')
      await once(writer, 'exit')
    }
  })
})
