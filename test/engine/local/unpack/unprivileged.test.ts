/** Without root owners can't be kept: said before anything is written, or given up by the caller's own word. */
import { execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { diffIdOf, dir, file, layer, symlink } from '../../../support/layer.ts'
import { found, IS_ROOT, privateFolder } from './unpacked.ts'

const NOBODY = 65534
const MODULE = join(import.meta.dirname, '../../../../src/engine/local/unpack/unpack-image.ts')

/** Runs unpackImage as nobody in a process of its own; returns the report or the error as text. */
function unpackAsNobody(target: string, tar: Buffer, options: string): string {
  const script = `
    const { unpackImage } = await import(${JSON.stringify(MODULE)})
    const tar = Buffer.from(${JSON.stringify(tar.toString('base64'))}, 'base64')
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: '${diffIdOf(tar)}', size: tar.length }
    const input = { source: { blob: async function* () { yield tar } }, manifest: { layers: [layer] }, config: { diffIds: ['${diffIdOf(tar)}'] } }
    const options = { ...input, dir: ${JSON.stringify(target)}, signal: new AbortController().signal, ...${options} }
    try { console.log(JSON.stringify(await unpackImage(options))) } catch (error) { console.log(error.reason + ': ' + error.message) }
  `
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    uid: NOBODY,
    gid: NOBODY,
    encoding: 'utf8',
    cwd: '/',
  }).trim()
}

describe.runIf(IS_ROOT)('unpacking as nobody', () => {
  const tar = layer([
    dir('sealed', { mode: 0o500, uid: 7 }),
    file('sealed/su', 'x', { mode: 0o6755, uid: 7, mtime: 5 }),
    symlink('l', 'x', { uid: 9, mtime: 6 }),
    file('none', '', { mode: 0, mtime: 7 }),
  ])

  function folderOfNobody(): string {
    const folder = privateFolder()
    chownSync(folder, NOBODY, NOBODY)
    return folder
  }

  test('is refused by default', () => {
    const folder = folderOfNobody()
    expect(unpackAsNobody(join(folder, 'out'), tar, '{}')).toMatch(
      /^PermissionDenied: only root can give files the image's owners/,
    )
    expect(found(folder)).toEqual([])
  })

  test('gives a tree of its own, without setuid and setgid, when owners are given up', () => {
    const folder = folderOfNobody()
    expect(unpackAsNobody(join(folder, 'out'), tar, '{ keepIds: false }')).toContain('"entries":4')
    expect(found(join(folder, 'out', 'rootfs'))).toEqual([
      'd 500 65534:65534 1700000000.0000000000 - ./sealed',
      'f 0 65534:65534 7.0000000000 1 ./none',
      'f 755 65534:65534 5.0000000000 1 ./sealed/su',
      'l 777 65534:65534 6.0000000000 1 ./l x',
    ])
  })
})
