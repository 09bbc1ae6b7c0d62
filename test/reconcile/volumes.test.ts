import { describe, expect, test } from 'vitest'
import type { Issue } from '../../src/errors.ts'
import { claimName } from '../../src/reconcile/names.ts'
import type { DesiredVolume } from '../../src/reconcile/types.ts'
import { desiredVolumes } from '../../src/reconcile/volumes.ts'
import type { FileNode } from '../../src/rootfs/types.ts'
import { dir, file, link, tree } from '../bundle/tree.ts'
import { aConfig, anApp, frozen } from '../support/builders.ts'

interface Case {
  readonly image?: readonly string[]
  readonly spec?: readonly Record<string, unknown>[]
  readonly defaults?: Record<string, unknown>
  readonly files?: Readonly<Record<string, FileNode>>
}

function volumes({ image = [], spec = [], defaults, files = {} }: Case) {
  const app = anApp({ volumes: spec, ...(defaults === undefined ? {} : { volumeDefaults: defaults }) })
  return desiredVolumes(frozen(app), frozen(aConfig({ volumes: image })), tree(files))
}

/** The volumes of a case without problems, by path. */
function good(given: Case): Readonly<Record<string, DesiredVolume>> {
  const result = volumes(given)
  expect(result.issues).toEqual([])
  return Object.fromEntries(result.volumes.map((volume) => [volume.path, volume]))
}

function only(given: Case): DesiredVolume {
  const [volume, ...others] = Object.values(good(given))
  expect(others).toEqual([])
  if (volume === undefined) throw new Error('no volume')
  return volume
}

function issue(given: Case): Pick<Issue, 'severity' | 'reason' | 'path'> & { message: string } {
  const [first, ...others] = volumes(given).issues
  expect(others).toEqual([])
  if (first === undefined) throw new Error('no issue')
  return first
}

describe('a VOLUME of the image', () => {
  test('has company up to a limit, and beyond that no storage is made for any', () => {
    const many = (count: number) => ({ image: Array.from({ length: count }, (_, at) => `/v${at}`) })
    expect(Object.keys(good(many(64)))).toHaveLength(64)
    expect(issue(many(5000))).toMatchObject({ severity: 'error', reason: 'LimitExceeded' })
    expect(volumes(many(65)).volumes).toEqual([])
  })

  test('is a persistent volume of ours with exec, seeded and retained, without a word of the user', () => {
    expect(only({ image: ['/data'], files: { data: dir() } })).toEqual({
      path: '/data',
      destination: '/data',
      origin: 'Image',
      claimName: claimName('mattermost', '/data'),
      storage: { kind: 'own' },
      subPath: undefined,
      readOnly: false,
      exec: 'Required',
      seed: 'IfEmpty',
      retain: 'Retain',
      inImage: true,
      nested: [],
    })
  })

  test('that is not a folder of the image yet is known to be none', () => {
    expect(only({ image: ['/not/there'] })).toMatchObject({ destination: '/not/there', inImage: false })
  })

  test.each([
    ['/data/', '/data'],
    ['//data/./x/..', '/data'],
    ['/data/../../data', '/data'],
  ])('%j is keyed as %j', (declared, path) => {
    expect(only({ image: [declared] }).path).toBe(path)
  })

  test('stays one volume in all its spellings and with the words of the spec', () => {
    const found = only({ image: ['/data/', '/data'], spec: [{ path: '/data/.', exec: 'Any' }] })
    expect(found).toMatchObject({ path: '/data', origin: 'Image', exec: 'Any' })
  })

  test('takes the defaults of the app', () => {
    const defaults = { exec: 'Forbidden', seed: 'Never', retain: 'Delete', readOnly: true }
    expect(only({ image: ['/data'], defaults })).toMatchObject(defaults)
  })

  test('prefers its own word to the defaults', () => {
    const spec = { exec: 'Any', seed: 'IfEmpty', retain: 'Retain', readOnly: false }
    const defaults = { exec: 'Forbidden', seed: 'Never', retain: 'Delete', readOnly: true }
    expect(only({ image: ['/data'], spec: [{ path: '/data', ...spec }], defaults })).toMatchObject(spec)
  })

  test.each(['/', '/proc', '/sys/fs', '/dev/shm', '', '/a/..', '/a\0b'])('%j is refused', (declared) => {
    expect(issue({ image: [declared] })).toMatchObject({ severity: 'error', reason: 'VolumePathInvalid' })
  })

  test('with an odd key is a volume all the same, with a warning', () => {
    const result = volumes({ image: ['[/data,'] })
    expect(result.issues).toMatchObject([{ severity: 'warning', reason: 'VolumePathInvalid' }])
    expect(result.volumes).toHaveLength(1)
  })
})

describe('an entry of the spec', () => {
  test('that the image does not declare is a volume of the spec', () => {
    expect(only({ spec: [{ path: '/extra' }] })).toMatchObject({ origin: 'Spec', storage: { kind: 'own' } })
  })

  test('at an ancestor leaves the declared one its own volume (rule V9)', () => {
    const found = good({ image: ['/app/plugins'], spec: [{ path: '/app', source: { claimName: 'all' } }] })
    expect(found['/app']).toMatchObject({ storage: { kind: 'claim' }, nested: ['/app/plugins'] })
    expect(found['/app/plugins']).toMatchObject({ storage: { kind: 'own' } })
  })

  test.each<[string, Record<string, unknown>, Partial<DesiredVolume>]>([
    [
      'a claim',
      { source: { claimName: 'shared', subPath: 'a/b' } },
      {
        storage: { kind: 'claim', claimName: 'shared' },
        claimName: 'shared',
        subPath: 'a/b',
        seed: 'IfEmpty',
      },
    ],
    [
      'a folder of the host',
      { source: { hostPath: { path: '/srv' } } },
      { storage: { kind: 'hostPath', path: '/srv' }, seed: 'Never' },
    ],
    [
      'a ConfigMap',
      { source: { configMap: { name: 'c' } } },
      { storage: { kind: 'configMap', name: 'c', optional: false, mode: undefined }, seed: 'Never' },
    ],
    [
      'a Secret',
      { source: { secret: { secretName: 's', optional: true, defaultMode: 0o400 } } },
      { storage: { kind: 'secret', name: 's', optional: true, mode: 0o400 }, seed: 'Never' },
    ],
    ['memory', { medium: 'Memory', size: '64Mi' }, { storage: { kind: 'memory', sizeBytes: 64 << 20 } }],
  ])('may be %s', (_title, entry, expected) => {
    expect(only({ spec: [{ path: '/data', ...entry }] })).toMatchObject(expected)
  })

  test('in memory takes the size of the defaults', () => {
    const given = { spec: [{ path: '/data', medium: 'Memory' }], defaults: { size: '1Mi' } }
    expect(only(given).storage).toEqual({ kind: 'memory', sizeBytes: 1 << 20 })
  })

  test.each([
    ['a claim', { claimName: 'shared' }],
    ['a folder of the host', { hostPath: { path: '/srv' } }],
  ])('with %s is never given up by a default', (_title, source) => {
    expect(only({ spec: [{ path: '/data', source }], defaults: { retain: 'Delete' } }).retain).toBe('Retain')
  })

  test('with a source is not put into memory by a default', () => {
    const defaults = { medium: 'Memory', size: '1Mi' }
    expect(only({ spec: [{ path: '/data', source: { claimName: 'c' } }], defaults }).storage.kind).toBe(
      'claim',
    )
  })
})

describe('symlinks of the image', () => {
  test('are followed inside the image: the mount is where they lead (rule V3)', () => {
    const files = { 'var/run': link('/run'), 'run/app': dir() }
    expect(only({ image: ['/var/run/app'], files })).toMatchObject({
      path: '/var/run/app',
      destination: '/run/app',
      inImage: true,
    })
  })

  test('never lead out of the image', () => {
    const files = { data: link('../../../../etc/data') }
    expect(only({ image: ['/data'], files }).destination).toBe('/etc/data')
  })

  test.each([
    ['/proc', link('/proc/self')],
    ['/dev', link('/dev')],
    ['/sys', link('../sys/fs')],
    ['the root', link('/')],
  ])('that lead to %s are refused', (_title, node) => {
    expect(issue({ image: ['/data'], files: { data: node } })).toMatchObject({ reason: 'VolumePathInvalid' })
  })

  test('in a circle are refused', () => {
    const found = issue({ image: ['/a/x'], files: { a: link('b'), b: link('a') } })
    expect(found).toMatchObject({ severity: 'error', reason: 'VolumePathInvalid', path: 'VOLUME /a/x' })
    expect(found.message).toContain('loop')
  })

  const TWINS = { 'var/run': link('/run'), 'run/app': dir() }
  test.each([[['/var/run/app', '/run/app']], [['/run/app', '/var/run/app']]])(
    'make twins one volume, keyed by the path without links: %j',
    (image) => {
      expect(only({ image, files: TWINS })).toMatchObject({ path: '/run/app', destination: '/run/app' })
    },
  )

  test.each([
    ['/var/run/app', '/run/app'],
    ['/run/app', '/var/run/app'],
  ])('make one volume of VOLUME %s and the entry %s, with the words of the entry', (declared, path) => {
    const found = only({
      image: [declared],
      spec: [{ path, exec: 'Forbidden', readOnly: true }],
      files: TWINS,
    })
    expect(found).toMatchObject({ path: '/run/app', origin: 'Image', exec: 'Forbidden', readOnly: true })
  })

  test('make two entries of the spec a conflict', () => {
    const spec = [{ path: '/var/run/app' }, { path: '/run/app', exec: 'Any' }]
    expect(issue({ spec, files: TWINS })).toMatchObject({
      severity: 'error',
      reason: 'MountConflict',
      path: 'spec.volumes[0].path',
    })
  })
})

describe('what is in the way', () => {
  test.each([
    ['a file', file('x')],
    ['a fifo', { ...file(''), type: 'fifo' as const }],
    ['a device', { ...file(''), type: 'char' as const }],
  ])('%s where a volume should be is refused', (_title, node) => {
    expect(issue({ image: ['/data'], files: { data: node } })).toMatchObject({
      severity: 'error',
      reason: 'VolumeNotDirectory',
      path: 'VOLUME /data',
    })
  })

  test('a file on the way is refused', () => {
    expect(issue({ image: ['/etc/passwd/x'], files: { 'etc/passwd': file('') } })).toMatchObject({
      reason: 'VolumePathInvalid',
    })
  })

  test('a file may be covered by one key of a Secret', () => {
    const source = { secret: { secretName: 's' }, subPath: 'key' }
    const found = only({ spec: [{ path: '/etc/app.key', source }], files: { 'etc/app.key': file('') } })
    expect(found).toMatchObject({ destination: '/etc/app.key', inImage: false })
  })

  test('a file is not covered by a whole Secret', () => {
    const found = issue({
      spec: [{ path: '/etc/app.key', source: { secret: { secretName: 's' } } }],
      files: { 'etc/app.key': file('') },
    })
    expect(found).toMatchObject({ reason: 'VolumeNotDirectory', path: 'spec.volumes[0].path' })
  })

  test('every problem is told at once, and the good ones are still there', () => {
    const result = volumes({
      image: ['/', '/f', '/ok'],
      spec: [{ path: '/g' }],
      files: { f: file(''), g: file('') },
    })
    expect(result.issues.map(({ reason, path }) => `${reason} ${path}`).toSorted()).toEqual([
      'VolumeNotDirectory VOLUME /f',
      'VolumeNotDirectory spec.volumes[0].path',
      'VolumePathInvalid VOLUME /',
    ])
    expect(result.volumes.map(({ path }) => path)).toEqual(['/ok'])
  })
})

describe('nested volumes', () => {
  test('come after what they lie in, and each knows what lies below it (rule V8)', () => {
    const image = ['/a/b/c', '/a', '/ab', '/a/b', '/a-b']
    const found = volumes({ image }).volumes
    const place = (path: string) => found.findIndex((volume) => volume.path === path)
    expect(place('/a')).toBeLessThan(place('/a/b'))
    expect(place('/a/b')).toBeLessThan(place('/a/b/c'))
    expect(found[place('/a')]?.nested).toEqual(['/a/b', '/a/b/c'])
    expect(found[place('/a/b')]?.nested).toEqual(['/a/b/c'])
    expect(found[place('/ab')]?.nested).toEqual([])
  })

  test('are found by where they are mounted, not by how they are spelled', () => {
    const found = good({
      image: ['/data', '/link/inner'],
      files: { link: link('/data'), 'data/inner': dir() },
    })
    expect(found['/data']?.nested).toEqual(['/data/inner'])
  })
})
