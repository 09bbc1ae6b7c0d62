import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseDocuments, parseSources, requireDocuments } from '../../src/crd/documents.ts'
import { formatIssue, IssuesError } from '../../src/errors.ts'

const APP = `apiVersion: fairlead.dev/v1alpha1
kind: ContainerApp
metadata: {name: mattermost, namespace: chat}
spec:
  image: mattermost/mattermost-team-edition:10.12   # kept byte for byte
  volumes:                    # optional
  - {path: /mattermost/plugins, size: 5Gi}
  ports: [{name: http, port: 8065}]
`

function secret(rest: string): string {
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n${rest}\n`
}

function configMap(rest: string): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n${rest}\n`
}

function linesOf(text: string): readonly string[] {
  return parseDocuments(text, 'app.yaml').issues.map(formatIssue)
}

describe('what is read', () => {
  test('reads the resource of the introduction', () => {
    expect(parseDocuments(APP, 'dir/app.yaml')).toEqual({
      issues: [],
      documents: expect.objectContaining({
        apps: [
          {
            source: 'dir/app.yaml',
            app: {
              apiVersion: 'fairlead.dev/v1alpha1',
              kind: 'ContainerApp',
              metadata: { name: 'mattermost', namespace: 'chat' },
              spec: {
                image: 'mattermost/mattermost-team-edition:10.12',
                volumes: [{ path: '/mattermost/plugins', size: '5Gi' }],
                ports: [{ name: 'http', port: 8065 }],
              },
            },
          },
        ],
      }),
    })
  })

  test('reads many documents, of several kinds, and skips the empty ones', () => {
    const text = `---\n# only a comment\n---\n${APP}---\n${secret('stringData: {a: b}')}---\nnull\n---\n${configMap('data: {x: "1"}')}...\n`
    const { documents, issues } = parseDocuments(text, '-', 'team')
    expect(issues).toEqual([])
    expect(documents.apps.map(({ app }) => app.metadata.namespace)).toEqual(['chat'])
    expect(documents.secrets).toEqual([
      { kind: 'Secret', metadata: { name: 's', namespace: 'team' }, type: 'Opaque', data: { a: 'Yg==' } },
    ])
    expect(documents.configMaps).toEqual([
      { kind: 'ConfigMap', metadata: { name: 'c', namespace: 'team' }, data: { x: '1' }, binaryData: {} },
    ])
  })

  test('reads JSON, with its escapes and tabs', () => {
    const json = JSON.stringify(
      {
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { name: 'a' },
        spec: { image: 'a', args: ['\u{1f600}\n\t/'] },
      },
      undefined,
      '\t',
    )
    const { documents } = parseDocuments(json.replace('/"', String.raw`\/"`), 'a.json')
    expect(documents.apps[0]?.app.spec.args).toEqual(['\u{1f600}\n\t/'])
  })

  test('unwraps a List', () => {
    const list = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }],
    })
    expect(parseDocuments(list, 'l.json').documents.configMaps).toHaveLength(1)
  })

  test('takes stringData over data and ignores line ends in base64', () => {
    const text = secret(
      'type: Opaque\nimmutable: true\ndata:\n  a: eA==\n  b: |\n    aGVs\n    bG8=\nstringData: {a: "y"}',
    )
    expect(parseDocuments(text, '').documents.secrets[0]?.data).toEqual({ a: 'eQ==', b: 'aGVsbG8=' })
  })

  test('keeps a key that looks like a prototype', () => {
    const { documents } = parseDocuments(configMap('data: {__proto__: evil, constructor: "1"}'), '')
    expect(JSON.stringify(documents.configMaps[0]?.data)).toBe('{"__proto__":"evil","constructor":"1"}')
  })

  test('follows aliases and merge keys', () => {
    const text = `${APP.replace('name: http, port: 8065', 'port: &p 8065')}  probes:\n    liveness: &probe {tcpSocket: {port: *p}, periodSeconds: 5}\n    readiness: {<<: *probe, periodSeconds: 7}\n`
    expect(parseDocuments(text, '').documents.apps[0]?.app.spec.probes?.readiness).toEqual({
      tcpSocket: { port: 8065 },
      periodSeconds: 7,
    })
  })

  test('reads yes, on and times as the text that they are', () => {
    const text = `${APP}  args: [yes, on, 12:30, 1_000, 2026-01-01]\n`
    expect(parseDocuments(text, '').documents.apps[0]?.app.spec.args).toEqual([
      'yes',
      'on',
      '12:30',
      '1_000',
      '2026-01-01',
    ])
  })

  test('gives back what is right beside what is wrong', () => {
    const { documents, issues } = parseDocuments(`${APP}---\nkind: Pod\n`, 'x')
    expect(documents.apps).toHaveLength(1)
    expect(issues).toHaveLength(1)
    expect(() => requireDocuments({ documents, issues })).toThrow(IssuesError)
  })
})

describe('what is refused, with file and line', () => {
  test.each([
    [
      'a wrong value',
      APP.replace('5Gi', '5GB'),
      'app.yaml:7: spec.volumes[0].size: found "5GB"; must be a quantity such as 5Gi',
    ],
    [
      'an unknown field',
      APP.replace('ports', 'port'),
      'app.yaml:8: spec.port: unknown field; did you mean ports?',
    ],
    [
      'a missing object with what it must have',
      APP.replace(/^metadata.*\n(?: .*\n)*/m, ''),
      'app.yaml:1: metadata: is missing: must be an object with name',
    ],
    [
      'a missing field at its parent',
      APP.replace(/ {2}image.*\n/, ''),
      'app.yaml:4: spec.image: is missing: must be a string',
    ],
    [
      'a rule',
      APP.replace('/mattermost/plugins', '/proc/x'),
      'app.yaml:7: spec.volumes[0].path: found "/proc/x"',
    ],
    [
      'a problem in the second document',
      `${APP}---\n${APP.replace('8065', '0')}`,
      'app.yaml:17: spec.ports[0].port: found the number 0',
    ],
    [
      'the same name twice',
      `${APP}---\n${APP}`,
      'app.yaml:12: metadata.name: ContainerApp chat/mattermost is already defined at app.yaml:3',
    ],
    [
      'another kind',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}',
      'app.yaml:2: kind: found "Deployment" named "web"; must be ContainerApp, Secret, ConfigMap or a List',
    ],
    [
      'a misspelt kind',
      'kind: containerapp',
      'app.yaml:1: kind: found "containerapp"; must be ContainerApp, Secret, ConfigMap or a List of them; did you mean ContainerApp?',
    ],
    ['no kind', 'a: 1', 'app.yaml:1: kind: is missing'],
    ['text', 'hello', 'app.yaml:1: found "hello"; must be an object with apiVersion, kind and metadata'],
    ['an item of a List', 'kind: List\nitems:\n- kind: Pod\n- kind: Node', 'app.yaml:3: kind: found "Pod"'],
    ['a List in a List', 'kind: List\nitems:\n- kind: List\n  items: []', 'app.yaml:3: kind: found "List"'],
    ['a key twice', 'kind: Pod\nkind: Pod', 'app.yaml:2: kind: stands twice in one object'],
    ['a missing quote', 'kind: "Pod\n', 'app.yaml:2: not valid YAML or JSON'],
    ['a bracket that stays open', 'kind: [', 'app.yaml:1: not valid YAML or JSON'],
    ['an octal number', secret('x: 0644'), 'app.yaml:4: x: a number must not begin with 0'],
    ['a tag', 'kind: !!binary aGk=', 'app.yaml:1: not valid YAML or JSON: a tag (!name) is unknown'],
    ['an unknown alias', 'kind: *nobody', 'app.yaml:1: kind: an alias (*name) has no anchor'],
    ['an endless alias', 'a: &a [*a]', 'app.yaml:1: an alias leads back to itself'],
    ['a merge of text', 'kind: Pod\n<<: text', 'app.yaml:1: a merge key (<<) must stand before an object'],
    ['a key that is a list', '[a]: b', 'app.yaml:1: not valid YAML or JSON: a key is no text'],
    [
      'data that is no base64',
      secret('data:\n  a: aGk=\n  b: hunter2!'),
      'app.yaml:6: data.b: must be base64; plain text belongs into stringData',
    ],
    ['base64 without its end', secret('data: {a: aGk}'), 'app.yaml:4: data.a: must be base64'],
    [
      'a number as a secret',
      secret('stringData: {pin: 4242}'),
      'app.yaml:4: stringData.pin: found a number; must be a string: write it in quotes',
    ],
    ['a wrong key', configMap('data: {a/b: c}'), 'app.yaml:4: data["a/b"]: the key "a/b" is not allowed'],
    ['a key that climbs', configMap('data: {..: c}'), 'app.yaml:4: data[".."]: the key ".." is not allowed'],
    [
      'a key in both',
      configMap('data: {a: b}\nbinaryData: {a: eA==}'),
      'app.yaml:5: binaryData.a: is also in data',
    ],
    [
      'a misspelt field of a ConfigMap',
      configMap('datas: {a: b}'),
      'app.yaml:4: datas: unknown field; did you mean data?',
    ],
    [
      'binary data that is no base64',
      configMap('binaryData: {a: hunter2!}'),
      'app.yaml:4: binaryData.a: must be base64',
    ],
    [
      'a Secret of more than a megabyte',
      secret(`stringData: {a: ${'x'.repeat(1_500_000)}}`),
      'app.yaml:1: holds 1500001 bytes',
    ],
    ['data as a list', configMap('data: [a]'), 'app.yaml:4: data: found a list; must be an object'],
    [
      'a pull secret without its key',
      secret('type: kubernetes.io/dockerconfigjson'),
      'app.yaml:1: data[".dockerconfigjson"]: is missing',
    ],
    [
      'a Secret of another version',
      secret('').replace('v1', 'v2'),
      'app.yaml:1: apiVersion: found "v2"; must be v1',
    ],
    [
      'a misspelt field of a Secret',
      secret('stringdata: {a: b}'),
      'app.yaml:4: stringdata: unknown field; did you mean stringData?',
    ],
    [
      'a Secret without a name',
      'apiVersion: v1\nkind: Secret\nmetadata: {}',
      'app.yaml:3: metadata.name: is missing',
    ],
    [
      'more than a megabyte of data',
      configMap(`data: {a: ${'x'.repeat(1_500_000)}}`),
      'app.yaml:1: holds 1500001 bytes',
    ],
  ])('refuses %s', (_title, text, line) => {
    expect(linesOf(text)[0]).toContain(line)
  })

  test('refuses the same name in two files of one input', () => {
    const { issues } = parseSources([
      { name: 'a.yaml', text: APP },
      { name: 'b.yaml', text: APP },
    ])
    expect(issues.map(formatIssue)).toEqual([
      'b.yaml:3: metadata.name: ContainerApp chat/mattermost is already defined at a.yaml:3: keep one of them',
    ])
  })

  test('allows the same name in two namespaces and for two kinds', () => {
    const text = `${APP}---\n${APP.replace('chat', 'talk')}---\n${secret('')}---\n${configMap('').replace('name: c', 'name: s')}`
    expect(linesOf(text)).toEqual([])
  })

  test('never shows what a Secret holds', () => {
    const text = secret(
      'type: kubernetes.io/tls\ndata: {a: hunter2!, b: [hunter2], c: {hunter2: hunter2}}\nstringData: hunter2',
    )
    expect(linesOf(text).length).toBeGreaterThan(3)
    expect(linesOf(text).join('\n')).not.toContain('hunter2')
  })

  test('never shows text that is no YAML', () => {
    expect(linesOf('stringData: {a: hunter2\nb: "hunter2').join('\n')).not.toContain('hunter2')
  })
})

describe('hostile input', () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${['b', 'c', 'd', 'e'].map((key, index) => `${key}: &${key} [${`*${'abcd'[index]},`.repeat(9)}]`).join('\n')}`
  test.each([
    ['more than 3 MiB', '#'.repeat(3 * 1024 * 1024 + 1), 'at most 3145728 are read'],
    ['a million brackets', '['.repeat(1_000_000), 'nested more than 100 levels'],
    ['brackets in brackets', '{a: '.repeat(5000), 'nested more than 100 levels'],
    ['dashes in dashes', '- '.repeat(100_000), 'nested more than 100 levels'],
    ['question marks', '? '.repeat(10_000), 'nested more than 100 levels'],
    [
      'deep indentation',
      Array.from({ length: 1000 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'),
      'nested more than 100 levels',
    ],
    ['a million documents', '---\n'.repeat(500_000), 'more than 1000 documents'],
    ['aliases that multiply', bomb, 'aliases multiply'],
    [
      'thousands of aliases',
      `a: [${Array.from({ length: 2000 }, (_, index) => `&x${index} a, *x${index}`).join(', ')}]`,
      'more than 100 aliases',
    ],
  ])('refuses %s within seconds', (_title, text, says) => {
    const before = process.cpuUsage()
    expect(linesOf(text)[0]).toContain(says)
    expect(secondsSince(before)).toBeLessThan(10)
  })

  test('reads a hundred thousand keys within seconds', () => {
    const keys = Array.from({ length: 50_000 }, (_, index) => `  k${index}: v`).join('\n')
    const before = process.cpuUsage()
    expect(linesOf(configMap(`data:\n${keys}`))).toEqual([])
    expect(secondsSince(before)).toBeLessThan(10)
  })

  test('never throws', () => {
    const word = fc.constantFrom(
      'kind: ',
      'Secret',
      'ContainerApp',
      '\n',
      '- ',
      '  ',
      '{',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '"',
      ': ',
      '|',
      '---\n',
      '#',
      '!x ',
      '<<: ',
      '\0',
      '\u2028',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 40 }), (parts) => {
        expect(Array.isArray(parseDocuments(parts.join(''), 'x').issues)).toBe(true)
      }),
    )
  })
})

test('reads the sample of the reference', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/resource.md'), 'utf8')
  const sample = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? ''
  expect(sample).toContain('kind: ContainerApp')
  expect(linesOf(sample)).toEqual([])
})

/** Of this process's own time: a busy machine makes nothing slower by it. */
function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
