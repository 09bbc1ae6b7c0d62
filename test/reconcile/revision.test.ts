import { describe, expect, test } from 'vitest'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { namedSources, revisionOf } from '../../src/reconcile/revision.ts'
import { anApp, digest, sources } from '../support/builders.ts'

const BASE = {
  volumes: [
    { path: '/data', size: '5Gi' },
    { path: '/tmp/cache', medium: 'Memory', size: '64Mi' },
  ],
  env: [{ name: 'A', value: '1' }],
  envFrom: [{ secretRef: { name: 'db' } }],
  pullSecrets: [{ name: 'registry' }],
}
const SOURCES = sources({ db: { USER: 'root', PASSWORD: 'x' } }, { settings: { mode: 'fast' } })
const MANIFEST = digest('a1')

function revision(spec: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}): string {
  return revisionOf(anApp({ ...BASE, ...spec }, metadata), MANIFEST, SOURCES)
}

const annotated = (name: string) => ({ annotations: { [name]: 'now' } })

test('is ten hex digits and the same every time', () => {
  expect(revision()).toMatch(/^[0-9a-f]{10}$/)
  expect(revision()).toBe(revision())
})

test('stays the same for ever: an upgrade of Fairlead must restart no app', () => {
  expect(revisionOf(anApp(), digest('a1'), sources())).toBe('eeb191ec1e')
})

describe('the container is replaced by', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>?]>([
    ['command', { command: ['/other'] }],
    ['args', { args: ['--fast'] }],
    ['empty args, which are not absent ones', { args: [] }],
    ['a value of env', { env: [{ name: 'A', value: '2' }] }],
    ['the order of env, which references depend on', { env: [{ name: 'B' }, { name: 'A', value: '1' }] }],
    ['no envFrom', { envFrom: [] }],
    ['workingDir', { workingDir: '/srv' }],
    ['user', { user: '1000' }],
    ['resources', { resources: { limits: { memory: '1Gi' } } }],
    ['hooks', { hooks: [{ path: '/hook' }] }],
    ['securityContext', { securityContext: { readOnlyRootFilesystem: true } }],
    ['another volume', { volumes: [...BASE.volumes, { path: '/more' }] }],
    ['one volume less', { volumes: [BASE.volumes[0]] }],
    ['a noexec volume', { volumes: [{ path: '/data', exec: 'Forbidden' }, BASE.volumes[1]] }],
    ['a read-only volume', { volumes: [{ path: '/data', readOnly: true }, BASE.volumes[1]] }],
    ['a volume with a source', { volumes: [{ path: '/data', source: { claimName: 'x' } }, BASE.volumes[1]] }],
    [
      'the size of a tmpfs',
      { volumes: [BASE.volumes[0], { path: '/tmp/cache', medium: 'Memory', size: '65Mi' }] },
    ],
    [
      'a tmpfs instead of a folder',
      { volumes: [{ path: '/data', size: '5Gi', medium: 'Memory' }, BASE.volumes[1]] },
    ],
    ['noexec by default', { volumeDefaults: { exec: 'Forbidden' } }],
    ['read-only by default', { volumeDefaults: { readOnly: true } }],
    ['memory by default', { volumeDefaults: { medium: 'Memory', size: '1Mi' } }],
    ['a restart that was asked for', {}, annotated(RESTART_REQUESTED_AT)],
  ])('%s', (_title, spec, metadata) => {
    expect(revision(spec, metadata)).not.toBe(revision())
  })

  test('another manifest', () => {
    expect(revisionOf(anApp(BASE), digest('b2'), SOURCES)).not.toBe(revision())
  })

  test('another size of every tmpfs', () => {
    const sized = (size: string) => revision({ volumeDefaults: { medium: 'Memory', size } })
    expect(sized('1Mi')).not.toBe(sized('2Mi'))
  })

  test.each([
    ['a value of a Secret that it sees', { db: { USER: 'root', PASSWORD: 'y' } }],
    ['a key more in a Secret', { db: { USER: 'root', PASSWORD: 'x', MORE: '' } }],
    ['a Secret that is gone', {}],
    ['a Secret that is empty', { db: {} }],
  ])('%s', (_title, secrets) => {
    expect(revisionOf(anApp(BASE), MANIFEST, sources(secrets))).not.toBe(revision())
  })

  test('bytes that move from one key of a Secret to the next', () => {
    const of = (data: Record<string, string>) => revisionOf(anApp(BASE), MANIFEST, sources({ db: data }))
    expect(of({ a: 'xy', b: 'z' })).not.toBe(of({ a: 'x', b: 'yz' }))
  })
})

describe('the container stays through', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>?]>([
    ['labels', {}, { labels: { team: 'chat' } }],
    ['annotations of others', {}, annotated('example.com/note')],
    ['a request to resolve', {}, annotated(RESOLVE_REQUESTED_AT)],
    ['a rollback to what runs', {}, { annotations: { [ROLLBACK_TO]: MANIFEST } }],
    ['the size of a disk', { volumes: [{ path: '/data', size: '50Gi' }, BASE.volumes[1]] }],
    ['retain', { volumes: [{ path: '/data', size: '5Gi', retain: 'Delete' }, BASE.volumes[1]] }],
    ['seed', { volumes: [{ path: '/data', size: '5Gi', seed: 'Never' }, BASE.volumes[1]] }],
    ['the order of volumes', { volumes: BASE.volumes.toReversed() }],
    [
      'another spelling of a path',
      {
        volumes: [
          { path: '/data/', size: '5Gi' },
          { ...BASE.volumes[1], path: '//tmp/./cache' },
        ],
      },
    ],
    ['sizes by default', { volumeDefaults: { size: '9Gi' } }],
    ['retain by default', { volumeDefaults: { retain: 'Delete' } }],
    ['imagePolicy', { imagePolicy: { resolve: 'Interval', interval: '1h' } }],
    ['pull secrets', { pullSecrets: [{ name: 'other' }] }],
    ['replicas', { replicas: 0 }],
    ['suspend', { suspend: true }],
    ['another tag of the same image', { image: 'example.com/mattermost:latest' }],
    ['ports, which are open on the host anyway', { ports: [{ port: 8065 }] }],
  ])('%s', (_title, spec, metadata) => {
    expect(revision(spec, metadata)).toBe(revision())
  })

  test('the order of keys in objects', () => {
    const of = (resources: unknown) => revision({ resources })
    expect(of({ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1' } })).toBe(
      of({ requests: { cpu: '1' }, limits: { memory: '1Gi', cpu: '1' } }),
    )
  })

  test('a Secret that it does not see', () => {
    const more = sources({ db: { PASSWORD: 'x', USER: 'root' }, registry: { '.dockerconfigjson': '{}' } })
    expect(revisionOf(anApp(BASE), MANIFEST, more)).toBe(revision())
  })
})

test('namedSources lists each Secret and ConfigMap of the container once, sorted, without pull secrets', () => {
  const app = anApp({
    pullSecrets: [{ name: 'registry' }],
    envFrom: [{ secretRef: { name: 'z' } }, { configMapRef: { name: 'c' } }, { secretRef: { name: 'a' } }],
    env: [
      { name: 'A', valueFrom: { secretKeyRef: { name: 'z', key: 'k' } } },
      { name: 'B', valueFrom: { configMapKeyRef: { name: 'b', key: 'k' } } },
    ],
    volumes: [
      { path: '/s', source: { secret: { secretName: 'v' } } },
      { path: '/c', source: { configMap: { name: 'c' } } },
      { path: '/h', source: { hostPath: { path: '/srv' } } },
    ],
  })
  expect(namedSources(app).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'Secret a',
    'Secret v',
    'Secret z',
    'ConfigMap b',
    'ConfigMap c',
  ])
})

test('naming a path that the image declares, without a word about its mount, is the same revision', () => {
  const manifest = digest('a1')
  const plain = revisionOf(anApp(), manifest, sources(), ['/data'])
  const named = (volume: object, declared: readonly string[]) =>
    revisionOf(anApp({ volumes: [volume] }), manifest, sources(), declared)
  expect(named({ path: '/data/', size: '5Gi', retain: 'Delete' }, ['/data'])).toBe(plain)
  expect(named({ path: '/data', exec: 'Forbidden' }, ['/data'])).not.toBe(plain)
  expect(named({ path: '/data' }, [])).not.toBe(plain)
})
