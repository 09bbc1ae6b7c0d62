import { describe, expect, test } from 'vitest'
import { checkCluster } from '../../../../src/engine/kubernetes/images/check-cluster.ts'
import type { PlatformImage } from '../../../../src/engine/kubernetes/images/cluster-images.ts'
import { UNSEEN_TREE } from '../../../../src/engine/kubernetes/images/unseen-tree.ts'
import { IssuesError } from '../../../../src/errors.ts'
import type { ImageConfig } from '../../../../src/image/types.ts'
import { desiredState } from '../../../../src/reconcile/desired.ts'
import type { Desired } from '../../../../src/reconcile/types.ts'
import { anApp, anImage, KEY, sources } from '../../../support/builders.ts'
import { buildElf } from '../../../support/elf.ts'
import { failureOf } from '../../../support/expected-error.ts'
import { dir, file, symlink, type LayerPart } from '../../../support/layer.ts'
import { seen } from './images.ts'

const PROGRAM = { mode: 0o755 }
const STATIC = buildElf({ type: 2 })
const ARM = { os: 'linux', architecture: 'arm64' }

async function platform(
  parts: readonly LayerPart[],
  config: Partial<ImageConfig> = {},
): Promise<PlatformImage> {
  return { image: anImage({ config }), tree: await seen([parts]), checked: true }
}

function desired({ image, tree }: PlatformImage, spec: object = {}): Desired {
  const result = desiredState({ key: KEY, app: anApp({ ...spec }), image, tree, sources: sources() })
  if ('issues' in result) throw new IssuesError(result.issues)
  return result.desired
}

function lines(
  wanted: Desired,
  platforms: readonly PlatformImage[],
  prepared: readonly string[] = [],
): readonly string[] {
  const isPrepared = ({ path }: { readonly path: string }) => prepared.includes(path)
  return checkCluster(wanted, { platforms }, { isPrepared }).map(
    ({ severity, reason, path, message }) => `${severity} ${reason} ${path}: ${message}`,
  )
}

/** An app whose image has its program in `/data`, a VOLUME. */
const inVolume = [dir('data'), file('data/app', STATIC, PROGRAM), file('bin/sh', STATIC, PROGRAM)]
const VOLUME: Partial<ImageConfig> = { volumes: ['/data'], entrypoint: ['/data/app'] }
const NOT_SEEN = [
  expect.stringMatching(/^warning ChecksNotMade .*what is in volume \/data, which only its pods see/),
]

describe('the checks on a cluster', () => {
  test('are content with a program that will start', async () => {
    const image = await platform([file('app', STATIC, PROGRAM)])
    expect(lines(desired(image), [image])).toEqual([])
  })

  test.each<[string, LayerPart, RegExp]>([
    ['is missing', file('other', STATIC, PROGRAM), /^error ExecNotFound image entrypoint/],
    ['may not be executed', file('app', STATIC), /^error ExecNotExecutable/],
    [
      'is for another machine',
      file('app', buildElf({ type: 2, machine: 183 }), PROGRAM),
      /^error ExecWrongArchitecture/,
    ],
    [
      'lacks its loader',
      file('app', buildElf({ interpreter: '/lib/ld.so' }), PROGRAM),
      /^error ExecLoaderMissing/,
    ],
    ['lacks its interpreter', file('app', '#!/bin/none\n', PROGRAM), /^error ExecInterpreterMissing/],
    ['leads nowhere', symlink('app', '/gone'), /^error ExecDanglingSymlink/],
    ['is data', file('app', 'x'.repeat(500), PROGRAM), /^error ExecFormatUnknown/],
  ])('refuse a program that %s', async (_, part, expected) => {
    const image = await platform([part])
    expect(lines(desired(image), [image])).toEqual([expect.stringMatching(expected)])
  })

  test('see in a new volume what it will be seeded with', async () => {
    const image = await platform(inVolume, VOLUME)
    expect(lines(desired(image), [image])).toEqual([])
    const never = { volumes: [{ path: '/data', seed: 'Never' }] }
    expect(lines(desired(image, never), [image])).toEqual([expect.stringMatching(/^error ExecHiddenByMount/)])
    const noexec = { volumes: [{ path: '/data', exec: 'Forbidden' }] }
    expect(lines(desired(image, noexec), [image])).toEqual([
      expect.stringMatching(/^error ExecOnNoexecMount/),
    ])
  })

  test('do not judge what a volume holds by now', async () => {
    const image = await platform(inVolume, VOLUME)
    expect(lines(desired(image), [image], ['/data'])).toEqual(NOT_SEEN)
    expect(lines(desired(image, { command: ['/bin/sh'] }), [image], ['/data'])).toEqual([])
  })

  test.each<[string, object, readonly unknown[]]>([
    ['a foreign claim', { source: { claimName: 'theirs' } }, NOT_SEEN],
    ['a ConfigMap', { source: { configMap: { name: 'files' } } }, NOT_SEEN],
    ['a Secret', { source: { secret: { secretName: 'files' } } }, NOT_SEEN],
    ['a folder of the node', { source: { hostPath: { path: '/srv' } } }, NOT_SEEN],
    [
      'memory, which begins empty',
      { medium: 'Memory', size: '1Mi' },
      [expect.stringMatching(/^error ExecHiddenByMount/)],
    ],
  ])('know of %s what can be known', async (_, volume, expected) => {
    const image = await platform(inVolume, { entrypoint: ['/data/app'] })
    expect(lines(desired(image, { volumes: [{ path: '/data', ...volume }] }), [image])).toEqual(expected)
  })

  test('judge a program outside although the process works in a volume', async () => {
    const image = await platform(inVolume, {
      ...VOLUME,
      entrypoint: ['/bin/sh'],
      workingDir: '/data/deep/er',
    })
    expect(lines(desired(image), [image], ['/data'])).toEqual([])
    const relative = desired(image, { command: ['./app'] })
    expect(lines(relative, [image], ['/data'])).toEqual(NOT_SEEN)
  })

  test('look at every platform, and say where', async () => {
    const amd = await platform([file('app', STATIC, PROGRAM)])
    const arm = await platform([file('app', STATIC, PROGRAM)], { platform: ARM })
    expect(lines(desired(amd), [amd, arm])).toEqual([
      expect.stringMatching(/^error ExecWrongArchitecture image entrypoint: on linux\/arm64: the entrypoint/),
    ])
  })

  test("take each platform's own entrypoint", async () => {
    const amd = await platform([file('app', STATIC, PROGRAM)])
    const own = await platform([file('arm-app', buildElf({ type: 2, machine: 183 }), PROGRAM)], {
      platform: ARM,
      entrypoint: ['/arm-app'],
    })
    expect(lines(desired(amd), [amd, own])).toEqual([])
  })

  test('say nothing of a platform that was not seen: that was said already', async () => {
    const image = await platform([file('app', STATIC, PROGRAM)])
    expect(lines(desired(image), [{ ...image, tree: UNSEEN_TREE, checked: false }])).toEqual([])
  })

  test('refuse links where something is mounted', async () => {
    const image = await platform([file('app', STATIC, PROGRAM), symlink('dev', '/etc')])
    expect(lines(desired(image), [image])).toEqual([expect.stringMatching(/^error UnsafeRootfs/)])
  })

  test('refuse what no runtime could start', async () => {
    const image = await platform([file('app', STATIC, PROGRAM), file('work', '')])
    const wanted = desired(image, { workingDir: '/work' })
    expect(await failureOf(() => lines(wanted, [image]))).toMatch(/^WorkingDirInvalid/)
  })
})

describe('hooks on a cluster', () => {
  test('are validated one by one', async () => {
    const image = await platform([...inVolume, file('app', STATIC, PROGRAM), file('hook', STATIC, PROGRAM)], {
      volumes: ['/data'],
    })
    const hooks = [
      { path: '/hook' },
      { path: '/data/app' },
      { path: '/missing' },
      { path: '/usr/bin/logger', stage: 'Poststart' },
    ]
    expect(lines(desired(image, { hooks }), [image], ['/data'])).toEqual([
      expect.stringMatching(
        /^warning ChecksNotMade spec\.hooks\[1\]\.path: the hook "\/data\/app" depends on/,
      ),
      expect.stringMatching(/^error ExecNotFound spec\.hooks\[2\]\.path/),
      expect.stringMatching(/^error HookNotAllowed spec\.hooks\[3\]\.path/),
    ])
  })
})

describe('content that was not kept', () => {
  const unread = (path: string, mode: number) => file(path, Buffer.alloc(11 << 20, 7), { mode })

  test('is said, not judged', async () => {
    const big = Buffer.concat([Buffer.from('#!/odd\n'), Buffer.alloc(300)])
    const image = await platform([file('app', big, PROGRAM), file('odd', 'text'), dir('etc')])
    expect(lines(desired(image), [image])).toEqual([
      expect.stringMatching(/^error ExecNotExecutable/),
      expect.stringMatching(
        /^warning ChecksNotMade .*not checked to the end: .*\/odd of the image \(4 bytes\)/,
      ),
    ])
  })

  test('does not hide what is known all the same', async () => {
    const image = await platform([unread('app', 0o644)])
    expect(lines(desired(image), [image])).toEqual([
      expect.stringMatching(/^error ExecNotExecutable/),
      expect.stringMatching(/^warning ChecksNotMade/),
    ])
  })

  test('of accounts is an error that says so', async () => {
    const image = await platform([file('app', STATIC, PROGRAM), unread('etc/passwd', 0o644)])
    expect(await failureOf(() => desired(image, { user: 'app' }))).toMatch(
      /^(ChecksNotMade|UserNotFound): .*passwd/,
    )
  })
})
