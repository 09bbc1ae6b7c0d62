import { describe, expect, test } from 'vitest'
import type { ImageConfig } from '../../src/image/types.ts'
import { desiredState } from '../../src/reconcile/desired.ts'
import { toLocal, volumeViews, type LocalPlaces } from '../../src/reconcile/to-local.ts'
import type { Desired } from '../../src/reconcile/types.ts'
import type { FileNode, FileTree } from '../../src/rootfs/types.ts'
import { dir, file, link, tree } from '../bundle/tree.ts'
import { anApp, anImage, frozen, KEY, sources } from '../support/builders.ts'

const HOST = { architecture: 'amd64', cgroups: 'v1' as const, nofileHard: 1_048_576, filesystems: ['mqueue'] }
const PLACES: LocalPlaces = {
  volumeSource: (volume) => `/volumes${volume.path}`,
  engineFile: (name) => `/files/${name}`,
  runner: { busybox: '/bin/busybox', script: '/files/hooks.sh', runDir: '/bundle/hooks' },
  bundleRootfs: '/bundle/rootfs',
}

interface Case {
  readonly spec?: Record<string, unknown>
  readonly config?: Partial<ImageConfig>
  readonly files?: Readonly<Record<string, FileNode>>
}

function desired({ spec = {}, config = {} }: Case, files: FileTree): Desired {
  const result = desiredState({
    key: KEY,
    app: anApp(spec),
    image: anImage({ config }),
    tree: files,
    sources: sources({}, { c: {} }),
  })
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.desired
}

function rendered(given: Case) {
  const files = tree(given.files ?? {})
  return toLocal(frozen(desired(given, files)), files, HOST, PLACES)
}

function mounts(given: Case): { destination: string; source: string; options: readonly string[] }[] {
  return rendered(given)
    .config.mounts.filter(({ type }) => type === 'bind')
    .map(({ destination, source, options }) => ({ destination, source, options }))
}

const at = (given: Case, destination: string) =>
  mounts(given).find((mount) => mount.destination === destination)

describe('volumes', () => {
  test('are bound privately, writable, executable, without devices and setuid (rule V4)', () => {
    expect(at({ config: { volumes: ['/data'] } }, '/data')).toEqual({
      destination: '/data',
      source: '/volumes/data',
      options: ['rbind', 'rw', 'rprivate', 'nosuid', 'nodev', 'exec'],
    })
  })

  test.each<[string, Record<string, unknown>, string, string]>([
    ['exec: Forbidden', { exec: 'Forbidden' }, 'rw', 'noexec'],
    ['exec: Any', { exec: 'Any' }, 'rw', 'exec'],
    ['readOnly', { readOnly: true }, 'ro', 'exec'],
    ['a ConfigMap', { source: { configMap: { name: 'c' } } }, 'ro', 'exec'],
    ['memory', { medium: 'Memory', size: '1Mi' }, 'rw', 'exec'],
  ])('%s shows in the options', (_title, entry, access, exec) => {
    const options = at({ spec: { volumes: [{ path: '/data', ...entry }] } }, '/data')?.options
    expect(options).toEqual(['rbind', access, 'rprivate', 'nosuid', 'nodev', exec])
  })

  test('are never a tmpfs of the runtime (rule V1)', () => {
    const { config } = rendered({ config: { volumes: ['/data', '/logs'] } })
    expect(
      config.mounts
        .filter(({ destination }) => ['/data', '/logs'].includes(destination))
        .map(({ type }) => type),
    ).toEqual(['bind', 'bind'])
  })

  test('are mounted parents first, whatever order they are declared in', () => {
    const found = mounts({ config: { volumes: ['/a/b/c', '/a', '/a/b'] } }).map(
      ({ destination }) => destination,
    )
    const order = ['/a', '/a/b', '/a/b/c'].map((path) => found.indexOf(path))
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(order).not.toContain(-1)
  })

  test('are mounted where the links of the image lead', () => {
    const found = at(
      { config: { volumes: ['/link/x'] }, files: { link: link('/real'), real: dir() } },
      '/real/x',
    )
    expect(found?.source).toBe('/volumes/link/x')
  })
})

describe('/etc/hosts, /etc/hostname and /etc/resolv.conf', () => {
  const destinations = (given: Case) =>
    mounts(given)
      .filter(({ source }) => source.startsWith('/files/'))
      .map(({ destination, source }) => `${source} -> ${destination}`)
      .toSorted()

  test('are ours, also in an image without /etc', () => {
    expect(destinations({})).toEqual([
      '/files/hostname -> /etc/hostname',
      '/files/hosts -> /etc/hosts',
      '/files/resolv.conf -> /etc/resolv.conf',
    ])
  })

  test('are not executable', () => {
    expect(at({}, '/etc/hosts')?.options).toContain('noexec')
  })

  test.each<[string, FileNode, Readonly<Record<string, FileNode>>, string]>([
    [
      'a link to a file',
      link('../run/dns/resolv.conf'),
      { 'run/dns/resolv.conf': file('') },
      '/run/dns/resolv.conf',
    ],
    [
      'a link to nowhere yet',
      link('../run/systemd/resolve/stub-resolv.conf'),
      {},
      '/run/systemd/resolve/stub-resolv.conf',
    ],
    ['a link out of the image', link('../../../../../run/resolv.conf'), {}, '/run/resolv.conf'],
  ])('follow %s inside the image', (_title, node, others, destination) => {
    const files = { 'etc/resolv.conf': node, ...others }
    expect(destinations({ files })).toContain(`/files/resolv.conf -> ${destination}`)
  })

  test.each<[string, Readonly<Record<string, FileNode>>]>([
    ['is a folder', { 'etc/resolv.conf': dir() }],
    ['is a link to itself', { 'etc/resolv.conf': link('resolv.conf') }],
    ['lies below a file', { etc: file('') }],
  ])('are left out where what the image has %s', (_title, files) => {
    expect(destinations({ files }).some((text) => text.startsWith('/files/resolv.conf'))).toBe(false)
  })

  test('give way to what the user mounts there', () => {
    const source = { configMap: { name: 'c' }, subPath: 'hosts' }
    const given = { spec: { volumes: [{ path: '/etc/hosts', source }] }, files: { 'etc/hosts': file('') } }
    expect(at(given, '/etc/hosts')?.source).toBe('/volumes/etc/hosts')
  })
})

describe('hooks', () => {
  test('without any there is no runner', () => {
    const found = rendered({})
    expect(found.hookScript).toBeUndefined()
    expect(found.config.hooks).toBeUndefined()
    expect(mounts({}).some(({ destination }) => destination.startsWith('/.fairlead'))).toBe(false)
  })

  test('in the container are run by one runner, in order', () => {
    const found = rendered({ spec: { hooks: [{ path: '/first' }, { path: '/second' }] } })
    expect(found.config.hooks?.['startContainer']).toHaveLength(1)
    const script = found.hookScript ?? ''
    expect(script.indexOf('/first')).toBeGreaterThan(-1)
    expect(script.indexOf('/first')).toBeLessThan(script.indexOf('/second'))
  })

  test('on the host need no runner', () => {
    const found = rendered({ spec: { hooks: [{ path: '/host', stage: 'Poststop' }] } })
    expect(found.hookScript).toBeUndefined()
    expect(found.config.hooks?.['poststop']).toMatchObject([{ path: '/host', args: ['/host'] }])
  })
})

describe('the working directory that is made on the host', () => {
  test.each<[string, string, Readonly<Record<string, FileNode>>, string]>([
    ['is / where nobody names one', '', {}, '/'],
    ['stays as it is', '/srv/app', { 'srv/app': dir() }, '/srv/app'],
    ['may be missing', '/srv/app', {}, '/srv/app'],
    ['climbs no higher than the image', '/a/../../../../etc/evil', {}, '/etc/evil'],
    ['follows links inside the image only', '/link/evil', { link: link('/') }, '/evil'],
    [
      'follows relative links inside the image only',
      '/a/link/evil',
      { 'a/link': link('../../../..') },
      '/evil',
    ],
    ['has no double slashes', '//srv//app/', {}, '/srv/app'],
  ])('%s', (_title, workingDir, files, expected) => {
    expect(rendered({ config: { workingDir }, files }).workingDir).toBe(expected)
  })

  test('is not asked for when it leads in a circle', () => {
    const files = { loop: link('loop') }
    expect(() => rendered({ config: { workingDir: '/loop/x' }, files })).toThrow(
      expect.objectContaining({ reason: 'WorkingDirInvalid' }) as Error,
    )
  })
})

test('the container says whose it is and what was typed', () => {
  const found = rendered({})
  expect(found.config.annotations).toMatchObject({
    'fairlead.dev/app': 'chat/mattermost',
    'fairlead.dev/revision': found.id.split('_')[2],
    'fairlead.dev/image-reference': 'example.com/mattermost:10.12',
    'fairlead.dev/image-digest': anImage().digest,
  })
})

test('labels of the image can not pretend to be ours', () => {
  const labels = { 'fairlead.dev/app': 'evil/app' }
  expect(rendered({ config: { labels } }).config.annotations?.['fairlead.dev/app']).toBe('chat/mattermost')
})

test('equal inputs give equal bytes', () => {
  const given = { config: { volumes: ['/b', '/a'] }, spec: { hooks: [{ path: '/h' }] } }
  expect(JSON.stringify(rendered(given))).toBe(JSON.stringify(rendered(given)))
})

test('the checks see each volume with what will be in it', () => {
  const files = tree({})
  const views = volumeViews(
    desired(
      { config: { volumes: ['/data'] }, spec: { volumes: [{ path: '/x', exec: 'Forbidden' }] } },
      files,
    ),
    (volume) => tree({ [volume.path.slice(1)]: file('') }),
  )
  expect(views.map(({ destination, noexec }) => ({ destination, noexec }))).toEqual([
    { destination: '/data', noexec: false },
    { destination: '/x', noexec: true },
  ])
  expect(views[0]?.tree.lookup(['data'])?.type).toBe('file')
})
