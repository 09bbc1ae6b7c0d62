import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, familiar, parseReference } from '../../src/image/reference.ts'
import type { RegistryReference } from '../../src/image/types.ts'
import { failureOf } from '../support/expected-error.ts'

const HEX = 'f'.repeat(64)
const SHA256 = `sha256:${HEX}`
const SHA512 = `sha512:${'a'.repeat(128)}`
const ID = '1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a'

describe('a login in a reference', () => {
  test.each([
    ['http://user:pw123@localhost:5901/x', 'http://…@localhost:5901/x'],
    ['user:pw123@localhost:5901/x:1', '…@localhost:5901/x:1'],
    ['https://user:pw1/2@3@quay.io/x', 'https://…@quay.io/x'],
    ['https://pw123@quay.io', 'https://…@quay.io'],
  ])('%s is told without it', async (text, shown) => {
    const message = await failureOf(() => parseReference(text))
    expect(message).toContain(`reference ${JSON.stringify(shown)} has a login before its host`)
    expect(message).not.toContain('pw1')
  })

  test.each(['nginx:1.27@sha256:bad', 'http://quay.io/x:1'])('is none in %s', async (text) => {
    expect(await failureOf(() => parseReference(text))).not.toContain('login')
  })
})

describe('registry references', () => {
  const read = (text: string) => {
    const reference = parseReference(text)
    return { canonical: canonical(reference), original: reference.original }
  }

  test.each([
    ['ubuntu', 'docker.io/library/ubuntu:latest'],
    ['ubuntu:24.04', 'docker.io/library/ubuntu:24.04'],
    ['docker/docker', 'docker.io/docker/docker:latest'],
    ['docker.io/ubuntu', 'docker.io/library/ubuntu:latest'],
    ['docker.io/a/b', 'docker.io/a/b:latest'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest'],
    ['index.docker.io/library/debian', 'docker.io/library/debian:latest'],
    ['registry-1.docker.io/debian:9', 'docker.io/library/debian:9'],
    ['Docker.IO/debian', 'docker.io/library/debian:latest'],
    ['quay.io/app', 'quay.io/app:latest'],
    ['mattermost/mattermost-team-edition:10.12', 'docker.io/mattermost/mattermost-team-edition:10.12'],
  ])('R3 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([
    ['localhost/x', 'localhost/x:latest'],
    ['localhost', 'docker.io/library/localhost:latest'],
    ['local/x', 'docker.io/local/x:latest'],
    ['Foo/bar', 'foo:443/bar:latest'],
    ['DOCKER/docker', 'docker:443/docker:latest'],
    ['192.168.0.1', 'docker.io/library/192.168.0.1:latest'],
    ['192.168.0.1:80', 'docker.io/library/192.168.0.1:80'],
    ['192.168.0.1:8/debian', '192.168.0.1:8/debian:latest'],
    ['test_com', 'docker.io/library/test_com:latest'],
    ['test.com:tag', 'docker.io/library/test.com:tag'],
    ['foo_bar.com:8080', 'docker.io/library/foo_bar.com:8080'],
    ['foo/foo_bar.com:8080', 'docker.io/foo/foo_bar.com:8080'],
    ['oci/x', 'docker.io/oci/x:latest'],
    ['dir:5000/x', 'dir:5000/x:latest'],
  ])('R2 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['test:5000/repo:tag', 'test:5000/repo:tag'],
    ['name:5000', 'docker.io/library/name:5000'],
    ['h:65535/x', 'h:65535/x:latest'],
    ['h:00080/x', 'h:80/x:latest'],
  ])('R5 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([
    ['[::1]:5000/x', '[::1]:5000/x:latest'],
    ['[2001:db8::1]/repo', '[2001:db8::1]/repo:latest'],
    ['[2001:db8:1:2:3:4:5:6]/repo:tag', '[2001:db8:1:2:3:4:5:6]/repo:tag'],
    ['[2001:DB8::]:5000/repo', '[2001:db8::]:5000/repo:latest'],
    ['[fc00::1]:5000/docker/docker', '[fc00::1]:5000/docker/docker:latest'],
    [`[2001:db8::1]:5000/repo@${SHA256}`, `[2001:db8::1]:5000/repo@${SHA256}`],
  ])('R6 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([
    ['lowercase:Uppercase', 'docker.io/library/lowercase:Uppercase'],
    ['TEST.com:5000/x:V1', 'test.com:5000/x:V1'],
  ])('R7 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([
    [`x@${SHA256}`, `docker.io/library/x@${SHA256}`],
    [`x@${SHA512}`, `docker.io/library/x@${SHA512}`],
    [`x:1@${SHA256}`, `docker.io/library/x:1@${SHA256}`],
    [`host:5000/repo@${SHA256}`, `host:5000/repo@${SHA256}`],
    [`host:5000/repo:tag@${SHA256}`, `host:5000/repo:tag@${SHA256}`],
  ])('R10 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([
    [
      'b.gcr.io/test.example.com/my-app:test.example.com',
      'b.gcr.io/test.example.com/my-app:test.example.com',
    ],
    ['a--b/c__d/e.f_g', 'docker.io/a--b/c__d/e.f_g:latest'],
    ['a---------b/x', 'docker.io/a---------b/x:latest'],
    [`x:${'t'.repeat(128)}`, `docker.io/library/x:${'t'.repeat(128)}`],
    ['x:_.-', 'docker.io/library/x:_.-'],
    [`${'a/'.repeat(127)}a:tag`, `docker.io/${'a/'.repeat(127)}a:tag`],
    [`docker.io/${ID}`, `docker.io/library/${ID}:latest`],
    [`${ID}:tag`, `docker.io/library/${ID}:tag`],
  ])('R8 %s means %s', (text, expected) => {
    expect(read(text)).toEqual({ canonical: expected, original: text })
  })

  test.each([['xn--n3h.com/myimage:xn--n3h.com', 'xn--n3h.com/myimage:xn--n3h.com']])(
    'R15 %s means %s',
    (text, expected) => {
      expect(read(text)).toEqual({ canonical: expected, original: text })
    },
  )

  const refusal = async (text: string) => {
    const failure = await failureOf(() => parseReference(text))
    return {
      reason: failure.slice(0, failure.indexOf(':')),
      problem: failure,
      // oxlint-disable-next-line no-control-regex -- the message must be safe to print
      isPrintable: !/[\u0000-\u001f]/.test(failure),
    }
  }
  const refused = (problem: string) => ({
    reason: 'InvalidReference',
    problem: expect.stringContaining(problem) as string,
    isPrintable: true,
  })

  test.each([
    ['', 'is empty'],
    [`@${SHA256}`, 'no repository name'],
    [' ubuntu', 'must be'],
    ['ubuntu ', 'must be'],
    ['a//a', 'empty component'],
    ['docker///docker', 'empty component'],
    ['docker.io/', 'no repository name'],
    ['a/b/', 'empty component'],
    ['-docker', 'must be'],
    ['-docker/docker', 'must be'],
    ['a/-b', 'must be'],
    ['a..b', 'must be'],
    ['a___b', 'must be'],
    ['a-/b', 'must be'],
    ['aa/asdf$$^/aa', 'must be'],
    ['a^^b', 'must be'],
    ['-docker.io/docker/docker', 'has the host'],
    ['a..b/c', 'has the host'],
    ['foo_bar.com/x', 'has the host'],
  ])('R1 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['h:0/x', '1 to 65535'],
    ['h:65536/x', '1 to 65535'],
    ['h:/x', '1 to 65535'],
    ['h:80a/x', '1 to 65535'],
  ])('R5 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['::1/x', 'in brackets'],
    ['fc00::1:5000/debian', 'in brackets'],
    ['[fc00::1]', 'must be'],
    ['[fc00::1]:5000', 'must be'],
    ['[fe80::1%eth0]:5000/debian', 'without zone'],
    ['[2001:db8:3:4::192.0.2.33]:5000/debian', 'without zone'],
    ['[::ffff:7f00:1]/x', 'IPv4-mapped'],
    ['[0:0:0:0:0:ffff:a:b]/x', 'IPv4-mapped'],
    ['[1:2:3:4:5:6:7]/x', 'IPv6'],
    ['[1::2::3]/x', 'IPv6'],
    ['[12345::]/x', 'IPv6'],
    ['[::1/x', 'IPv6'],
  ])('R6 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['Uppercase:tag', 'write uppercase'],
    ['docker/Docker', 'write docker/docker'],
    ['test:5000/Uppercase/lowercase:tag', 'write uppercase/lowercase'],
    ['docker.io/docker/Docker', 'upper-case'],
  ])('R7 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    [':justtag', 'no repository name'],
    ['x:', 'empty tag'],
    ['x:-a', 'has the tag'],
    ['x:.a', 'has the tag'],
    [`x:${'t'.repeat(129)}`, 'has the tag'],
    [`${'a/'.repeat(128)}a:tag`, 'at most 255'],
    ['a'.repeat(248), 'at most 255'],
    ['a'.repeat(2000), 'longer than'],
  ])('R8 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([[ID, 'image ID']])('R9 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['repo@sha256:ffffffffffffffffffffffffffffffffff', 'sha256 has 64'],
    [`x@md5:${'0'.repeat(32)}`, 'algorithm md5 is not supported'],
    [`x@sha384:${'0'.repeat(96)}`, 'algorithm sha384 is not supported'],
    [`x@sha256:${'F'.repeat(64)}`, 'lower case'],
    [`x@sha256:${'g'.repeat(64)}`, 'not hexadecimal'],
    [`x@${SHA256}@${SHA256}`, 'has an invalid digest'],
    ['x@', 'has an invalid digest'],
    ['x@constructor:00', 'algorithm constructor is not supported'],
  ])('R10 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['docker://ubuntu', 'write "ubuntu"'],
    ['https://github.com/docker/docker', 'write "github.com/docker/docker"'],
    ['http://x', 'has no scheme'],
    ['oci://x', 'write oci:/path'],
    ['docker-archive:/a.tar', 'has the transport docker-archive'],
    ['oci-layout:/a', 'has the transport oci-layout'],
  ])('R12 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['ubuntu\n', 'must be'],
    ['ubuntu:1\n', 'has the tag'],
    [`x@${SHA256}\n`, 'has an invalid digest'],
    ['ubun\0tu', 'must be'],
    ['x:\u0661', 'has the tag'],
  ])('R14 %j is refused: %s', async (text, problem) => {
    expect(await refusal(text)).toEqual(refused(problem))
  })

  test.each([
    ['ubuntu', 'ubuntu:latest'],
    ['docker.io/library/ubuntu:1', 'ubuntu:1'],
    ['docker.io/a/b', 'a/b:latest'],
    ['docker.io/library/a/b', 'library/a/b:latest'],
    ['quay.io/library/x', 'quay.io/library/x:latest'],
    ['docker.io/localhost/x', 'docker.io/localhost/x:latest'],
    ['docker.io/foo.bar/x', 'docker.io/foo.bar/x:latest'],
    ['oci', 'library/oci:latest'],
    ['docker.io/library/oci-archive:1', 'library/oci-archive:1'],
    [`docker.io/library/${ID}@${SHA256}`, `${ID}@${SHA256}`],
  ])('%s is familiar as %s', (text, expected) => {
    expect(familiar(parseReference(text))).toBe(expected)
  })

  test('R11 keeps tag and digest apart', () => {
    expect(parseReference(`localhost:5000/a/b:c@${SHA256}`)).toEqual({
      kind: 'registry',
      original: `localhost:5000/a/b:c@${SHA256}`,
      registry: 'localhost:5000',
      repository: 'a/b',
      tag: 'c',
      digest: SHA256,
    })
  })

  test('R13 reads its own canonical and familiar text as the same image', () => {
    const component = fc.stringMatching(/^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+){0,2}$/)
    const host = fc.oneof(
      fc.constantFrom('', 'docker.io/', 'index.docker.io/', 'localhost/', '[::1]:5000/', 'Foo/', 'a.b:80/'),
      fc.stringMatching(/^[a-zA-Z0-9]{1,9}\.[a-zA-Z0-9]{1,9}(?::[1-9][0-9]{0,3})?\/$/),
    )
    const suffix = fc.constantFrom('', ':v1', `@${SHA256}`, `:v1@${SHA512}`)
    const text = fc.tuple(host, fc.array(component, { minLength: 1, maxLength: 4 }), suffix)
    fc.assert(
      fc.property(text, ([registry, path, end]) => {
        const typed = `${registry}${path.join('/')}${end}`
        // A first component with a dot would be a host, and a host has no underscore.
        fc.pre(!/^[0-9a-f]{64}$/.test(typed) && !/^[^/:@]*_[^/:@]*\//.test(typed))
        const { original, ...meaning } = parseReference(typed) as RegistryReference
        expect(original).toBe(typed)
        expect(parseReference(canonical({ original, ...meaning }))).toMatchObject(meaning)
        expect(parseReference(familiar({ original, ...meaning }))).toMatchObject(meaning)
      }),
    )
  })

  test('R14 never fails with anything but InvalidReference', async () => {
    const unit = fc.constantFrom(
      'a',
      'A',
      '0',
      '.',
      '_',
      '-',
      ':',
      '/',
      '@',
      '[',
      ']',
      '%',
      ' ',
      '\n',
      '\0',
      'é',
      SHA256,
    )
    await fc.assert(
      fc.asyncProperty(fc.string({ unit, maxLength: 40 }), async (text) => {
        const outcome = await failureOf(() => parseReference(text)).catch(String)
        expect(outcome).toMatch(/^InvalidReference: |^Error: expected a failure/)
      }),
    )
  })
})

describe('layout references', () => {
  test.each([
    ['oci:/srv/app', '/srv/app', undefined, undefined],
    ['oci:app', 'app', undefined, undefined],
    ['oci:./app:1.0', './app', '1.0', undefined],
    ['oci:/srv/app:1.0', '/srv/app', '1.0', undefined],
    [`oci:/srv/app@${SHA256}`, '/srv/app', undefined, SHA256],
    [`oci:/srv/app:1.0@${SHA512}`, '/srv/app', '1.0', SHA512],
    ['oci-archive:/srv/app.tar', '/srv/app.tar', undefined, undefined],
    ['oci-archive:app.tar:v1', 'app.tar', 'v1', undefined],
    // A colon or an at-sign in the path
    ['oci:/a:b/c', '/a:b/c', undefined, undefined],
    ['oci:/a:b/c:d', '/a:b/c', 'd', undefined],
    ['oci:/a:b:', '/a:b', undefined, undefined],
    ['oci:/a:b/', '/a:b/', undefined, undefined],
    [`oci:/a:b:@${SHA256}`, '/a:b', undefined, SHA256],
    ['oci:/a@b', '/a@b', undefined, undefined],
    ['oci:/a@b:1', '/a@b', '1', undefined],
    ['oci:/mail@host/x:1', '/mail@host/x', '1', undefined],
    [`oci:/a@${SHA256}/x`, `/a@${SHA256}/x`, undefined, undefined],
    [`oci:/a@${SHA256}:`, `/a@${SHA256}`, undefined, undefined],
    ['oci:C:/x y/z', 'C:/x y/z', undefined, undefined],
    ['oci:/srv/ä ö:1', '/srv/ä ö', '1', undefined],
    ['oci:/a:-b', '/a:-b', undefined, undefined],
  ])('%s is the path %s with tag %s and digest %s', (text, path, tag, digest) => {
    const reference = parseReference(text)
    const kind = text.startsWith('oci-archive:') ? 'oci-archive' : 'oci'
    expect(reference).toEqual({ kind, original: text, path, tag, digest })
  })

  test.each([
    ['oci:', 'names no path'],
    ['oci::1.0', 'names no path'],
    ['oci-archive:', 'the path of a file'],
    [`oci:@${SHA256}`, 'names no path'],
    ['oci:/a@sha256:12', 'sha256 has 64'],
    [`oci:/a@sha256:${'F'.repeat(64)}`, 'lower case'],
    [`oci:/a@SHA256:${HEX}`, 'algorithm SHA256 is not supported'],
    ['oci:/a\n', 'control characters'],
    ['oci:/a\0b', 'control characters'],
    [`oci:/${'a'.repeat(5000)}`, 'longer than'],
  ])('%j is refused: %s', async (text, problem) => {
    expect(await failureOf(() => parseReference(text))).toMatch(/^InvalidReference: /)
    expect(await failureOf(() => parseReference(text))).toContain(problem)
  })

  test('reads its own canonical text as the same place, whatever the path holds', () => {
    const unit = fc.constantFrom('a', 'b', ':', '@', '/', '.', '-', ' ', SHA256)
    const path = fc.string({ unit, minLength: 1, maxLength: 8 }).filter((text) => !text.startsWith('//'))
    const tag = fc.constantFrom(undefined, '1.0', 'latest')
    const digest = fc.constantFrom(undefined, SHA256 as `sha256:${string}`)
    const kind = fc.constantFrom('oci' as const, 'oci-archive' as const)
    fc.assert(
      fc.property(fc.record({ kind, path, tag, digest }), (parts) => {
        const text = canonical({ ...parts, original: '' })
        expect(parseReference(text)).toEqual({ ...parts, original: text })
      }),
    )
  })
})
