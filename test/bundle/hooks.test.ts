import { describe, expect, test } from 'vitest'
import { checkHooks, runtimeHooks } from '../../src/bundle/hooks.ts'
import type { HooksCheck } from '../../src/bundle/hooks.ts'
import type { HookWish } from '../../src/bundle/types.ts'
import { containerView } from '../../src/bundle/view.ts'
import type { Reason } from '../../src/errors.ts'
import { buildElf } from '../support/elf.ts'
import { ROOT, aHook } from './input.ts'
import { dir, file, link, tree } from './tree.ts'

const STATIC = buildElf({ type: 2 })

const image = tree({
  hook: file(STATIC),
  script: file('#!/bin/sh\n'),
  'bin/sh': file(STATIC),
  private: dir({ mode: 0o700 }),
  'private/hook': file(STATIC),
  env: file('#!/usr/bin/env tool\n'),
  'usr/bin/env': file(STATIC),
  'opt/tool': file(STATIC),
  dangling: link('/usr/bin/nvidia-hook'),
  'lib/ld.so': file(buildElf()),
  dynamic: file(buildElf({ interpreter: '/lib/ld.so', needed: ['libx.so'] })),
})

function check(hooks: readonly Partial<HookWish>[], changes: Partial<HooksCheck> = {}) {
  return checkHooks({
    hooks: hooks.map((hook, index) => aHook({ field: `spec.hooks[${index}]`, ...hook })),
    view: containerView(image, []),
    identity: ROOT,
    platform: { os: 'linux', architecture: 'amd64' },
    allowedHostHooks: ['/usr/libexec/allowed'],
    ...changes,
  })
}

describe('checkHooks', () => {
  test.each<[string, Partial<HookWish>]>([
    ['a program in the container', { path: '/hook' }],
    ['a script in the container', { path: '/script', args: ['-x', ''] }],
    ['what env finds in the hook’s own PATH', { path: '/env', env: [{ name: 'PATH', value: '/opt' }] }],
    ['an allowed hook on the host', { stage: 'createRuntime', path: '/usr/libexec/allowed' }],
  ])('takes %s', (_, hook) => {
    expect(check([hook])).toEqual([])
  })

  test.each<[string, Partial<HookWish>, Reason, string, RegExp]>([
    [
      'a missing program',
      { path: '/nope' },
      'ExecNotFound',
      'path',
      /the hook "\/nope" does not exist in the container/,
    ],
    ['a relative path', { path: 'hook' }, 'ExecNotAbsolute', 'path', /not an absolute path/],
    [
      'what env does not find in the hook’s PATH',
      { path: '/env' },
      'ExecInterpreterMissing',
      'path',
      /wants env to find "tool"/,
    ],
    ['a missing library', { path: '/dynamic' }, 'ExecLibraryMissing', 'path', /libx.so/],
    [
      'a host hook that nobody allowed',
      { stage: 'createContainer', path: '/usr/bin/id' },
      'HookNotAllowed',
      'path',
      /runs on the host at createContainer.*allowed: \/usr\/libexec\/allowed/,
    ],
    [
      'a host hook beside an allowed one',
      { stage: 'poststop', path: '/usr/libexec/../libexec/allowed' },
      'HookNotAllowed',
      'path',
      /must allow it by name/,
    ],
    [
      'a program of the container as a host hook',
      { stage: 'poststart', path: '/hook' },
      'HookNotAllowed',
      'path',
      /must allow it/,
    ],
    [
      'a relative host hook',
      { stage: 'poststart', path: 'x' },
      'ExecNotAbsolute',
      'path',
      /found on the host/,
    ],
    ['no time at all', { timeoutSeconds: 0 }, 'InvalidSpec', 'timeoutSeconds', /at least 1, not 0/],
    ['half a second', { timeoutSeconds: 0.5 }, 'InvalidSpec', 'timeoutSeconds', /whole number/],
    ['NUL in an argument', { args: ['a', 'b\0'] }, 'InvalidSpec', 'args[1]', /NUL/],
    ['NUL in a value', { env: [{ name: 'A', value: '\0' }] }, 'InvalidSpec', 'env[0].value', /NUL/],
    [
      'a variable without a name',
      { env: [{ name: '', value: 'x' }] },
      'InvalidSpec',
      'env[0].name',
      /needs a name/,
    ],
    [
      'a variable with = in its name',
      { env: [{ name: 'A=B', value: 'x' }] },
      'InvalidSpec',
      'env[0].name',
      /needs a name/,
    ],
  ])('refuses %s', (_, hook, reason, field, message) => {
    expect(check([hook])).toEqual([
      { severity: 'error', reason, path: `spec.hooks[0].${field}`, message: expect.stringMatching(message) },
    ])
  })

  test('reports the problems of all hooks at once', () => {
    expect(
      check([{ path: '/nope' }, {}, { path: 'rel', timeoutSeconds: -1 }]).map((issue) => [
        issue.path,
        issue.reason,
      ]),
    ).toEqual([
      ['spec.hooks[0].path', 'ExecNotFound'],
      ['spec.hooks[2].timeoutSeconds', 'InvalidSpec'],
      ['spec.hooks[2].path', 'ExecNotAbsolute'],
    ])
  })

  test('says that a hook is on the host only', () => {
    expect(
      check([{ path: '/usr/bin/nvidia-hook' }], { existsOnHost: (path) => path === '/usr/bin/nvidia-hook' }),
    ).toEqual([
      expect.objectContaining({
        reason: 'HookOnHostOnly',
        message: expect.stringMatching(
          /exists on the host but not in the container, where startContainer hooks are looked up/,
        ),
      }),
    ])
  })

  test.each<[string, Reason | undefined]>([
    ['/hook', undefined],
    ['/bin', 'ExecNotRegularFile'],
    ['/dangling', 'ExecDanglingSymlink'],
  ])('does not blame the host for %s, which is in the container', (path, reason) => {
    const reasons = check([{ path }], { existsOnHost: () => true }).map((issue) => issue.reason)
    expect(reasons).toEqual(reason === undefined ? [] : [reason])
  })

  test('refuses an allowed hook that is not safe on the host', () => {
    const hooks = [{ stage: 'createRuntime', path: '/usr/libexec/allowed' }] as const
    expect(check(hooks, { hostHookProblem: () => 'is writable by others' })).toEqual([
      expect.objectContaining({
        reason: 'HookNotAllowed',
        message: 'the hook "/usr/libexec/allowed" is writable by others',
      }),
    ])
  })

  test('judges by the container’s user', () => {
    const identity = { ...ROOT, uid: 2000, gid: 2000 }
    expect(check([{ path: '/private/hook' }])).toEqual([])
    expect(check([{ path: '/private/hook' }], { identity })).toEqual([
      expect.objectContaining({ reason: 'ExecNotSearchable' }),
    ])
  })

  test('makes a missing library a warning where the hook sets LD_LIBRARY_PATH', () => {
    const env = [{ name: 'LD_LIBRARY_PATH', value: '/late' }]
    expect(check([{ path: '/dynamic', env }])).toEqual([expect.objectContaining({ severity: 'warning' })])
  })
})

describe('runtimeHooks', () => {
  test('makes one runner of all startContainer hooks and keeps the others, never without an environment', () => {
    const hooks = [
      aHook({ timeoutSeconds: 5 }),
      aHook({ stage: 'poststop', path: '/a', args: ['x'], timeoutSeconds: 3 }),
      aHook({ timeoutSeconds: 7 }),
      aHook({
        stage: 'poststop',
        path: '/b',
        env: [
          { name: 'PATH', value: '/mine' },
          { name: 'K', value: 'v' },
        ],
      }),
    ]
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    expect(runtimeHooks(hooks)).toEqual({
      startContainer: [
        {
          path: '/.fairlead/busybox',
          args: ['busybox', 'sh', '/.fairlead/hooks.sh'],
          env: [path],
        },
      ],
      poststop: [
        { path: '/a', args: ['/a', 'x'], env: [path], timeout: 3 },
        { path: '/b', args: ['/b'], env: ['PATH=/mine', 'K=v'], timeout: 5 },
      ],
    })
  })

  test('makes nothing of nothing', () => {
    expect(runtimeHooks([])).toEqual({})
  })
})
