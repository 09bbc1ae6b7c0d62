import { describe, expect, test } from 'vitest'
import {
  DEFAULT_PATH,
  envIssues,
  envValue,
  processArgs,
  processEnv,
  workingDir,
} from '../../src/bundle/process.ts'
import { containerView } from '../../src/bundle/view.ts'
import type { ProcessWish } from '../../src/bundle/types.ts'
import { ROOT, aConfig, aWish } from './input.ts'
import { dir, file, link, tree } from './tree.ts'

describe('processArgs', () => {
  const image = { entrypoint: ['/entry', 'a b'], cmd: ['serve', ''] }

  test.each<[string, Partial<ProcessWish>, readonly string[]]>([
    ['Entrypoint and Cmd of the image, word by word', {}, ['/entry', 'a b', 'serve', '']],
    ['the command alone: it drops the image’s Cmd', { command: ['/mine'] }, ['/mine']],
    ['command and args', { command: ['/mine'], args: ['x'] }, ['/mine', 'x']],
    ['the Entrypoint with args in the place of Cmd', { args: ['x', 'y'] }, ['/entry', 'a b', 'x', 'y']],
    ['the image where both are empty lists', { command: [], args: [] }, ['/entry', 'a b', 'serve', '']],
    [
      'args that look like a shell line, unsplit',
      { args: ['echo $HOME; ls'] },
      ['/entry', 'a b', 'echo $HOME; ls'],
    ],
  ])('takes %s', (_, wish, expected) => {
    expect(processArgs(aConfig(image), aWish(wish))).toEqual(expected)
  })

  test('takes Cmd alone where there is no Entrypoint', () => {
    expect(processArgs(aConfig({ entrypoint: [], cmd: ['/bin/app'] }), aWish())).toEqual(['/bin/app'])
  })

  test.each<[string, readonly string[], readonly string[], Partial<ProcessWish>, string, RegExp]>([
    ['nothing to run', [], [], {}, 'CommandMissing', /neither Entrypoint nor Cmd/],
    ['an empty first word', [''], ['x'], {}, 'CommandMissing', /an empty first word/],
    ['an empty command of the user', ['/a'], [], { command: [''] }, 'CommandMissing', /an empty first word/],
    ['NUL', ['/a', 'x\0y'], [], {}, 'InvalidConfig', /NUL/],
  ])('refuses %s', (_, entrypoint, cmd, wish, reason, message) => {
    expect(() => processArgs(aConfig({ entrypoint, cmd }), aWish(wish))).toThrow(
      expect.objectContaining({ reason, path: 'spec.command', message: expect.stringMatching(message) }),
    )
  })
})

function env(image: readonly string[], wish: Partial<ProcessWish> = {}): readonly string[] {
  return processEnv(aConfig({ env: image }), aWish(wish), ROOT, 'box')
}

describe('processEnv', () => {
  const defaults = [`PATH=${DEFAULT_PATH}`, 'HOME=/root', 'HOSTNAME=box']

  test.each<[string, readonly string[], Partial<ProcessWish>, readonly string[]]>([
    ['adds PATH, HOME and HOSTNAME', [], {}, defaults],
    [
      'leaves what the image sets, also to nothing',
      ['HOME=/h', 'PATH=', 'HOSTNAME=x'],
      {},
      ['HOME=/h', 'PATH=', 'HOSTNAME=x'],
    ],
    [
      'keeps odd values as they are',
      ['A=b=c', 'B= $A "x"\n', 'lower.case-1=ü'],
      {},
      ['A=b=c', 'B= $A "x"\n', 'lower.case-1=ü', ...defaults],
    ],
    [
      'takes the last of duplicates, at the place of the first',
      ['A=1', 'B=2', 'A=3'],
      {},
      ['A=3', 'B=2', ...defaults],
    ],
    [
      'lets the user override and add',
      ['A=1', 'B=2'],
      {
        env: [
          { name: 'A', value: 'mine' },
          { name: 'C', value: '' },
        ],
      },
      ['A=mine', 'B=2', 'C=', ...defaults],
    ],
    [
      'lets the user set the defaults',
      [],
      { env: [{ name: 'HOME', value: '/u' }] },
      ['HOME=/u', `PATH=${DEFAULT_PATH}`, 'HOSTNAME=box'],
    ],
    ['leaves out what no environment can hold', ['NONAME', '=x', 'N=\0', 'A=1'], {}, ['A=1', ...defaults]],
  ])('%s', (_, image, wish, expected) => {
    expect(env(image, wish)).toEqual(expected)
  })

  test('names every entry it leaves out', () => {
    expect(envIssues(aConfig({ env: ['A=1', 'NONAME', '=x', 'N=\0'] }))).toEqual([
      expect.objectContaining({
        severity: 'warning',
        reason: 'InvalidConfig',
        path: 'config.Env[1]',
        message: expect.stringContaining('has no "="'),
      }),
      expect.objectContaining({ path: 'config.Env[2]', message: expect.stringContaining('has no name') }),
      expect.objectContaining({ path: 'config.Env[3]', message: expect.stringContaining('\\u0000') }),
    ])
  })

  test('finds a value by its whole name', () => {
    expect(envValue(['PATH2=x', 'PATH=a=b'], 'PATH')).toBe('a=b')
    expect(envValue(['PATH2=x'], 'PATH')).toBeUndefined()
  })
})

describe('workingDir', () => {
  const image = tree({
    app: dir(),
    file: file('x'),
    'to-app': link('app'),
    'to-proc': link('/proc/self/fd'),
    'to-nowhere': link('/gone'),
    loop: link('loop'),
    'escape/up': link('../../../../app'),
  })
  const view = containerView(image, [
    { destination: '/data', tree: tree({ sub: dir() }), noexec: false, label: 'volume /data' },
  ])
  const check = (dir: string): string => workingDir(aConfig({ workingDir: dir }), aWish(), view)

  test.each([
    ['none as /', '', '/'],
    ['a directory, as written', '/app/', '/app/'],
    ['one that is not there yet', '/app/new/deep', '/app/new/deep'],
    ['a symlink to a directory', '/to-app', '/to-app'],
    ['a symlink that stays inside', '/escape/up', '/escape/up'],
    ['one on a volume', '/data/sub', '/data/sub'],
    ['the user’s word over the image’s', '/file', '/app'],
  ])('takes %s', (_, image, expected) => {
    const wish = image === '/file' ? aWish({ workingDir: '/app' }) : aWish()
    expect(workingDir(aConfig({ workingDir: image }), wish, view)).toBe(expected)
  })

  test.each([
    ['a relative one', 'app', /not absolute/],
    ['a file', '/file', /is a file, not a directory/],
    ['one below a file', '/file/x', /leads through something that is not a directory/],
    ['/proc', '/proc', /below \/proc/],
    ['an open file of the runtime (CVE-2024-21626)', '/proc/self/fd/8', /below \/proc/],
    ['the same, disguised', '/app/..//./proc/self/fd/8', /below \/proc/],
    [
      'the same, through a symlink',
      '/to-proc',
      /leads by a symlink to something that does not exist|below \/proc/,
    ],
    ['a dangling symlink', '/to-nowhere', /leads by a symlink to something that does not exist/],
    ['a loop of symlinks', '/loop', /loop of symlinks/],
    ['NUL', '/a\0b', /NUL/],
  ])('refuses %s', (_, dir, message) => {
    expect(() => check(dir)).toThrow(
      expect.objectContaining({
        reason: 'WorkingDirInvalid',
        path: 'spec.workingDir',
        message: expect.stringMatching(message),
      }),
    )
  })

  test('refuses a symlink into /proc also where the tree has such a folder', () => {
    const odd = tree({ 'proc/self/fd': dir(), cwd: link('/proc/self/fd') })
    expect(() => workingDir(aConfig({ workingDir: '/cwd' }), aWish(), odd)).toThrow(
      /leads to \/proc\/self\/fd, below \/proc/,
    )
  })
})
