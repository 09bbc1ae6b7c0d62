import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  NO_IMAGES_CONFIG,
  readImageSettings,
} from '../../../../src/engine/kubernetes/images/image-settings.ts'
import {
  parseImagesConfig,
  readImagesConfig,
  trustAuthorities,
} from '../../../../src/engine/kubernetes/images/images-config.ts'
import { failureOf } from '../../../support/expected-error.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'fairlead-config-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function write(name: string, text: string): string {
  const file = path.join(folder, name)
  writeFileSync(file, text)
  return file
}

const PROVIDERS = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr
  matchImages: ["*.example.com"]
  defaultCacheDuration: 12h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
`

describe('settings about images', () => {
  test('may be left out', () => {
    expect(parseImagesConfig(undefined, 'file')).toEqual(NO_IMAGES_CONFIG)
    expect(readImagesConfig(write('empty.yaml', '# nothing\n'))).toEqual(NO_IMAGES_CONFIG)
  })

  test('are read from YAML, with the file for the kubelet beside them', () => {
    const providers = write('providers.yaml', PROVIDERS)
    const file = write(
      'images.yaml',
      `registries:
  registry.example.com: { plainHttp: true }
layouts:
- { prefix: registry.example.com/team, path: /layouts/x }
caFile: /etc/ca.pem
credentialProviders: { config: ${providers}, binDir: /opt/bin }
`,
    )
    expect(readImagesConfig(file)).toMatchObject({
      registries: { 'registry.example.com': { plainHttp: true } },
      layouts: [{ prefix: 'registry.example.com/team/', path: '/layouts/x' }],
      caFile: '/etc/ca.pem',
      providers: [{ name: 'ecr', program: '/opt/bin/ecr', defaultCacheMs: 43_200_000 }],
    })
  })

  test('name hosts as references do', () => {
    const allowedRegistries = ['index.docker.io', 'registry.example.com:5000']
    expect(parseImagesConfig({ allowedRegistries }, 'file').allowedRegistries).toEqual([
      'docker.io',
      'registry.example.com:5000',
    ])
  })

  test('come from the files that the operator names, if any', async () => {
    const providers = { config: write('providers.yaml', PROVIDERS), binDir: '/opt/bin' }
    const file = write('images.yaml', 'layouts: [{ prefix: a.example.com, path: /layouts }]\n')
    expect(await readImageSettings(undefined, undefined)).toEqual(NO_IMAGES_CONFIG)
    expect(await readImageSettings(file, providers)).toMatchObject({
      layouts: [{ prefix: 'a.example.com/', path: '/layouts' }],
      providers: [{ name: 'ecr', program: '/opt/bin/ecr' }],
    })
  })

  test.each([
    ['registry.example.com/', 'registry.example.com/'],
    ['registry.example.com:5000/a/b/', 'registry.example.com:5000/a/b/'],
    ['docker.io', 'docker.io/'],
    ['index.docker.io/library', 'docker.io/library/'],
  ])('take the prefix %s for %s', (prefix, expected) => {
    expect(parseImagesConfig({ layouts: [{ prefix, path: '/x' }] }, 'file').layouts).toEqual([
      { prefix: expected, path: '/x' },
    ])
  })

  test.each([
    [true, { lenient: true }],
    [false, {}],
  ])('read layouts of other versions where they say so (%s)', (lenientLayouts, added) => {
    const layouts = [{ prefix: 'a.b/', path: '/x' }]
    expect(parseImagesConfig({ layouts, lenientLayouts }, 'file').layouts).toEqual([
      { prefix: 'a.b/', path: '/x', ...added },
    ])
  })

  test.each<[unknown, RegExp]>([
    ['text', /file: the document must hold settings/],
    [{ layout: [] }, /file: layout is no setting; there are registries, allowedRegistries, layouts/],
    [{ layouts: {} }, /layouts must be a list/],
    [{ allowedRegistries: 'docker.io' }, /allowedRegistries must be a list/],
    [
      { allowedRegistries: ['a.example', 'https://b.example'] },
      /allowedRegistries\[1\] must be a registry host/,
    ],
    [{ allowedRegistries: [1] }, /allowedRegistries\[0\] must be a registry host/],
    [{ layouts: [{ prefix: 'a.b/', path: 'relative' }] }, /layouts\[0\]\.path must be an absolute path/],
    [{ layouts: [{ prefix: 'https://a.b/', path: '/x' }] }, /layouts\[0\]\.prefix must be a registry/],
    [{ layouts: [{ prefix: 'a.b/', path: '/x', tag: '1' }] }, /layouts\[0\]\.tag is no setting/],
    [{ registries: { 'a b': {} } }, /registries/],
    [{ lenientLayouts: 'yes' }, /lenientLayouts must be true or false/],
    [{ caFile: 1 }, /caFile must be an absolute path/],
    [{ credentialProviders: { config: '/x' } }, /credentialProviders\.binDir/],
  ])('refuse %j', async (value, expected) => {
    expect(await failureOf(() => parseImagesConfig(value, 'file'))).toMatch(expected)
  })

  test('refuse a file that is none', async () => {
    expect(await failureOf(() => readImagesConfig(path.join(folder, 'none')))).toMatch(
      /none: cannot be read \(ENOENT\)/,
    )
    expect(await failureOf(() => readImagesConfig(write('bad.yaml', 'a: [')))).toMatch(/bad\.yaml: line \d/)
    expect(await failureOf(() => readImagesConfig(write('two.yaml', 'a: 1\n---\nb: 2\n')))).toMatch(
      /has 2 documents/,
    )
  })
})

function makeAuthority(name: string): string {
  const file = path.join(folder, `${name}.pem`)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${file}.key`]
  const args = ['req', '-x509', ...key, '-out', file, '-subj', `/CN=${name}`, '-days', '2']
  execFileSync('openssl', args, { stdio: 'ignore' })
  return readFileSync(file, 'utf8')
}

describe('authorities of the operator', () => {
  test('are trusted by the whole process', async () => {
    const before = getCACertificates('default')
    try {
      const [first, second] = [makeAuthority('first'), makeAuthority('second')]
      trustAuthorities(write('bundle.pem', `# two of them\n${first}${second}`))
      const trusted = getCACertificates('default').map((each) => each.trim())
      expect(trusted).toEqual(expect.arrayContaining([first.trim(), second.trim()]))
      expect(trusted.length).toBeGreaterThan(100)
      expect(await failureOf(() => trustAuthorities(write('no.pem', 'text')))).toMatch(
        /has no PEM certificate/,
      )
      expect(
        await failureOf(() =>
          trustAuthorities(write('bad.pem', '-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n')),
        ),
      ).toMatch(/cannot be read/)
    } finally {
      setDefaultCACertificates(before)
    }
  })
})
