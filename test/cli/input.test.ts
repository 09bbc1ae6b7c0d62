import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { MAX_TEXT_BYTES } from '../../src/crd/yaml-source.ts'
import { submissionOf } from '../../src/cli/submission.ts'
import { requireDocuments, parseDocuments } from '../../src/crd/documents.ts'
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { DIGEST_A, NOON } from './prepared-state.ts'
import { Desk } from './run.ts'

const APP =
  'apiVersion: fairlead.dev/v1alpha1\nkind: ContainerApp\nmetadata: {name: NAME}\nspec: {image: "oci:none"}\n'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

function write(name: string, text: string): void {
  writeFileSync(join(desk.dir, name), text)
}

function app(name: string): string {
  return APP.replace('NAME', name)
}

async function check(args: readonly string[], input?: string) {
  const result = await desk.run(
    ['check', '--no-images', '-o', 'json', ...args],
    input === undefined ? {} : { input },
  )
  return {
    ...result,
    report: JSON.parse(result.stdout) as {
      ok: boolean
      issues: { reason: string; path: string; message: string; location?: string }[]
    },
  }
}

describe('-f', () => {
  test('reports everything that is wrong with every file at once, and ends with 2', async () => {
    write('a.yaml', `${app('a')}---\n${app('b').replace('image', 'imag')}`)
    write('b.json', '{"apiVersion": "v1", "kind": "Deployment", "metadata": {"name": "x"}}')
    const { code, report } = await check(['-f', 'a.yaml', 'missing.yaml', 'b.json'])
    expect(code).toBe(2)
    expect(report.ok).toBe(false)
    expect(report.issues.map(({ reason, path, location }) => [reason, location ?? path])).toEqual([
      ['NotFound', 'missing.yaml'],
      ['InvalidSpec', 'a.yaml:9'],
      ['InvalidSpec', 'a.yaml:9'],
      ['UnsupportedField', 'b.json:1'],
    ])
  })

  test('stores nothing when anything is invalid', async () => {
    write('a.yaml', `${app('good')}---\n${app('UPPER')}`)
    const { code, stderr } = await desk.run(['up', '-f', 'a.yaml'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^InvalidSpec: a\.yaml:8: metadata\.name: /m)
    expect((await desk.run(['status', '-o', 'json'])).stdout).toContain('"items": []')
  })

  test('takes the files of a folder, no others and no deeper', async () => {
    mkdirSync(join(desk.dir, 'apps/deeper'), { recursive: true })
    write('apps/1.yaml', app('one'))
    write('apps/2.yml', app('two'))
    write(
      'apps/3.json',
      JSON.stringify({
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { name: 'three' },
        spec: { image: 'x' },
      }),
    )
    write('apps/.hidden.yaml', 'broken: [')
    write('apps/notes.txt', 'broken: [')
    write('apps/deeper/4.yaml', 'broken: [')
    const { stdout, code } = await desk.run(['check', '--no-images', '-f', 'apps'])
    expect({ stdout, code }).toEqual({ stdout: 'ok: 3 apps\n', code: 0 })
  })

  test('takes one file under two names once', async () => {
    write('a.yaml', app('one'))
    symlinkSync('a.yaml', join(desk.dir, 'b.yaml'))
    expect((await desk.run(['check', '--no-images', '-f', 'a.yaml', 'b.yaml', './a.yaml'])).stdout).toBe(
      'ok: 1 app\n',
    )
  })

  test('reads standard input', async () => {
    expect((await check(['-f', '-'], app('one'))).report.ok).toBe(true)
    const { report } = await check(['-f', '-'], app('Nope'))
    expect(report.issues[0]?.location).toBe('stdin:3')
  })

  test.each([
    ['an empty folder', 'empty', 'NotFound', 'holds no .yaml, .yml, .json file'],
    ['a file that is not there', 'none.yaml', 'NotFound', 'no such file'],
    ['a folder below a file', 'a.yaml/b.yaml', 'NotFound', 'no such file'],
    ['a file that is too large', 'large.yaml', 'LimitExceeded', 'split it'],
  ])('refuses %s by name', async (_title, name, reason, message) => {
    mkdirSync(join(desk.dir, 'empty'))
    write('a.yaml', app('a'))
    write('large.yaml', '#'.repeat(MAX_TEXT_BYTES + 1))
    const { report, code } = await check(['-f', name])
    expect(report.issues).toEqual([
      expect.objectContaining({ reason, path: name, message: expect.stringContaining(message) as string }),
    ])
    expect(code).toBe(2)
  })

  test.each([
    ['up', 'stderr'],
    ['check', 'stdout'],
  ] as const)('refuses files without a document: %s', async (command, stream) => {
    write('empty.yaml', '# nothing\n')
    const result = await desk.run([command, '-f', 'empty.yaml'])
    expect(result.code).toBe(2)
    expect(result[stream]).toMatch(/^InvalidSpec: empty\.yaml: the files hold no document$/m)
  })

  test.each([
    ['up', 'stderr'],
    ['check', 'stdout'],
  ] as const)(
    'refuses a reference that nobody could resolve as invalid input: %s',
    async (command, stream) => {
      write('a.yaml', `${app('good')}---\n${app('bad').replace('oci:none', 'https://example.com/x')}`)
      const result = await desk.run([command, '-f', 'a.yaml'])
      expect(result.code).toBe(2)
      expect(result[stream]).toMatch(/^InvalidReference: a\.yaml: spec\.image: .*no scheme/m)
      expect(result[stream].match(/InvalidReference/g)).toHaveLength(1)
      expect((await desk.run(['status', '-o', 'json'])).stdout).toContain('"items": []')
    },
  )

  test('leaves out what render derives, and says so', async () => {
    const derived =
      'apiVersion: local.fairlead.dev/v1alpha1\nkind: LocalInstance\nmetadata: {name: x}\nspec: {}\n'
    const { code, stderr } = await check(['-f', '-'], `${app('one')}---\n${derived}`)
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'stdin:6: LocalInstance x is derived from its app; left out\n',
    })
  })

  test('never prints the value of a Secret', async () => {
    const secret =
      'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {key: "not base64 hunter2"}\nstringData: {other: {hunter2: 1}}\n'
    const { code, stdout, stderr } = await desk.run(['check', '-f', '-'], { input: secret })
    expect(code).toBe(2)
    expect(stdout + stderr).not.toContain('hunter2')
  })
})

describe('a submission', () => {
  const status = `status:\n  lastHandledRequest: asked\n  image: {reference: "oci:none", canonical: "oci:/none", digest: "${DIGEST_A}", resolvedAt: "${NOON}"}\n`

  function submitted(text: string) {
    const [document] = requireDocuments(parseDocuments(text, 'x')).apps
    if (document === undefined) throw new Error('no app')
    return submissionOf({ ...document, baseDir: '/base' })
  }

  test.each<[string, Record<string, string>, Record<string, string> | undefined]>([
    ['keeps the annotations of the user', { mine: 'x' }, { mine: 'x' }],
    [
      'drops a request that its own status answers',
      { [RESOLVE_REQUESTED_AT]: 'asked', [ROLLBACK_TO]: DIGEST_A },
      undefined,
    ],
    ['drops only that', { mine: 'x', [RESOLVE_REQUESTED_AT]: 'asked' }, { mine: 'x' }],
    [
      'keeps a request that is still open',
      { [RESOLVE_REQUESTED_AT]: 'later' },
      { [RESOLVE_REQUESTED_AT]: 'later' },
    ],
  ])('%s', (_title, annotations, expected) => {
    const text = `${APP.replace('{name: NAME}', JSON.stringify({ name: 'a', annotations }))}${status}`
    const { resource } = submitted(text)
    expect((resource as { metadata: { annotations?: unknown } }).metadata.annotations).toEqual(expected)
  })

  test('holds the words of the user and brings the pin along, without what a server added', () => {
    const metadata = JSON.stringify({
      name: 'a',
      labels: { l: 'v' },
      generation: 7,
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: NOON,
    })
    const submission = submitted(`${APP.replace('{name: NAME}', metadata)}${status}`)
    expect(submission).toEqual({
      key: { namespace: 'default', name: 'a' },
      baseDir: '/base',
      resource: {
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { name: 'a', namespace: 'default', labels: { l: 'v' } },
        spec: { image: 'oci:none' },
      },
      status: expect.objectContaining({
        image: expect.objectContaining({ digest: DIGEST_A }) as unknown,
      }) as unknown,
    })
  })
})
