/** `fairlead diff`: what is compared, how it is said, and how it ends. What needs root or a container is in test/e2e. */
import { mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { diffAnswer } from '../../src/cli/diff-answer.ts'
import { diffPage } from '../../src/cli/diff-page.ts'
import { diffSideOf } from '../../src/cli/diff-side.ts'
import { OptionValues } from '../../src/cli/option-values.ts'
import { toBytes } from '../../src/image/bytes.ts'
import { parseReference } from '../../src/image/reference.ts'
import type { TreeChange } from '../../src/rootfs/diff.ts'
import { flatten } from '../rootfs/flattened.ts'
import { aConfig } from '../support/builders.ts'
import { failureOf } from '../support/expected-error.ts'
import { dir, file, hardlink, layer, symlink, type LayerPart } from '../support/layer.ts'
import { buildImage, buildIndex, hostPlatform, writeLayout } from '../support/layout.ts'
import { runningStatus, storeApp } from './prepared-state.ts'
import { Desk } from './run.ts'

const OWN = hostPlatform()
const OTHER = { os: 'linux', architecture: OWN.architecture === 'arm64' ? 'amd64' : 'arm64' }

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

const ONE = buildImage({
  layers: [
    layer([dir('data'), file('data/f', 'one'), symlink('link', 'a'), dir('etc'), file('etc/passwd', 'app')]),
  ],
  config: { User: 'app', Env: ['A=b'], Volumes: ['/data/', 'logs'] },
})
const TWO = buildImage({
  layers: [layer([dir('data'), file('data/f', 'two'), symlink('link', 'b'), file('new', '')])],
  config: {},
})

async function layout(): Promise<void> {
  await writeLayout(join(desk.dir, 'layout'), [
    { tag: 'one', image: ONE },
    { tag: 'two', image: TWO },
    { tag: 'many', index: buildIndex([ONE, buildImage({ layers: [], platform: OTHER })]) },
  ])
}

interface Answer {
  readonly tree: readonly TreeChange[]
  readonly config: readonly string[]
  readonly notes: readonly string[]
}

async function answer(...args: readonly string[]): Promise<Answer> {
  const { code, stdout, stderr } = await desk.run(['diff', ...args, '-o', 'json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Answer
}

describe('two images', () => {
  test('differ by path and field, and by configuration', async () => {
    await layout()
    const { tree, config } = await answer('oci:layout:one', 'oci:layout:two')
    expect(tree.map(({ change, path, fields }) => [change, path, ...fields].join(' '))).toEqual([
      'modified /data/f content',
      'removed /etc',
      'removed /etc/passwd',
      'modified /link target',
      'added /new',
    ])
    expect(config).toEqual([
      'removes VOLUME /data',
      'removes VOLUME /logs',
      'user app → root',
      'removes env A',
    ])
  })

  test('differ by what their indexes offer', async () => {
    await layout()
    expect((await answer('oci:layout:many', 'oci:layout:one')).config).toEqual([
      `drops ${OTHER.architecture}`,
    ])
  })

  test('are shown by kind of change, with counts', async () => {
    await layout()
    expect((await desk.run(['diff', 'oci:layout:one', 'oci:layout:two'])).stdout).toBe(
      [
        'Configuration',
        '  removes VOLUME /data',
        '  removes VOLUME /logs',
        '  user app → root',
        '  removes env A',
        '',
        '~ /data/f (content)',
        '~ /link (target a → b)',
        '- /etc/ (with 1 below)',
        '+ /new',
        '2 changed, 2 removed, 1 added',
        '',
      ].join('\n'),
    )
  })

  test('that are equal say so', async () => {
    await layout()
    const { code, stdout } = await desk.run(['diff', 'oci:layout:one', 'oci:layout:one', '--exit-code'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'no difference\n' })
  })
})

/** Content of the image ONE as a folder `tree`, owned by whoever runs the test. */
function asFolder(): void {
  for (const name of ['tree/data', 'tree/etc']) mkdirSync(join(desk.dir, name), { recursive: true })
  writeFileSync(join(desk.dir, 'tree/data/f'), 'one')
  writeFileSync(join(desk.dir, 'tree/etc/passwd'), 'APP')
  symlinkSync('a', join(desk.dir, 'tree/link'))
}

test('an image and a folder differ by content, and have no configuration in common', async () => {
  await layout()
  asFolder()
  const { tree, config } = await answer('oci:layout:one', './tree')
  const content = tree.filter(({ fields, change }) => fields.includes('content') || change !== 'modified')
  expect(content.map(({ path }) => path)).toEqual(['/etc/passwd'])
  expect(config).toEqual([])
})

describe('directories of which only the time differs', () => {
  beforeEach(() => {
    for (const name of ['a', 'b']) mkdirSync(join(desk.dir, name, 'd'), { recursive: true })
    utimesSync(join(desk.dir, 'a/d'), 1, 1)
    utimesSync(join(desk.dir, 'b/d'), 2, 2)
    for (const name of ['a', 'b']) utimesSync(join(desk.dir, name), 1, 1)
  })

  test.each<[string, readonly string[], number, string]>([
    ['are no difference', [], 0, 'no difference\n'],
    ['are one with --times', ['--times'], 1, '~ /d (mtime)\n1 changed\n'],
  ])('%s', async (_title, options, code, stdout) => {
    expect(await desk.run(['diff', './a', './b', '--exit-code', ...options])).toMatchObject({ code, stdout })
  })

  test('are in the answer for programs exactly where they count', async () => {
    expect((await answer('./a', './b')).tree).toEqual([])
    expect((await answer('./a', './b', '--times')).tree).toMatchObject([{ path: '/d', fields: ['mtime'] }])
  })
})

test.each(['fol/rootfs', 'Fol'])('an image with the name of a folder, %s, is told from it', async (name) => {
  await layout()
  mkdirSync(join(desk.dir, name), { recursive: true })
  const note = `note: ${name} is taken for an image; the folder of that name is ./${name}\n`
  // Nothing is asked: the other side is not there.
  const { stderr } = await desk.run(['diff', 'oci:layout:none', name])
  expect(stderr.startsWith(note)).toBe(true)
  expect((await desk.run(['diff', 'oci:layout:none', `./${name}`])).stderr).not.toContain('note')
})

describe('the exit code', () => {
  test.each<[string, readonly string[], number]>([
    ['is 0 with differences', ['oci:layout:one', 'oci:layout:two'], 0],
    ['is 1 with differences under --exit-code', ['oci:layout:one', 'oci:layout:two', '--exit-code'], 1],
    ['is 1 for a failure', ['oci:layout:one', 'oci:layout:none'], 1],
    ['is 3 for a failure under --exit-code', ['oci:layout:one', 'oci:layout:none', '--exit-code'], 3],
    ['is 2 for wrong words', ['oci:layout:one', 'NoImage', '--exit-code'], 2],
    ['is 2 for a limit that hides all', ['oci:layout:one', 'oci:layout:two', '--limit', '0'], 2],
    ['is 2 for a count that is none', ['oci:layout:one', 'oci:layout:two', '--limit', 'x'], 2],
    ['is 1 for an app that is not there', ['oci:layout:one', 'app://nobody'], 1],
    ['is 1 for a volume that is not there', ['oci:layout:one', 'volume://nobody:/data'], 1],
    ['is 2 for an image alone', ['oci:layout:one'], 2],
  ])('%s', async (_title, args, code) => {
    await layout()
    expect((await desk.run(['diff', ...args])).code).toBe(code)
  })

  test.each(['0', '-3', 'x'])('of the limit %s comes with what would be right', async (limit) => {
    await layout()
    const { stderr } = await desk.run(['diff', 'oci:layout:one', 'oci:layout:two', '--limit', limit])
    expect(stderr).toBe(`InvalidSpec: --limit: found "${limit}"; must be a whole number, 1 or more\n`)
  })
})

test('the name of an app alone is told as app://', async () => {
  await storeApp(desk.state, 'web', runningStatus())
  expect((await desk.run(['diff', 'web'])).stderr).toMatch(/; did you mean app:\/\/web\?\n$/)
  expect((await desk.run(['diff', 'other'])).stderr).not.toContain('did you mean')
})

test('a folder with the tree in its rootfs says so', async () => {
  await layout()
  mkdirSync(join(desk.dir, 'out/rootfs/etc'), { recursive: true })
  const { stderr } = await desk.run(['diff', 'oci:layout:one', './out/'])
  expect(stderr.replaceAll('\n', ' ')).toContain('compare with ./out/rootfs')
  expect((await desk.run(['diff', 'oci:layout:one', './out/rootfs'])).stderr).toBe('')
})

describe('a file that is too large to be read', () => {
  const GIANT = 2 ** 41

  function giants(other: string): void {
    for (const [name, content] of [
      ['a', 'same'],
      ['b', other],
    ] as const) {
      mkdirSync(join(desk.dir, name))
      writeFileSync(join(desk.dir, name, 'f'), content)
      writeFileSync(join(desk.dir, name, 'giant'), '')
      truncateSync(join(desk.dir, name, 'giant'), GIANT)
      for (const file of ['f', 'giant', '.']) utimesSync(join(desk.dir, name, file), 1, 1)
    }
  }
  const NOTE =
    'note: /giant: its content was not compared: a sparse file of 2199023255552 bytes; of holes no more than 128 GiB are read\n'

  test('is named, and nobody says that all is equal', async () => {
    giants('same')
    expect(await desk.run(['diff', './a', './b', '--exit-code'])).toMatchObject({
      code: 3,
      stdout: 'no difference in what was compared; 1 file was not read\n',
      stderr: NOTE,
    })
    expect((await desk.run(['diff', './a', './b'])).code).toBe(0)
    expect(await answer('./a', './b')).toMatchObject({ tree: [], unread: ['/giant'] })
  })

  test('does not stop the rest from being compared', async () => {
    giants('other')
    const { code, stdout, stderr } = await desk.run(['diff', './a', './b', '--exit-code'])
    expect([code, stdout, stderr]).toEqual([1, '~ /f (content)\n1 changed\n', NOTE])
  })
})

describe('what is compared', () => {
  const call = { args: [], options: new OptionValues({}) }

  test.each<[string, ReturnType<typeof diffSideOf>]>([
    ['./tree', { kind: 'folder', path: './tree' }],
    ['/srv/tree', { kind: 'folder', path: '/srv/tree' }],
    ['..', { kind: 'folder', path: '..' }],
    ['app://web', { kind: 'app', key: { namespace: 'default', name: 'web' } }],
    ['app://chat/web', { kind: 'app', key: { namespace: 'chat', name: 'web' } }],
    [
      'volume://chat/web:/var/data/',
      { kind: 'volume', key: { namespace: 'chat', name: 'web' }, path: '/var/data' },
    ],
    ['volume://web:/a:b', { kind: 'volume', key: { namespace: 'default', name: 'web' }, path: '/a:b' }],
    ...['app:1.0', 'dir:x', 'volume', 'app', 'oci:./layout:v1', 'localhost:5000/app:1'].map(
      (text): [string, ReturnType<typeof diffSideOf>] => [
        text,
        { kind: 'image', reference: parseReference(text) },
      ],
    ),
  ])('%s', (text, side) => {
    expect(diffSideOf(call, text)).toEqual(side)
  })

  test.each(['./tree', '/tree', '.', '..', '../x', 'app://web', 'app://chat/web', 'volume://web:/data'])(
    '%s can be no reference',
    async (text) => {
      expect(await failureOf(() => parseReference(text))).toContain('InvalidReference')
    },
  )

  test.each<[string, string]>([
    ['volume://web', 'must be volume://NAME:/PATH'],
    ['volume://web:/proc', 'belongs to the runtime'],
    ['app://', 'must be name or namespace/name'],
    ['app://A', 'must be name or namespace/name'],
    ['dir:./tree', 'a folder is a path'],
    ['volume:web:/data', 'a volume volume://NAME:/PATH'],
  ])('%s is refused', async (text, message) => {
    expect(await failureOf(() => diffSideOf(call, text))).toContain(message)
  })
})

describe('an answer', () => {
  function side(parts: readonly LayerPart[], rest: object = {}) {
    return { tree: flatten([parts]).tree, notes: [], ...rest }
  }
  const isImage = { image: { config: aConfig() } }
  const paths = (found: { readonly tree: readonly TreeChange[] }) =>
    found.tree.map(({ change, path }) => `${change} ${path}`)

  test('about a volume shows the part of the image below its path, under that path', () => {
    const image = side(
      [
        dir('srv'),
        dir('srv/data', { mtime: 0 }),
        file('srv/data/old', ''),
        file('etc', ''),
        symlink('v', 'srv'),
      ],
      isImage,
    )
    const volume = side([file('new', '')], { at: [toBytes('v'), toBytes('data')] })
    expect(paths(diffAnswer(image, volume))).toEqual(['added /v/data/new', 'removed /v/data/old'])
  })

  test('about a volume that the image has nothing for says so', () => {
    const found = diffAnswer(side([], isImage), side([file('f', '')], { at: ['data'] }))
    expect(found.notes).toEqual(['the image has no folder /data'])
    expect(paths(found)).toEqual(['added /data/f'])
  })

  test('about a running root leaves out mounts, the ways to them, and links', () => {
    const image = side([dir('proc'), file('a', 'x'), hardlink('b', 'a')], isImage)
    const running = side(
      [
        dir('proc'),
        file('proc/1', ''),
        dir('run'),
        dir('run/s'),
        file('a', 'x'),
        file('b', 'x'),
        file('log', ''),
      ],
      { mounted: [['proc'], ['run', 's']] },
    )
    expect(paths(diffAnswer(image, running))).toEqual(['added /log'])
  })

  test("counts a machine's labels only where no image is compared", () => {
    const labelled = [file('f', '', { xattrs: { 'security.selinux': 'x' } })]
    const tree = side([file('f', '')]).tree
    const f = tree.children?.get('f')
    if (f !== undefined) f.inode.xattrs = new Map([['security.selinux', Buffer.from('x')]])
    const other = { tree, notes: [] }
    expect(paths(diffAnswer(side(labelled), other))).toEqual(['modified /f'])
    expect(paths(diffAnswer(side(labelled, isImage), other))).toEqual([])
  })

  test('hands on what could not be read', () => {
    expect(diffAnswer(side([], { notes: ['a: gone'] }), side([], { notes: ['b: gone'] })).notes).toEqual([
      'a: gone',
      'b: gone',
    ])
  })
})

describe('the page', () => {
  const added = (path: string): TreeChange => ({ path, change: 'added', fields: [], type: 'file' })
  const page = (tree: readonly TreeChange[], width = 80, limit = Infinity) =>
    diffPage({ tree, config: [], unread: [] }, { width, limit, paint: (_style, text) => text })

  test('says how many lines it leaves out', () => {
    const tree = Array.from({ length: 1205 }, (_, index) => added(`/f${index}`))
    expect(page(tree, 80, 2)).toBe('+ /f0\n+ /f1\n… 1,203 more; -o json lists all\n1,205 added\n')
  })

  test('never says that nothing differs where not all was read', () => {
    const options = { width: 80, limit: 9, paint: (_style: unknown, text: string) => text }
    const text = (unread: readonly string[]) => diffPage({ tree: [], config: [], unread }, options)
    expect(text([])).toBe('no difference\n')
    expect(text(['/a', '/b'])).toBe('no difference in what was compared; 2 files were not read\n')
  })

  test('counts what is below a directory that came as a whole', () => {
    const tree: TreeChange[] = [
      { ...added('/d'), type: 'directory' },
      added('/d/a'),
      added('/d/b'),
      added('/dx'),
    ]
    expect(page(tree)).toBe('+ /d/ (with 2 below)\n+ /dx\n4 added\n')
    expect(page(tree, 80, 1)).toContain('… 1 more')
  })

  test('keeps to its width, but for paths', () => {
    const long = `/${'p'.repeat(100)}`
    const change: TreeChange = {
      path: '/short',
      change: 'modified',
      type: 'file',
      fields: ['mode', 'owner', 'content', 'xattrs', 'mtime', 'links'],
      from: { mode: '0644', owner: '4000000000:4000000000' },
      to: { mode: '0755', owner: '4000000001:4000000001' },
    }
    const lines = page([change, { ...change, path: long }], 60).split('\n')
    expect(lines.filter((line) => line.length > 60)).toEqual([`~ ${long}`])
  })

  test('has no control characters of names', () => {
    expect(page([added('/\u001b[2J')])).toContain('+ /\\u001b[2J\n')
  })
})
