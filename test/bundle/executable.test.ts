import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checkExecutable } from '../../src/bundle/executable.ts'
import type { ExecutableCheck } from '../../src/bundle/executable-issues.ts'
import type { Identity, MountView } from '../../src/bundle/types.ts'
import { containerView } from '../../src/bundle/view.ts'
import type { Reason } from '../../src/errors.ts'
import type { FileNode } from '../../src/rootfs/types.ts'
import { buildElf } from '../support/elf.ts'
import { ROOT } from './input.ts'
import { dir, file, fromHost, link, special, tree } from './tree.ts'

const USER: Identity = { uid: 2000, gid: 2000, additionalGids: [2000, 50], home: '/', name: undefined }
const STATIC = buildElf({ type: 2 })
const LOADER = '/lib64/ld-linux-x86-64.so.2'

/** An image with a static program, a shell, env, a loader and a library. */
const BASE: Record<string, FileNode> = {
  'bin/app': file(STATIC),
  'bin/sh': file(STATIC),
  'usr/bin/env': file(STATIC),
  'lib64/ld-linux-x86-64.so.2': file(buildElf({ soname: 'ld-linux-x86-64.so.2' })),
  'lib/x86_64-linux-gnu/libc.so.6': file(buildElf({ soname: 'libc.so.6', needed: ['ld-linux-x86-64.so.2'] })),
}

interface World extends Partial<Omit<ExecutableCheck, 'view' | 'field'>> {
  readonly files?: Record<string, FileNode>
  readonly mounts?: readonly MountView[]
}

function check(path: string, world: World = {}) {
  const { files = {}, mounts = [], ...rest } = world
  return checkExecutable({
    view: containerView(tree({ ...BASE, ...files }), mounts),
    path,
    identity: ROOT,
    platform: { os: 'linux', architecture: 'amd64' },
    field: 'spec.command[0]',
    what: 'entrypoint',
    ...rest,
  })
}

function volume(destination: string, files: Record<string, FileNode>, noexec = false): MountView {
  return { destination, tree: tree(files), noexec, label: `volume ${destination}` }
}

describe('checkExecutable finds nothing wrong with', () => {
  test.each<[string, string, World]>([
    ['a static program', '/bin/app', {}],
    ['one for a plain user', '/bin/app', { identity: USER }],
    ['a hook by its full path', '/bin/app', { what: 'hook' }],
    ['a command found in PATH', 'app', { searchPath: '/sbin:/bin' }],
    ['a command in the usual PATH when none is set', 'app', {}],
    [
      'a command in the working directory, by an empty folder of PATH',
      'app',
      { searchPath: '/none::', cwd: '/bin' },
    ],
    [
      'a later command of PATH where the first may not be executed',
      'tool',
      { searchPath: '/a:/b', files: { 'a/tool': file(STATIC, { mode: 0o644 }), 'b/tool': file(STATIC) } },
    ],
    [
      'a later command of PATH where the first is a directory',
      'tool',
      { searchPath: '/a:/b', files: { 'a/tool': dir(), 'b/tool': file(STATIC) } },
    ],
    ['a path relative to the working directory', './app', { cwd: '/bin' }],
    ['an absolute symlink', '/run', { files: { run: link('/bin/app') } }],
    ['a symlink that climbs above the root', '/a/run', { files: { 'a/run': link('../../../../bin/app') } }],
    ['a chain of symlinks', '/l1', { files: { l1: link('l2'), l2: link('d/app'), d: link('bin') } }],
    ['a script', '/s', { files: { s: file('#!/bin/sh -e\n') } }],
    ['a script of a script', '/s', { files: { s: file('#!/s2\n'), s2: file('#!/bin/sh\n') } }],
    ['a script by env', '/s', { files: { s: file('#!/usr/bin/env sh\n') } }],
    ['a script by env -S', '/s', { files: { s: file('#!/usr/bin/env -S sh -e\n') } }],
    ['the owner’s x bit', '/x', { identity: USER, files: { x: file(STATIC, { mode: 0o100, uid: 2000 }) } }],
    [
      'the primary group’s x bit',
      '/x',
      { identity: USER, files: { x: file(STATIC, { mode: 0o010, gid: 2000 }) } },
    ],
    [
      'a supplementary group’s x bit',
      '/x',
      { identity: USER, files: { x: file(STATIC, { mode: 0o010, gid: 50 }) } },
    ],
    ['any x bit, for root', '/x', { files: { x: file(STATIC, { mode: 0o001, uid: 5, gid: 5 }) } }],
    ['a closed folder, for root', '/d/x', { files: { d: dir({ mode: 0 }), 'd/x': file(STATIC) } }],
    ['a program on a volume', '/data/x', { mounts: [volume('/data', { x: file(STATIC) })] }],
    ['a program beside a noexec volume', '/bin/app', { mounts: [volume('/data', {}, true)] }],
    [
      'a dynamic program',
      '/x',
      { files: { x: file(buildElf({ interpreter: LOADER, needed: ['libc.so.6'] })) } },
    ],
    [
      'a program on a platform without a table',
      '/bin/app',
      { platform: { os: 'linux', architecture: 'sparc64' } },
    ],
  ])('%s', (_, path, world) => {
    expect(check(path, world)).toEqual([])
  })
})

describe('checkExecutable refuses', () => {
  test.each<[string, string, World, readonly Reason[], RegExp]>([
    [
      'what is not there',
      '/nope',
      {},
      ['ExecNotFound'],
      /^the entrypoint "\/nope" does not exist in the container$/,
    ],
    ['the empty path', '', {}, ['ExecNotFound'], /in no folder of PATH/],
    [
      'a command that is nowhere in PATH',
      'nope',
      { searchPath: '/bin:/x' },
      ['ExecNotFound'],
      /in no folder of PATH \(\/bin:\/x\)/,
    ],
    ['a hook without a full path', 'app', { what: 'hook' }, ['ExecNotAbsolute'], /not an absolute path/],
    [
      'a hook relative to somewhere',
      './bin/app',
      { what: 'hook' },
      ['ExecNotAbsolute'],
      /not an absolute path/,
    ],
    ['a path through a file', '/bin/app/x', {}, ['ExecNotFound'], /\/bin\/app is not a directory/],
    ['a file with a final slash', '/bin/app/', {}, ['ExecNotFound'], /\/bin\/app is not a directory/],
    [
      'a dangling symlink, with the chain',
      '/l1',
      { files: { l1: link('/l2'), l2: link('gone') } },
      ['ExecDanglingSymlink'],
      /leads by a symlink to \/gone, which does not exist in the container \(\/l1 -> \/l2, \/l2 -> gone\)/,
    ],
    [
      'a dangling symlink in PATH',
      'tool',
      { files: { 'bin/tool': link('/gone') } },
      ['ExecDanglingSymlink'],
      /\/bin\/tool -> \/gone/,
    ],
    [
      'a file missing behind a good symlink',
      '/b/nope',
      { files: { b: link('bin') } },
      ['ExecNotFound'],
      /does not exist in the container \(\/b -> bin\)/,
    ],
    [
      'a loop of symlinks',
      '/l',
      { files: { l: link('l') } },
      ['ExecDanglingSymlink'],
      /loop of symlinks at \/l/,
    ],
    ['a directory', '/bin', {}, ['ExecNotRegularFile'], /is a directory, not a file/],
    ['a pipe', '/p', { files: { p: special('fifo') } }, ['ExecNotRegularFile'], /is a fifo/],
    ['a device', '/p', { files: { p: special('char') } }, ['ExecNotRegularFile'], /is a char/],
    [
      'a file without any x bit, also for root',
      '/x',
      { files: { x: file(STATIC, { mode: 0o644 }) } },
      ['ExecNotExecutable'],
      /\(0644 0:0\) is not executable for uid 0, group 0/,
    ],
    [
      'a file with an x bit for others only, for its owner',
      '/x',
      { identity: USER, files: { x: file(STATIC, { mode: 0o077, uid: 2000 }) } },
      ['ExecNotExecutable'],
      /uid 2000, groups 2000 50/,
    ],
    [
      'a file with no x bit for its group',
      '/x',
      { identity: USER, files: { x: file(STATIC, { mode: 0o707, gid: 50 }) } },
      ['ExecNotExecutable'],
      /0707/,
    ],
    [
      'a closed folder',
      '/d/e/x',
      { identity: USER, files: { d: dir({ mode: 0o700 }), 'd/e/x': file(STATIC) } },
      ['ExecNotSearchable'],
      /the directory \/d \(0700 0:0\) lacks search permission/,
    ],
    [
      'two closed folders and no x bit, all at once',
      '/d/e/x',
      {
        identity: USER,
        files: {
          d: dir({ mode: 0o700 }),
          'd/e': dir({ mode: 0o600 }),
          'd/e/x': file(STATIC, { mode: 0o600 }),
        },
      },
      ['ExecNotSearchable', 'ExecNotSearchable', 'ExecNotExecutable'],
      /\/d/,
    ],
    [
      'a closed folder where a symlink leads',
      '/x',
      { identity: USER, files: { x: link('/d/x'), d: dir({ mode: 0o750 }), 'd/x': file(STATIC) } },
      ['ExecNotSearchable'],
      /which is \/d\/x \(\/x -> \/d\/x\), can't be reached/,
    ],
    [
      'a closed folder on the way of a symlink only',
      '/d/x',
      { identity: USER, files: { d: dir({ mode: 0o700 }), 'd/x': link('/bin/app') } },
      ['ExecNotSearchable'],
      /the directory \/d \(0700/,
    ],
    [
      'a closed root',
      '/x',
      { identity: USER, files: { '': dir({ mode: 0o700 }), x: file(STATIC) } },
      ['ExecNotSearchable'],
      /the directory \/ \(0700/,
    ],
    [
      'a noexec volume',
      '/data/x',
      { mounts: [volume('/data', { x: file(STATIC) }, true)] },
      ['ExecOnNoexecMount'],
      /is on volume \/data, which is mounted noexec/,
    ],
    [
      'a noexec volume reached by a symlink',
      '/x',
      { files: { x: link('data/x') }, mounts: [volume('/data', { x: file(STATIC) }, true)] },
      ['ExecOnNoexecMount'],
      /which is \/data\/x/,
    ],
    [
      'what a volume hides',
      '/bin/app',
      { mounts: [volume('/bin', {})] },
      ['ExecHiddenByMount'],
      /is in the image at \/bin\/app, but hidden by volume \/bin mounted on \/bin/,
    ],
    [
      'what a volume hides behind a symlink',
      '/run/x',
      { files: { run: link('opt/v1'), 'opt/v1/x': file(STATIC) }, mounts: [volume('/opt', {})] },
      ['ExecHiddenByMount'],
      /at \/opt\/v1\/x, but hidden by volume \/opt/,
    ],
    [
      'what the runtime’s /dev hides',
      '/dev/x',
      { files: { 'dev/x': file(STATIC) } },
      ['ExecHiddenByMount'],
      /hidden by the runtime's \/dev/,
    ],
    [
      'a script without #!',
      '/x',
      { files: { x: file('echo hi\n') } },
      ['ExecFormatUnknown'],
      /neither an ELF program nor a script that begins with "#!"/,
    ],
    ['an empty file', '/x', { files: { x: file('') } }, ['ExecFormatUnknown'], /is empty/],
    [
      'a #! without a name',
      '/x',
      { files: { x: file('#!\n') } },
      ['ExecFormatUnknown'],
      /names no interpreter/,
    ],
    [
      'a #! line that is too long',
      '/x',
      { files: { x: file(`#!/${'x'.repeat(300)}\n`) } },
      ['ExecFormatUnknown'],
      /more than 255 bytes/,
    ],
    [
      'a broken ELF file',
      '/x',
      { files: { x: file(STATIC.subarray(0, 30)) } },
      ['ExecFormatUnknown'],
      /broken ELF file: it ends within/,
    ],
    [
      'a missing interpreter',
      '/x',
      { files: { x: file('#!/usr/bin/python3\n') } },
      ['ExecInterpreterMissing'],
      /the interpreter "\/usr\/bin\/python3" of \/x does not exist/,
    ],
    [
      'Windows line ends',
      '/x',
      { files: { x: file('#!/bin/sh\r\n') } },
      ['ExecInterpreterMissing'],
      /"\/bin\/sh\\u000d" .* carriage return: save the script with Unix line ends/,
    ],
    [
      'a dangling interpreter',
      '/x',
      { files: { x: file('#!/py\n'), py: link('gone') } },
      ['ExecInterpreterMissing'],
      /leads by a symlink to \/gone/,
    ],
    [
      'an interpreter that is hidden',
      '/x',
      { files: { x: file('#!/opt/sh\n'), 'opt/sh': file(STATIC) }, mounts: [volume('/opt', {})] },
      ['ExecHiddenByMount'],
      /the interpreter "\/opt\/sh" of \/x is in the image/,
    ],
    [
      'an interpreter without an x bit',
      '/x',
      { files: { x: file('#!/s\n'), s: file(STATIC, { mode: 0o644 }) } },
      ['ExecNotExecutable'],
      /the interpreter "\/s" of \/x \(0644/,
    ],
    [
      'an interpreter of an interpreter',
      '/x',
      { files: { x: file('#!/y\n'), y: file('#!/z\n') } },
      ['ExecInterpreterMissing'],
      /the interpreter "\/z" of \/y does not exist/,
    ],
    [
      'a script that interprets itself',
      '/x',
      { files: { x: file('#!/x\n') } },
      ['ExecInterpreterMissing'],
      /more than 5 deep/,
    ],
    [
      'a script that its user may not read',
      '/x',
      { identity: USER, files: { x: file('#!/bin/sh\n', { mode: 0o711 }) } },
      ['ExecNotExecutable'],
      /may not read/,
    ],
    [
      'what env will not find',
      '/x',
      { files: { x: file('#!/usr/bin/env python3\n') } },
      ['ExecInterpreterMissing'],
      /wants env to find "python3", which is in no folder of PATH/,
    ],
    [
      'what env will find but not start',
      '/x',
      { files: { x: file('#!/usr/bin/env tool\n'), 'bin/tool': file(STATIC, { mode: 0o600 }) } },
      ['ExecNotExecutable'],
      /the interpreter "\/bin\/tool" of \/x/,
    ],
    [
      'env with two words',
      '/x',
      { files: { x: file('#!/usr/bin/env sh -e\n') } },
      ['ExecInterpreterMissing'],
      /write "env -S sh -e"/,
    ],
    [
      'a missing env',
      '/x',
      { files: { x: file('#!/opt/env sh\n') } },
      ['ExecInterpreterMissing'],
      /"\/opt\/env"/,
    ],
    [
      'a program for another machine',
      '/x',
      { files: { x: file(buildElf({ machine: 183 })) } },
      ['ExecWrongArchitecture'],
      /built for arm64, but the image's platform is linux\/amd64/,
    ],
    [
      'a missing loader',
      '/x',
      { files: { x: file(buildElf({ interpreter: '/lib/ld-musl-x86_64.so.1' })) } },
      ['ExecLoaderMissing'],
      /the dynamic loader "\/lib\/ld-musl-x86_64.so.1" that \/x asks for does not exist/,
    ],
    [
      'a dangling loader',
      '/x',
      { files: { x: file(buildElf({ interpreter: '/ld' })), ld: link('/gone') } },
      ['ExecLoaderMissing'],
      /\/gone/,
    ],
    [
      'a loader that is a directory',
      '/x',
      { files: { x: file(buildElf({ interpreter: '/bin' })) } },
      ['ExecLoaderMissing'],
      /is a directory/,
    ],
    [
      'a loader that is a script',
      '/x',
      { files: { x: file(buildElf({ interpreter: '/s' })), s: file('#!/bin/sh\n') } },
      ['ExecLoaderMissing'],
      /no usable loader/,
    ],
    [
      'a loader without an x bit',
      '/x',
      { files: { x: file(buildElf({ interpreter: '/ld' })), ld: file(buildElf(), { mode: 0o644 }) } },
      ['ExecNotExecutable'],
      /the dynamic loader "\/ld"/,
    ],
    [
      'a loader for another machine',
      '/x',
      { files: { x: file(buildElf({ interpreter: '/ld' })), ld: file(buildElf({ bits: 32, machine: 3 })) } },
      ['ExecWrongArchitecture'],
      /built for 386, the program for amd64/,
    ],
    [
      'a missing library',
      '/x',
      { files: { x: file(buildElf({ interpreter: LOADER, needed: ['libc.so.6', 'libfoo.so.1'] })) } },
      ['ExecLibraryMissing'],
      /^\/x can't start without the library libfoo.so.1 \(needed by \/x\): it is in none of the folders/,
    ],
    [
      'every missing library',
      '/x',
      { files: { x: file(buildElf({ interpreter: LOADER, needed: ['liba.so', 'libb.so'] })) } },
      ['ExecLibraryMissing', 'ExecLibraryMissing'],
      /liba/,
    ],
    [
      'a library of an interpreter',
      '/s',
      { files: { s: file('#!/x\n'), x: file(buildElf({ interpreter: LOADER, needed: ['liba.so'] })) } },
      ['ExecLibraryMissing'],
      /\/x can't start without the library liba.so/,
    ],
  ])('%s', (_, path, world, reasons, message) => {
    const issues = check(path, world)
    expect(issues.map((issue) => issue.reason)).toEqual(reasons)
    expect(issues.map((issue) => issue.severity)).toEqual(reasons.map(() => 'error'))
    expect(issues[0]?.message).toMatch(message)
    expect(issues[0]?.path).toBe('spec.command[0]')
  })

  /** `/s1` is interpreted by `/s2`, and so on; the last one by a program. */
  function scripts(count: number): Record<string, FileNode> {
    const names = Array.from({ length: count }, (_, index) => `s${index + 1}`)
    return Object.fromEntries(
      names.map((name, index) => [name, file(`#!${index + 1 < count ? `/s${index + 2}` : '/bin/sh'}\n`)]),
    )
  }

  test('scripts of scripts only where the kernel does: five are fine, six are not', () => {
    expect(check('/s1', { files: scripts(5) })).toEqual([])
    expect(check('/s1', { files: scripts(6) }).map((issue) => issue.reason)).toEqual([
      'ExecInterpreterMissing',
    ])
  })

  test('nothing but warns of a program that most kernels for the platform run', () => {
    expect(check('/x', { files: { x: file(buildElf({ bits: 32, machine: 3, type: 2 })) } })).toEqual([
      expect.objectContaining({ severity: 'warning', reason: 'ExecWrongArchitecture' }),
    ])
  })

  test('a missing library with a warning only where LD_LIBRARY_PATH is set', () => {
    const files = { x: file(buildElf({ interpreter: LOADER, needed: ['libfoo.so'] })) }
    expect(check('/x', { files, libraryPath: '/made/at/run/time' })).toEqual([
      expect.objectContaining({ severity: 'warning', reason: 'ExecLibraryMissing' }),
    ])
    expect(check('/x', { files, libraryPath: '' })).toEqual([expect.objectContaining({ severity: 'error' })])
  })

  test('control characters a place in its messages', () => {
    const [issue] = check('/a\u001b[2J\n')
    expect(issue?.message).toContain('/a\\u001b[2J\\u000a')
  })
})

describe.runIf(process.arch === 'x64' && existsSync('/bin/dash'))('real programs of this machine', () => {
  test('start with their loader and libraries, and not without', () => {
    const shell = fromHost('/bin/dash')
    const files = {
      'bin/dash': shell,
      'lib64/ld-linux-x86-64.so.2': fromHost('/lib64/ld-linux-x86-64.so.2'),
      'lib/x86_64-linux-gnu/libc.so.6': fromHost('/lib/x86_64-linux-gnu/libc.so.6'),
    }
    expect(check('/bin/dash', { files })).toEqual([])
    const { 'lib/x86_64-linux-gnu/libc.so.6': _, ...withoutLibc } = files
    const view = containerView(tree(withoutLibc), [])
    const issues = checkExecutable({
      view,
      path: '/bin/dash',
      identity: ROOT,
      platform: { os: 'linux', architecture: 'amd64' },
      field: 'x',
      what: 'entrypoint',
    })
    expect(issues).toEqual([
      expect.objectContaining({
        reason: 'ExecLibraryMissing',
        message: expect.stringContaining('libc.so.6'),
      }),
    ])
  })
})
