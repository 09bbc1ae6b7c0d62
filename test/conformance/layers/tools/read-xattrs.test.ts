import { expect, test } from 'vitest'
import { parseGetfattr } from './read-xattrs.ts'

test('names and values are bytes, the folder itself has the name ""', () => {
  const output = [
    '# file: .',
    'user.root=0x31',
    '',
    '# file: d/a\\012b\\134',
    'security.capability=0x0100000201',
    'security.selinux=0x00',
    'user.empty=0x',
    'user.equals\\075sign=0x3d',
    '',
    '# file: \xff\xfe',
    'user.k=0x00ff',
    '',
  ].join('\n')
  expect(parseGetfattr(output)).toEqual(
    new Map([
      ['', new Map([['user.root', Buffer.from('1')]])],
      [
        'd/a\nb\\',
        new Map([
          ['security.capability', Buffer.from('0100000201', 'hex')],
          ['user.empty', Buffer.alloc(0)],
          ['user.equals=sign', Buffer.from('=')],
        ]),
      ],
      ['\xff\xfe', new Map([['user.k', Buffer.from('00ff', 'hex')]])],
    ]),
  )
})
