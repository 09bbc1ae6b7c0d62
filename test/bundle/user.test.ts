import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseGroup, parsePasswd } from '../../src/bundle/passwd.ts'
import { resolveIdentity } from '../../src/bundle/user.ts'
import { ExpectedError } from '../../src/errors.ts'
import type { FileNode } from '../../src/rootfs/types.ts'
import { dir, file, huge, link, special, tree } from './tree.ts'

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# comment:x:5:5::/:
mattermost:x:2000:2000::/mattermost:/bin/sh
twin:x:2000:9::/twin:/bin/sh
nohome:x:7:8:::
blank:x:::::
minus:x:-1:5::/:
most:x:4294967295:4294967295::/:
badgid:x:11:x::/:
short:x
+::::::
postgres:x:100:102::/var/lib/postgresql:/bin/sh\r
1234:x:55:56::/named-like-a-number:/bin/sh
`
const GROUP = `root:x:0:root
mattermost:x:2000:
ssl-cert:x:101:postgres,mattermost
tape:x:26:root, mattermost
overflow:x:4294967295:mattermost
wheel:x:10:mattermost,mattermost
wheel2:x:10:mattermost
66:x:67:
postgres:x:102:\r
`

const image = tree({ 'etc/passwd': file(PASSWD), 'etc/group': file(GROUP) })

describe('resolveIdentity', () => {
  test.each([
    [
      'no user as root, with what passwd says of it',
      '',
      { uid: 0, gid: 0, additionalGids: [0, 26], home: '/root', name: 'root' },
    ],
    [
      'a name with its group, home and groups',
      'mattermost',
      { uid: 2000, gid: 2000, additionalGids: [2000, 101, 26, 10], home: '/mattermost', name: 'mattermost' },
    ],
    [
      'a number with the groups of the first account that has it',
      '2000',
      { uid: 2000, gid: 2000, additionalGids: [2000, 101, 26, 10], home: '/mattermost', name: 'mattermost' },
    ],
    [
      'an unknown number as itself',
      '4711',
      { uid: 4711, gid: 0, additionalGids: [], home: '/', name: undefined },
    ],
    [
      'a number never as a name',
      '1234',
      { uid: 1234, gid: 0, additionalGids: [], home: '/', name: undefined },
    ],
    [
      'a group by name, without supplementary groups',
      'mattermost:tape',
      { uid: 2000, gid: 26, additionalGids: [], home: '/mattermost', name: 'mattermost' },
    ],
    [
      'a group by number, listed or not',
      '2000:31337',
      { uid: 2000, gid: 31337, additionalGids: [], home: '/mattermost', name: 'mattermost' },
    ],
    [
      'a group number never as a name',
      '2000:66',
      { uid: 2000, gid: 66, additionalGids: [], home: '/mattermost', name: 'mattermost' },
    ],
    [
      'an empty group as none given',
      'mattermost:',
      { uid: 2000, gid: 2000, additionalGids: [2000, 101, 26, 10], home: '/mattermost', name: 'mattermost' },
    ],
    [
      'an empty user with a group',
      ':tape',
      { uid: 0, gid: 26, additionalGids: [], home: '/root', name: 'root' },
    ],
    ['no home as /', 'nohome', { uid: 7, gid: 8, additionalGids: [8], home: '/', name: 'nohome' }],
    [
      'lines with carriage returns',
      'postgres',
      { uid: 100, gid: 102, additionalGids: [102, 101], home: '/var/lib/postgresql', name: 'postgres' },
    ],
    ['leading zeros as decimal', '007', { uid: 7, gid: 8, additionalGids: [8], home: '/', name: 'nohome' }],
    [
      'the largest id',
      '2147483647',
      { uid: 2_147_483_647, gid: 0, additionalGids: [], home: '/', name: undefined },
    ],
  ])('takes %s', (_, user, expected) => {
    expect(resolveIdentity(user, image)).toEqual(expected)
  })

  test.each([
    ['an unknown name', 'nobody', /has no user "nobody"/],
    ['an unknown group', 'mattermost:staff', /has no group "staff"/],
    ['a second colon', 'mattermost:tape:x', /has no group "tape:x"/],
    ['a comment as a name', '# comment', /has no user/],
    ['a NIS line as a name', '+', /has no user/],
    ['a short line', 'short', /has no user/],
    ['an id just out of range', '2147483648', /out of range/],
    ['the id that means unchanged', '4294967295', /out of range/],
    ['an id that overflows to root', '4294967296', /out of range/],
    ['a negative id', '-1', /out of range/],
    ['a signed id', '+0', /out of range/],
    ['a group out of range', '0:4294967295', /out of range/],
    ['a very long number', '9'.repeat(400), /out of range/],
    ['an account without a uid, which must not be root', 'blank', /user id that is not a number/],
    ['an account with a negative uid', 'minus', /user id/],
    ['an account with an id out of range', 'most', /user id/],
    ['an account without a usable group', 'badgid', /group id/],
    ['the same account by number', '11', /group id/],
    ['a group out of range by name', '0:overflow', /id that is not a number/],
    ['control characters, escaped', 'a\u001b[31m', /a\\u001b\[31m/],
  ])('refuses %s', (_, user, message) => {
    expect(() => resolveIdentity(user, image)).toThrow(
      expect.objectContaining({ reason: 'UserNotFound', message: expect.stringMatching(message) }),
    )
  })

  test('needs no files for a number', () => {
    expect(resolveIdentity('65532:65532', tree({}))).toEqual({
      uid: 65532,
      gid: 65532,
      additionalGids: [],
      home: '/',
      name: undefined,
    })
    expect(resolveIdentity('', tree({}))).toEqual({
      uid: 0,
      gid: 0,
      additionalGids: [],
      home: '/',
      name: undefined,
    })
  })

  test.each<[string, Record<string, FileNode>]>([
    ['relative', { 'etc/passwd': link('../nix/store/passwd'), 'nix/store/passwd': file('app:x:12:13::/a:') }],
    ['absolute', { 'etc/passwd': link('/nix/store/passwd'), 'nix/store/passwd': file('app:x:12:13::/a:') }],
    [
      'escaping',
      { 'etc/passwd': link('../../../../nix/store/passwd'), 'nix/store/passwd': file('app:x:12:13::/a:') },
    ],
    ['of the folder', { etc: link('conf'), 'conf/passwd': file('app:x:12:13::/a:') }],
  ])('follows a symlink inside the image: %s', (_, entries) => {
    expect(resolveIdentity('app', tree(entries))).toMatchObject({ uid: 12, gid: 13 })
  })

  test('compares names as bytes', () => {
    const latin1 = tree({
      'etc/passwd': file(Buffer.from('j\xf6rg:x:5:6::/:\nj\xc3\xb6rg:x:7:8::/:\n', 'latin1')),
    })
    expect(resolveIdentity('jörg', latin1).uid).toBe(7)
  })

  test.each<[string, (name: string) => FileNode, RegExp]>([
    ['a directory', () => dir(), /is a directory, not a regular file/],
    ['a pipe', () => special('fifo'), /is a fifo/],
    ['more than 10 MiB', () => huge(10 * 1024 * 1024 + 1), /at most 10485760 are read/],
    ['a loop', (name) => link(name), /loop of symlinks/],
  ])('refuses an account file that is %s', (_, node, message) => {
    for (const name of ['passwd', 'group']) {
      const image = tree({ [`etc/${name}`]: node(name) })
      expect(() => resolveIdentity('0', image)).toThrow(message)
      expect(() => resolveIdentity('0', image)).toThrow(ExpectedError)
    }
  })
})

describe('account files', () => {
  test('parse to entries without throwing, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const content = Buffer.from(bytes).toString('latin1')
        for (const entry of [...parsePasswd(content), ...parseGroup(content)]) {
          expect(entry.name).not.toBe('')
          expect(entry.gid === undefined || (entry.gid >= 0 && entry.gid <= 2_147_483_647)).toBe(true)
        }
      }),
    )
  })

  test('never resolve a made-up account to root unless it says 0', () => {
    const field = fc.stringMatching(/^[0-9a-z x+-]{0,12}$/)
    fc.assert(
      fc.property(field, field, (uid, gid) => {
        const hostile = tree({ 'etc/passwd': file(`evil:x:${uid}:${gid}::/:\n`) })
        let identity
        try {
          identity = resolveIdentity('evil', hostile)
        } catch {
          return
        }
        expect(identity.uid).toBe(Number(uid))
        expect(identity.gid).toBe(Number(gid))
        expect(/^\d+$/.test(uid) && /^\d+$/.test(gid)).toBe(true)
      }),
    )
  })
})
