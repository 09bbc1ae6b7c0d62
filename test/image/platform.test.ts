import { describe, expect, test } from 'vitest'
import { formatPlatform, hostPlatform, parsePlatform, selectPlatform } from '../../src/image/platform.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/image/media-types.ts'
import type { Descriptor, Digest, Index } from '../../src/image/types.ts'
import { failureOf } from '../support/expected-error.ts'

const digest = (char: string): Digest => `sha256:${char.repeat(64)}`
function entry(platform: string | undefined, char: string, more: Partial<Descriptor> = {}): Descriptor {
  const named = platform === undefined ? {} : { platform: parsePlatform(platform) }
  return { mediaType: OCI_MANIFEST, digest: digest(char), size: 1, ...named, ...more }
}
function indexOf(...platforms: readonly (string | Descriptor)[]): Index {
  const manifests = platforms.map((item, at) =>
    typeof item === 'string' ? entry(item, at.toString(16)) : item,
  )
  return { mediaType: OCI_INDEX, manifests, annotations: {} }
}

describe('selecting a platform', () => {
  test.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], '1'],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], '1'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], '1'],
    ['linux/arm64', ['linux/arm64/v8'], '0'],
    ['linux/arm64/v8', ['linux/arm64'], '0'],
    ['linux/arm64/v9', ['linux/arm64/v8'], '0'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'], '2'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], '1'],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v6'], '1'],
    ['linux/arm', ['linux/arm/v6', 'linux/arm/v7'], '1'],
    ['linux/arm/7', ['linux/arm/v7'], '0'],
    ['linux/amd64', ['linux/amd64', 'linux/amd64'], '0'],
    ['linux/s390x', ['linux/amd64', 'linux/s390x'], '1'],
  ])('for %s of %j it is entry %s', (wanted, platforms, char) => {
    expect(selectPlatform(indexOf(...platforms), parsePlatform(wanted)).digest).toBe(digest(char))
  })

  test.each([
    ['linux/arm/v6', ['linux/arm/v7'], 'it has linux/arm/v7'],
    ['linux/amd64', ['linux/amd64/v2'], 'it has linux/amd64/v2'],
    ['linux/arm64', ['linux/arm/v7'], 'it has linux/arm/v7'],
    ['linux/amd64', ['windows/amd64', 'linux/arm64'], 'it has linux/arm64, windows/amd64'],
    ['linux/amd64', [], 'it has no runnable image'],
    ['linux/amd64', ['unknown/unknown'], 'it has no runnable image'],
  ])('for %s of %j there is none', async (wanted, platforms, problem) => {
    const failure = await failureOf(() => selectPlatform(indexOf(...platforms), parsePlatform(wanted)))
    expect(failure).toBe(`PlatformNotFound: the image has nothing for ${wanted}; ${problem}`)
  })

  test.each([
    ['by platform', entry('unknown/unknown', 'a')],
    [
      'by annotation',
      entry('linux/amd64', 'a', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }),
    ],
    ['by artifact type', entry('linux/amd64', 'a', { artifactType: 'application/vnd.example.sbom' })],
    ['without platform', entry(undefined, 'a')],
  ])('passes over an entry that is no image (%s)', (_name, other) => {
    expect(
      selectPlatform(indexOf(other, entry('linux/amd64', 'b')), parsePlatform('linux/amd64')).digest,
    ).toBe(digest('b'))
  })

  test('takes the Windows build that was asked for', () => {
    const windows = (version: string, char: string) =>
      entry(undefined, char, { platform: { os: 'windows', architecture: 'amd64', osVersion: version } })
    const index = indexOf(windows('10.0.17763.1', 'a'), windows('10.0.20348.5', 'b'))
    const wanted = { os: 'windows', architecture: 'amd64', osVersion: '10.0.20348.9' }
    expect(selectPlatform(index, wanted).digest).toBe(digest('b'))
  })
})

describe('writing platforms', () => {
  test.each([
    ['linux/arm64/v8', { os: 'linux', architecture: 'arm64', variant: 'v8' }, 'linux/arm64/v8'],
    ['Linux/AMD64', { os: 'linux', architecture: 'amd64' }, 'linux/amd64'],
    ['linux/x86_64', { os: 'linux', architecture: 'amd64' }, 'linux/amd64'],
    ['linux/aarch64', { os: 'linux', architecture: 'arm64' }, 'linux/arm64'],
    ['linux/armhf', { os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux/arm/v7'],
    ['linux/constructor', { os: 'linux', architecture: 'constructor' }, 'linux/constructor'],
  ])('%s is %j', (text, platform, written) => {
    expect(parsePlatform(text)).toEqual(platform)
    expect(formatPlatform(parsePlatform(text))).toBe(written)
  })

  test.each(['', 'linux', 'linux/', '/amd64', 'linux/arm/v7/x', 'linux/am d', 'linux/arm\n', 'linux/a/'])(
    '%j is refused',
    async (text) => {
      expect(await failureOf(() => parsePlatform(text))).toContain('InvalidSpec: found platform')
    },
  )

  test.each([
    ['x64', 'linux/amd64'],
    ['arm64', 'linux/arm64/v8'],
    ['arm', 'linux/arm/v7'],
    ['ia32', 'linux/386'],
    ['ppc64', 'linux/ppc64le'],
    ['riscv64', 'linux/riscv64'],
    ['s390x', 'linux/s390x'],
  ])("node's %s is %s", (arch, expected) => {
    expect(formatPlatform(hostPlatform(arch))).toBe(expected)
  })

  test('is safe to print, whatever an index says', () => {
    expect(formatPlatform({ os: 'a\u001b[31m', architecture: 'b' })).toBe('a\\u001b[31m/b')
    expect(formatPlatform({ os: 'windows', architecture: 'amd64', osVersion: '10.0.1' })).toBe(
      'windows(10.0.1)/amd64',
    )
  })
})
