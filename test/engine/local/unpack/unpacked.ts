/** Unpacks fixtures to a private folder and reads back what is really on disk, by tools that are not ours. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Descriptor } from '../../../../src/image/types.ts'
import {
  unpackImage,
  type UnpackInput,
  type UnpackReport,
} from '../../../../src/engine/local/unpack/unpack-image.ts'
import { inChunks } from '../../../rootfs/flattened.ts'
import { diffIdOf, layer, type LayerPart } from '../../../support/layer.ts'

/** The tests run as root where owners matter; elsewhere they are named as skipped. */
export const IS_ROOT = process.geteuid?.() === 0

export function privateFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'unpack-test-'))
  chmodSync(dir, 0o755)
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Manifest, config and source of an image made of these tars. */
export function imageOf(tars: readonly Buffer[]): Pick<UnpackInput, 'manifest' | 'config' | 'source'> {
  const layers = tars.map((tar): Descriptor => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: diffIdOf(tar),
    size: tar.length,
  }))
  const blobs = new Map(tars.map((tar) => [diffIdOf(tar), tar]))
  return {
    manifest: { layers },
    config: { diffIds: tars.map(diffIdOf) },
    source: { blob: ({ digest }) => inChunks(blobs.get(digest) ?? Buffer.alloc(0)) },
  }
}

export function unpack(
  dir: string,
  layers: readonly (readonly LayerPart[])[],
  options: Partial<UnpackInput> = {},
): Promise<UnpackReport> {
  return unpackTars(
    dir,
    layers.map((parts) => layer(parts)),
    options,
  )
}

export function unpackTars(
  dir: string,
  tars: readonly Buffer[],
  options: Partial<UnpackInput> = {},
): Promise<UnpackReport> {
  return unpackImage({ ...imageOf(tars), signal: new AbortController().signal, dir, ...options })
}

/** One line a name, by find(1): type, mode, owner, exact time, link target, link count of files. Sorted. */
export function found(dir: string): string[] {
  const output = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%y %m %U:%G %T@ %n %p %l\\0'], {
    cwd: dir,
    encoding: 'latin1',
  })
  return output
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^d (\S+ \S+ \S+) \d+/, 'd $1 -').replace(/ $/, ''))
    .sort()
}

/** `path name=0x…` of every extended attribute, by getfattr(1). */
export function foundXattrs(dir: string): string[] {
  const output = execFileSync(
    'getfattr',
    ['-R', '-P', '-h', '-d', '-m', '^(user|security.capability|trusted)', '-e', 'hex', '.'],
    { cwd: dir, encoding: 'latin1' },
  )
  return output
    .split('\n\n')
    .flatMap((block) => {
      const [head, ...lines] = block.split('\n').filter((line) => line !== '')
      return lines.map((line) => `${(head ?? '').replace('# file: ', '')} ${line}`)
    })
    .sort()
}
