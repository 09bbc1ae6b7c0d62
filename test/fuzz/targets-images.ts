/** Files of images that are looked into before anything starts, and archives that images come in. */
import type { FileHandle } from 'node:fs/promises'
import { ExpectedError } from '../../src/errors.ts'
import { parseElf } from '../../src/bundle/elf.ts'
import { checkExecutable } from '../../src/bundle/executable.ts'
import { readHookOutcome } from '../../src/bundle/hook-runner.ts'
import { parseGroup } from '../../src/bundle/passwd.ts'
import { resolveIdentity } from '../../src/bundle/user.ts'
import { containerView } from '../../src/bundle/view.ts'
import { indexTar } from '../../src/registry/tar-index.ts'
import { flattenImage } from '../../src/rootfs/flatten-image.ts'
import { visitTree } from '../../src/rootfs/tree.ts'
import type { LayerSemantics } from '../../src/image/layer-semantics.ts'
import { dir as treeDir, file as treeFile, link, tree } from '../bundle/tree.ts'
import { fullLinesOf, inChunks, MemorySink } from '../rootfs/flattened.ts'
import { buildElf } from '../support/elf.ts'
import { diffIdOf, dir, file, hardlink, layer, opaque, pax, symlink, whiteout } from '../support/layer.ts'
import type { Target } from './fuzzer.ts'
import { mutateBytes, mutateTar } from './mutate.ts'
import { LIMITS } from './targets-layers.ts'

const ELF_SEEDS = [
  buildElf(),
  buildElf({ interpreter: '/lib/ld.so', needed: ['libc.so.6'] }),
  Buffer.from('\u007fELF'),
]
/** The dynamic section is read up to 64 KiB, and an entry takes at least 8 bytes. */
const MAX_NEEDED = 8192

export const elfTarget: Target = {
  name: 'elf',
  seeds: ELF_SEEDS,
  mutate: mutateBytes,
  run: (input) => {
    const result = parseElf(treeFile(input))
    if ('elf' in result && result.elf.needed.length > MAX_NEEDED) throw new Error('more libraries than fit')
  },
}

/** Anything as the program of a container: a script, an ELF file, neither. */
export const programTarget: Target = {
  name: 'program',
  seeds: [
    ...ELF_SEEDS,
    Buffer.from('#!/bin/sh -e\n'),
    Buffer.from('#!/usr/bin/env -S sh -x\n'),
    Buffer.from('#!app\n'),
  ],
  mutate: mutateBytes,
  run: (input) => {
    const root = tree({
      app: treeFile(input),
      'bin/sh': treeFile(input),
      'usr/bin/env': link('/app'),
      'lib/ld.so': treeFile(input),
      'lib/libc.so.6': treeFile(input),
      'etc/ld.so.cache': treeFile(input),
      'etc/ld.so.conf': treeFile(input),
      tmp: treeDir(),
    })
    checkExecutable({
      view: containerView(root, []),
      path: '/app',
      identity: { uid: 1000, gid: 1000, additionalGids: [], home: '/', name: 'app' },
      platform: { os: 'linux', architecture: 'amd64' },
      field: 'spec.command',
      what: 'entrypoint',
    })
  },
}

export const usersTarget: Target = {
  name: 'users',
  seeds: [
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:\n',
    'app:x:1000:app,root\n',
    '+@nis::0:0:::\n',
  ].map((text) => Buffer.from(text)),
  mutate: mutateBytes,
  run: (input) => {
    parseGroup(input.toString('latin1'))
    const root = tree({ 'etc/passwd': treeFile(input), 'etc/group': treeFile(input) })
    const { uid, gid, additionalGids } = resolveIdentity('app', root)
    for (const id of [uid, gid, ...additionalGids])
      if (!(Number.isInteger(id) && id >= 0 && id < 2 ** 31)) throw new Error(`the id ${id} was read`)
  },
}

/** What a container may have put where its hooks leave their results. */
export const hooksTarget: Target = {
  name: 'hooks',
  seeds: ['0', '1 ', '137\n', '99999999999999999999'].map((text) => Buffer.from(text)),
  mutate: mutateBytes,
  run: (input) => {
    const text = input.toString('utf8')
    for (const name of ['failed', 'ok', 'running']) {
      const outcome = readHookOutcome({ [name]: text, '0.code': text, '0.stderr': text })
      const index =
        'failed' in outcome ? outcome.failed : 'unfinished' in outcome ? (outcome.running ?? 0) : 0
      if (!Number.isSafeInteger(index) || index < 0) throw new Error(`the hook number ${index} was read`)
    }
  },
}

/** The members of an `oci-archive:`, read in place. */
export const archiveTarget: Target = {
  name: 'archive',
  seeds: [
    layer([file('oci-layout', '{}'), file('./index.json', '{}'), dir('blobs'), symlink('l', 'index.json')]),
    layer([pax({ path: `blobs/sha256/${'a'.repeat(64)}`, size: '3' }), file('short', 'abc')]),
  ],
  mutate: mutateTar,
  run: async (input) => {
    const handle = {
      read: (into: Buffer, at: number, length: number, position: number) => {
        const bytesRead = input.copy(into, at, position, Math.min(input.length, position + length))
        return Promise.resolve({ bytesRead, buffer: into })
      },
    }
    // Nothing but `read` is called.
    const members = await indexTar(handle as unknown as FileHandle, input.length, 'archive')
    for (const { offset, size } of members.values())
      if (!(offset >= 0 && size >= 0 && offset + size <= input.length))
        throw new Error(`a member has ${size} bytes at ${offset} of ${input.length}`)
  },
}

const BASE = layer([
  dir('a', { mode: 0o700 }),
  file('a/f', 'base', { mode: 0o4755 }),
  symlink('l', 'a'),
  symlink('up', '../..'),
  hardlink('h', 'a/f'),
  dir('a/d'),
  file('a/d/x', 'x'),
])

/** A whole image, merged by the specification and as overlayfs nodes would: the second and third layer are the input. */
export const imageTarget: Target = {
  name: 'image',
  seeds: [
    layer([whiteout('a/f'), file('a/f', 'new'), opaque('a'), file('l/y', 'through'), hardlink('h2', 'h')]),
    layer([symlink('a', 'elsewhere'), file('a/z', 'z'), dir('l'), whiteout('l'), dir('elsewhere')]),
    layer([opaque(''), file('.wh..wh..plnk', ''), dir('a/d', { mode: 0o777 }), whiteout('up/a')]),
  ],
  mutate: mutateTar,
  run: async (input) => {
    const half = Math.floor(input.length / 1024) * 512
    const tars = [BASE, input, input.subarray(half)]
    const whole = await refusedOr(() => merged(tars, 'spec', 65_536))
    if (whole !== (await refusedOr(() => merged(tars, 'spec', 511))))
      throw new Error('the image means something else in other pieces')
    await merged(tars, 'overlayfs', 65_536)
  },
}

/** What is refused must be refused in any pieces. */
async function refusedOr(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ExpectedError) return error.reason
    throw error
  }
}

async function merged(tars: readonly Buffer[], semantics: LayerSemantics, cut: number): Promise<string> {
  const blobs = new Map<string, Buffer>(tars.map((tar) => [diffIdOf(tar), tar]))
  const mediaType = 'application/vnd.oci.image.layer.v1.tar'
  const {
    tree: root,
    divergences,
    dropped,
  } = await flattenImage({
    source: { blob: ({ digest }) => inChunks(blobs.get(digest) ?? Buffer.alloc(0), cut) },
    manifest: { layers: tars.map((tar) => ({ mediaType, digest: diffIdOf(tar), size: tar.length })) },
    config: { diffIds: tars.map(diffIdOf) },
    limits: LIMITS,
    semantics,
    sink: new MemorySink(),
    signal: new AbortController().signal,
  })
  visitTree(root, (_, names) => {
    const name = names.at(-1) ?? ''
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
      throw new Error(`${semantics}: the tree has the name ${JSON.stringify(name)}`)
  })
  return [...fullLinesOf(root), JSON.stringify([divergences, dropped])].join('\n')
}
