import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseElf } from '../../src/bundle/elf.ts'
import type { ElfFile } from '../../src/bundle/elf.ts'
import { machineFit, machineName } from '../../src/bundle/machine.ts'
import { buildElf } from '../support/elf.ts'
import type { ElfOptions } from '../support/elf.ts'
import { file, fromHost } from './tree.ts'

function parsed(options: ElfOptions): ElfFile {
  const result = parseElf(file(buildElf(options)))
  if ('problem' in result) throw new Error(result.why)
  return result.elf
}

describe('parseElf', () => {
  const shapes: ElfOptions[] = [
    { bits: 64, endian: 'little' },
    { bits: 64, endian: 'big', machine: 22 },
    { bits: 32, endian: 'little', machine: 40 },
    { bits: 32, endian: 'big', machine: 8 },
  ]

  test.each(shapes)('reads everything of a $bits bit, $endian endian file', (shape) => {
    const options = {
      ...shape,
      interpreter: '/lib/ld.so',
      needed: ['liba.so.1', 'libb.so'],
      soname: 'libme.so',
      runpath: '$ORIGIN/../lib:/opt',
    }
    expect(parsed(options)).toEqual({
      bits: shape.bits,
      endian: shape.endian,
      machine: shape.machine ?? 62,
      interpreter: '/lib/ld.so',
      needed: ['liba.so.1', 'libb.so'],
      soname: 'libme.so',
      rpath: [],
      runpath: ['$ORIGIN/../lib', '/opt'],
    })
  })

  test('reads a static program', () => {
    expect(parsed({ type: 2 })).toMatchObject({ interpreter: undefined, needed: [], rpath: [], runpath: [] })
  })

  test('forgets RPATH where there is RUNPATH, as loaders do', () => {
    expect(parsed({ rpath: '/a:/b' })).toMatchObject({ rpath: ['/a', '/b'], runpath: [] })
    expect(parsed({ rpath: '/a', runpath: '/b' })).toMatchObject({ rpath: [], runpath: ['/b'] })
  })

  test('reads real programs of this machine', () => {
    expect(parseElf(fromHost(process.execPath))).toMatchObject({
      elf: {
        bits: 64,
        interpreter: expect.stringMatching(/^\/lib.*ld-/),
        needed: expect.arrayContaining([expect.stringMatching(/^libc\./)]),
      },
    })
  })

  const good = buildElf({ interpreter: '/lib/ld.so', needed: ['liba.so'] })
  const patched = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good)
    change(bytes)
    return bytes
  }

  test.each<[string, Buffer, 'not-elf' | 'broken', RegExp]>([
    ['nothing', Buffer.alloc(0), 'not-elf', /magic/],
    ['text', Buffer.from('#!/bin/sh\n'), 'not-elf', /magic/],
    ['half the magic number', Buffer.from('\x7fEL'), 'not-elf', /magic/],
    ['the magic number only', Buffer.from('\x7fELF'), 'broken', /class/],
    ['an unknown class', patched((b) => b.writeUInt8(3, 4)), 'broken', /class/],
    ['an unknown byte order', patched((b) => b.writeUInt8(0, 5)), 'broken', /byte order/],
    ['a cut header', good.subarray(0, 60), 'broken', /within the ELF header/],
    ['an object file', buildElf({ type: 1 }), 'broken', /neither a program nor a library/],
    ['a core dump', buildElf({ type: 4 }), 'broken', /neither a program nor a library/],
    ['no program headers', patched((b) => b.writeUInt16LE(0, 56)), 'broken', /no program headers/],
    [
      'thousands of program headers',
      patched((b) => b.writeUInt16LE(60_000, 56)),
      'broken',
      /60000 program headers/,
    ],
    ['program headers of a wrong size', patched((b) => b.writeUInt16LE(55, 54)), 'broken', /impossible size/],
    [
      'program headers far away',
      patched((b) => b.writeBigUInt64LE(2n ** 63n, 32)),
      'broken',
      /beyond its end/,
    ],
    ['a cut file', good.subarray(0, good.length - 8), 'broken', /dynamic section lie beyond its end/],
    [
      'a loader without an end',
      patched((b) => b.write('x', 64 + 56 * 3 + '/lib/ld.so'.length)),
      'broken',
      /does not end/,
    ],
    [
      'a loader of a megabyte',
      patched((b) => b.writeBigUInt64LE(1n << 20n, 64 + 56 + 32)),
      'broken',
      /impossible length/,
    ],
  ])('refuses %s', (_, bytes, problem, why) => {
    expect(parseElf(file(bytes))).toEqual({ problem, why: expect.stringMatching(why) })
  })

  test('reads names one by one, however large their table is', () => {
    const long = `/${'x'.repeat(5000)}`
    const bytes = buildElf({ needed: ['liba.so'], runpath: long, soname: 'y'.repeat(100_000) })
    expect(parseElf(file(bytes))).toMatchObject({
      problem: 'broken',
      why: expect.stringMatching(/does not end/),
    })
    const node = file(buildElf({ needed: ['liba.so'], runpath: long, interpreter: '/lib/ld.so' }))
    const sizes: number[] = []
    const read = (max: number, offset?: number) => {
      sizes.push(max)
      return node.read(max, offset)
    }
    expect(parseElf({ ...node, read })).toMatchObject({ elf: { needed: ['liba.so'], runpath: [long] } })
    expect(Math.max(...sizes)).toBeLessThan(1024)
  })

  test('never throws and never reads much, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 12 }),
        fc.nat(good.length),
        (changes, length) => {
          const bytes = patched((b) => changes.forEach(([at, value]) => b.writeUInt8(value, at))).subarray(
            0,
            length,
          )
          const node = file(bytes)
          let read = 0
          const counting = {
            ...node,
            read: (max: number, offset?: number) => {
              read += max
              return node.read(max, offset)
            },
          }
          const result = parseElf(counting)
          expect('elf' in result || result.why.length > 0).toBe(true)
          expect(read).toBeLessThan(1 << 20)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('machineFit', () => {
  test.each<[string, ElfOptions, string, string]>([
    ['amd64 on amd64', {}, 'amd64', 'fits'],
    ['386 on amd64', { bits: 32, machine: 3 }, 'amd64', 'maybe'],
    ['x32 on amd64', { bits: 32, machine: 62 }, 'amd64', 'wrong'],
    ['arm64 on amd64', { machine: 183 }, 'amd64', 'wrong'],
    ['amd64 on arm64', {}, 'arm64', 'wrong'],
    ['arm on arm64', { bits: 32, machine: 40 }, 'arm64', 'maybe'],
    ['arm64 on arm', { machine: 183 }, 'arm', 'wrong'],
    ['little endian on s390x', { machine: 22 }, 's390x', 'wrong'],
    ['big endian on s390x', { machine: 22, endian: 'big' }, 's390x', 'fits'],
    ['big endian on ppc64le', { machine: 21, endian: 'big' }, 'ppc64le', 'wrong'],
    ['anything on an unknown platform', {}, 'sparc64', 'unknown'],
  ])('says of %s', (_, options, architecture, expected) => {
    expect(machineFit(parsed(options), { os: 'linux', architecture })).toBe(expected)
  })

  test('names machines as platforms do, or by number', () => {
    expect(machineName(parsed({ machine: 183 }))).toBe('arm64')
    expect(machineName(parsed({ machine: 9999 }))).toBe('ELF machine 9999, 64 bit, little endian')
  })
})
