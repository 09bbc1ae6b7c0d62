/** Hooks that can't run in their container, each in its own way, and the files of an image that has them. */
import { buildElf } from './elf.ts'
import { dir, file, symlink } from './layer.ts'

const EXEC = { mode: 0o755 }
const MACHINE_AARCH64 = 183
const MACHINE_X86_64 = 62
const OWN_MACHINE = process.arch === 'arm64' ? MACHINE_AARCH64 : MACHINE_X86_64
const FOREIGN_MACHINE = process.arch === 'arm64' ? MACHINE_X86_64 : MACHINE_AARCH64

export const HOOK_PARTS = [
  dir('hooks'),
  file('hooks/plain', '#!/bin/sh\n', { mode: 0o644 }),
  file('hooks/root-only', '#!/bin/sh\n', { mode: 0o700 }),
  dir('hooks/folder', EXEC),
  file('hooks/no-interpreter', '#!/opt/none\n', EXEC),
  file('hooks/no-magic', 'echo hello\n', EXEC),
  file('hooks/foreign', buildElf({ machine: FOREIGN_MACHINE }), EXEC),
  file('hooks/no-loader', buildElf({ machine: OWN_MACHINE, interpreter: '/lib/ld-none.so' }), EXEC),
  file(
    'hooks/no-library',
    buildElf({ machine: OWN_MACHINE, interpreter: '/lib/ld-test.so', needed: ['libnone.so.1'] }),
    EXEC,
  ),
  dir('lib'),
  file('lib/ld-test.so', buildElf({ machine: OWN_MACHINE }), EXEC),
  symlink('hooks/dangling', '/opt/gone'),
  dir('hidden'),
  file('hidden/hook', '#!/bin/sh\n', EXEC),
  dir('noexec'),
  file('noexec/hook', '#!/bin/sh\n', EXEC),
  dir('out', { uid: 2000, gid: 2000 }),
  file(
    'hooks/good',
    '#!/bin/sh\nid -u >/out/uid\nid -g >>/out/uid\nenv >/out/env\necho "$1" >/out/arg\n',
    EXEC,
  ),
  file('hooks/fails', '#!/bin/sh\necho the reason is here >&2\nexit 3\n', EXEC),
  file('hooks/slow', '#!/bin/sh\nsleep 1000\n', EXEC),
]

/** Present on every Debian host, absent from the image. */
export const HOST_ONLY = '/usr/bin/perl'

export const REFUSED_HOOKS: readonly (readonly [string, string, string])[] = [
  ['missing', '/hooks/none', 'ExecNotFound'],
  ['not executable', '/hooks/plain', 'ExecNotExecutable'],
  ['executable for root only', '/hooks/root-only', 'ExecNotExecutable'],
  ['a folder', '/hooks/folder', 'ExecNotRegularFile'],
  ['a script without its interpreter', '/hooks/no-interpreter', 'ExecInterpreterMissing'],
  ['a script without #!', '/hooks/no-magic', 'ExecFormatUnknown'],
  ['a program for another architecture', '/hooks/foreign', 'ExecWrongArchitecture'],
  ['a program without its loader', '/hooks/no-loader', 'ExecLoaderMissing'],
  ['a program without a shared library', '/hooks/no-library', 'ExecLibraryMissing'],
  ['a dangling symlink', '/hooks/dangling', 'ExecDanglingSymlink'],
  ['on the host only', HOST_ONLY, 'HookOnHostOnly'],
  ['hidden by a volume', '/hidden/hook', 'ExecHiddenByMount'],
  ['on a noexec volume', '/noexec/hook', 'ExecOnNoexecMount'],
]

export const HOOK_VOLUMES = [
  { path: '/hidden', seed: 'Never' },
  { path: '/noexec', exec: 'Forbidden' },
  { path: '/out' },
]
