/** Lists of tags (rules L1–L5) and of referrers (rules F1–F4), from registries that page, lie and never end. */
import { describe, expect, test } from 'vitest'
import { parseReference } from '../../src/image/reference.ts'
import { ANONYMOUS, entriesKeychain } from '../../src/registry/keychain.ts'
import { nextLink } from '../../src/registry/link-header.ts'
import { listReferrers } from '../../src/registry/referrers.ts'
import type { RegistrySourceOptions } from '../../src/registry/registry-source.ts'
import { listTags } from '../../src/registry/tags.ts'
import { failureOf } from '../support/expected-error.ts'
import { respond } from '../support/hostile-registry.ts'
import { app, image, mirror, newSession, registry, signal } from './world.ts'

const options = (more: Partial<RegistrySourceOptions> = {}): RegistrySourceOptions => ({
  session: newSession(),
  ownsSession: false,
  registries: {},
  keychain: ANONYMOUS,
  userAgent: 'fairlead/test',
  onWarning: () => undefined,
  ...more,
})
const reference = () => {
  const parsed = parseReference(app())
  if (parsed.kind !== 'registry') throw new Error('unreachable')
  return parsed
}
const tags = (more?: Partial<RegistrySourceOptions>, maxPages?: number) =>
  listTags(reference(), options(more), maxPages === undefined ? {} : { maxPages }, signal)
const page = (list: unknown, headers: Record<string, string> = {}) =>
  respond(200, headers, JSON.stringify({ name: 'team/app', tags: list }))

/** `pages` one after the other, by `last`. */
function paged(pages: readonly (readonly string[])[], link: (last: number) => string): void {
  registry.on(/tags\/list/, (request, response) => {
    const at = Number(request.query.get('last') ?? 0)
    const more: Record<string, string> = at + 1 < pages.length ? { link: link(at + 1) } : {}
    return page(pages[at], more)(request, response)
  })
}

/** `head`, then `more` again and again, as fast as it is read. */
function endless(
  head: string,
  more: string,
  onSend = (): void => undefined,
): Parameters<typeof registry.on>[1] {
  return (_request, response) => {
    response.writeHead(200)
    response.write(head)
    const go = () => {
      onSend()
      response.write(more, (error) => {
        if (error === null || error === undefined) go()
      })
    }
    go()
    return true
  }
}

describe('the link to the next page', () => {
  test.each([
    ['</x?last=a>; rel="next"', '/x?last=a'],
    ['<https://r/x>;rel=next', 'https://r/x'],
    ['</first>; rel="first", </x>; rel="next"', '/x'],
    ['</x>; title="a, b"; rel="prev next"', '/x'],
    ['</x>; rel="nextish"', undefined],
    ['</x>; rel="prev"', undefined],
    ['</x', undefined],
    ['', undefined],
    [undefined, undefined],
    [`${'<a>,'.repeat(100_000)}</x>; rel="next"`, undefined],
  ])('L1 in %j is %j', (header, expected) => {
    expect(nextLink(header)).toBe(expected)
  })
})

describe('tags', () => {
  test.each([
    ['relative', (last: number) => `</v2/team/app/tags/list?n=1000&last=${last}>; rel="next"`],
    ['relative to the page', (last: number) => `<?last=${last}>; rel="next"`],
    ['absolute', (last: number) => `<${registry.url}/v2/team/app/tags/list?last=${last}>; rel="next"`],
  ])('L1 come in pages whose links are %s', async (_name, link) => {
    paged([['b', 'c'], ['a'], ['d']], link)
    expect(await tags()).toEqual({
      tags: ['a', 'b', 'c', 'd'],
      skipped: 0,
      truncated: false,
      source: { kind: 'registry', host: registry.host, mirror: false },
    })
    expect(registry.requests).toHaveLength(3)
  })

  test.each<[string, () => string, string]>([
    [
      'another host',
      () => `<${mirror.url}/v2/team/app/tags/list?last=1>; rel="next"`,
      'leads to another host',
    ],
    [
      'another scheme',
      () => `<https://${registry.host}/v2/team/app/tags/list?last=1>; rel="next"`,
      'another host',
    ],
    [
      'a host with a user',
      () => `<http://u:p@${registry.host}/v2/team/app/tags/list?last=1>; rel="next"`,
      'another host',
    ],
    ['another path', () => '</v2/secret/app/tags/list>; rel="next"', 'leads to another path'],
    ['itself', () => '</v2/team/app/tags/list?n=1000>; rel="next"', 'leads back to a page that was read'],
    ['no URL', () => '<http://[>; rel="next"', 'is no URL'],
  ])('L1 whose next page is at %s are refused', async (_name, link, problem) => {
    registry.on(/tags\/list/, (request, response) => page(['a'], { link: link() })(request, response))
    const found = await failureOf(() => tags({ keychain: login() }))
    expect(found).toMatch(/^RegistryInvalid: /)
    expect(found).toContain(problem)
    expect(mirror.requests).toEqual([])
  })

  test('L1 without end are cut after so many', async () => {
    let count = 0
    registry.on(/tags\/list/, (request, response) => {
      const list = Array.from({ length: 20_000 }, () => `t${(count += 1)}`)
      return page(list, { link: `<?last=${count}>; rel="next"` })(request, response)
    })
    const found = await tags()
    expect([found.tags.length, found.truncated]).toEqual([100_000, true])
    expect(registry.requests.length).toBeLessThanOrEqual(6)
  })

  test('L1 of empty pages without end are refused', async () => {
    let count = 0
    registry.on(/tags\/list/, (request, response) =>
      page([], { link: `<?last=${(count += 1)}>; rel="next"` })(request, response),
    )
    expect(await failureOf(() => tags())).toContain('LimitExceeded: ')
    expect(registry.requests).toHaveLength(1000)
  })

  test('L1 are read up to 32 MiB', async () => {
    registry.on(/tags\/list/, endless('{"tags":[', `"${'x'.repeat(1000)}",`.repeat(256)))
    expect(await failureOf(() => tags())).toMatch(
      /^LimitExceeded: the list of tags of .* has more than 33554432 bytes/,
    )
  })

  test.each([
    ['beside its tags', '{', '"0":[],'.repeat(64 * 1024)],
    ['in one entry', '{"tags":["', 'x'.repeat(64 * 1024)],
  ])('L1 with more than a document may have %s are refused', async (where, head, more) => {
    registry.on(/tags\/list/, endless(head, more))
    const found = await failureOf(() => tags())
    expect(found).toMatch(/^LimitExceeded: the list of tags of .* has more than 4194304 bytes /)
    expect(found).toContain(where)
  })

  test('L1 are given up in the middle of a page when the caller ends', async () => {
    const caller = new AbortController()
    let sent = 0
    const onSend = () => {
      if ((sent += 1) === 8) caller.abort(new Error('enough'))
    }
    registry.on(/tags\/list/, endless('{"tags":[', '"a",'.repeat(16 * 1024), onSend))
    await expect(listTags(reference(), options(), {}, caller.signal)).rejects.toThrow('enough')
  })

  test('L2 that come all at once, though fewer were asked for, are all taken', async () => {
    const all = Array.from({ length: 3001 }, (_, index) => `v${index}`)
    registry.on(/tags\/list/, page(all))
    expect((await tags()).tags).toHaveLength(3001)
    expect(registry.requests[0]?.query.get('n')).toBe('1000')
  })

  test.each<[string, unknown, readonly string[], number]>([
    ['null', null, [], 0],
    ['nulls among them', ['a', null, 'b'], ['a', 'b'], 1],
    ['empty ones', ['', 'a'], ['a'], 1],
    ['what is no text', [1, {}, 'a'], ['a'], 2],
    ['what can be no tag', ['a b', '-a', 'x'.repeat(129), '../x', 'a'], ['a'], 4],
    ['digests (Artifactory)', [`sha256:${'a'.repeat(64)}`, `sha256__${'a'.repeat(64)}`, 'a'], ['a'], 2],
    ['signatures', [`sha256-${'a'.repeat(64)}.sig`, `sha256-${'a'.repeat(64)}`, 'a'], ['a'], 2],
    ['words that begin like digests', ['sha256-tools', 'a'], ['a', 'sha256-tools'], 0],
    ['twins', ['a', 'a'], ['a'], 0],
  ])('L3 with %s', async (_name, list, expected, skipped) => {
    registry.on(/tags\/list/, page(list))
    expect(await tags()).toMatchObject({ tags: expected, skipped })
  })

  test.each([
    ['no list', '{"name":"x"}'],
    ['a list that is none', '{"tags":{}}'],
    ['two lists', '{"tags":["a"],"tags":["b"]}'],
    ['two lists by case', '{"tags":["a"],"Tags":["b"]}'],
    ['a page of HTML', '<html>'],
  ])('L3 with %s are refused', async (_name, body) => {
    registry.on(/tags\/list/, respond(200, {}, body))
    expect(await failureOf(() => tags())).toMatch(/^RegistryInvalid: the list of tags/)
  })

  test('L4 are sorted by us, whatever order they come in', async () => {
    registry.on(/tags\/list/, page(['b', 'B', 'a', '10', '9']))
    expect((await tags()).tags).toEqual(['10', '9', 'B', 'a', 'b'])
  })

  test('L5 go on by `last` where the link names another path (Artifactory)', async () => {
    paged([['a'], ['b']], (last) => `</v2/docker-local/team/app/tags/list?last=${last}&n=1000>; rel="next"`)
    expect((await tags()).tags).toEqual(['a', 'b'])
    expect(registry.requests.map(({ path }) => path)).toEqual([
      '/v2/team/app/tags/list',
      '/v2/team/app/tags/list',
    ])
  })

  test('L6 can be had for one request', async () => {
    paged([['a'], ['b']], (last) => `<?last=${last}>; rel="next"`)
    expect(await tags({}, 1)).toMatchObject({ tags: ['a'], truncated: true })
    expect(registry.requests).toHaveLength(1)
  })

  test('of an unknown repository are not found', async () => {
    expect(await failureOf(() => tags())).toMatch(/^ImageNotFound: /)
  })

  test('X1 are asked of mirrors that are trusted with tags', async () => {
    mirror.on(/tags\/list/, page(['m']))
    registry.on(/tags\/list/, page(['r']))
    const registries = (resolve: boolean) => ({
      [registry.host]: { mirrors: [{ url: mirror.url, resolve }] },
    })
    expect(await tags({ registries: registries(true) })).toMatchObject({
      tags: ['m'],
      source: { mirror: true },
    })
    expect((await tags({ registries: registries(false) })).tags).toEqual(['r'])
  })
})

describe('referrers', () => {
  const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
  const one = (char: string, artifactType?: string) => ({
    mediaType: image.manifest.mediaType,
    digest: `sha256:${char.repeat(64)}`,
    size: 5,
    ...(artifactType === undefined ? {} : { artifactType }),
  })
  const index = (...manifests: readonly unknown[]) =>
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })
  const asIndex = { 'content-type': OCI_INDEX }
  const referrers = async (artifactType?: string, more?: Partial<RegistrySourceOptions>) => {
    const filter = artifactType === undefined ? {} : { artifactType }
    const found = await listReferrers(reference(), image.digest, options(more), filter, signal)
    return { ...found, referrers: found.referrers.map(({ digest }) => digest[7]) }
  }

  test('F1 are filtered by the registry, or by us', async () => {
    const body = index(one('a', 'x/sbom'), one('b', 'x/other'), one('c'))
    registry.on(/referrers/, respond(200, asIndex, body))
    expect(await referrers()).toMatchObject({ referrers: ['a', 'b', 'c'], way: 'api', truncated: false })
    expect(await referrers('x/sbom')).toMatchObject({ referrers: ['a'] })
    expect(registry.requests.at(-1)?.query.get('artifactType')).toBe('x/sbom')
    registry.on(/referrers/, respond(200, { ...asIndex, 'oci-filters-applied': 'artifactType' }, body))
    expect(await referrers('x/sbom')).toMatchObject({ referrers: ['a'] })
  })

  test('F1 come in pages', async () => {
    registry.on(/referrers/, (request, response) =>
      request.query.get('page') === '2'
        ? respond(200, asIndex, index(one('b')))(request, response)
        : respond(200, { ...asIndex, link: '<?page=2>; rel="next"' }, index(one('a')))(request, response),
    )
    expect(await referrers()).toMatchObject({ referrers: ['a', 'b'] })
  })

  test.each([400, 404, 405, 406, 501])(
    'F2 are read by their tag where the API answers %s',
    async (status) => {
      registry.on(/referrers/, respond(status))
      const tag = image.digest.replace(':', '-')
      registry.on(
        new RegExp(`manifests/${tag}$`),
        respond(200, asIndex, index(one('a', 'x/sbom'), one('b', 'x/y'))),
      )
      expect(await referrers('x/sbom')).toMatchObject({ referrers: ['a'], way: 'tag' })
    },
  )

  test.each<[string, Record<string, string>, string]>([
    ['something else', { 'content-type': 'application/json' }, '{}'],
    ['a manifest', { 'content-type': image.manifest.mediaType }, JSON.stringify(image.manifest)],
    ['HTML', { 'content-type': 'text/html' }, '<html>'],
    ['a broken index', asIndex, index({ ...one('a'), size: -1 })],
  ])('F3 are none where there is %s', async (_name, headers, body) => {
    registry.on(/referrers|manifests/, respond(200, headers, body))
    expect(await referrers()).toMatchObject({ referrers: [], way: 'tag' })
  })

  test('F3 are none where there is no tag either', async () => {
    registry.on(/referrers/, respond(404))
    expect(await referrers()).toMatchObject({ referrers: [], way: 'tag' })
  })

  test('F4 are bounded in number and size', async () => {
    const many = Array.from({ length: 4000 }, () => one('a'))
    let count = 0
    registry.on(/referrers/, (request, response) =>
      respond(
        200,
        { ...asIndex, link: `<?page=${(count += 1)}>; rel="next"` },
        index(...many),
      )(request, response),
    )
    const found = await referrers()
    expect([found.referrers.length, found.truncated]).toEqual([10_000, true])
    expect(count).toBe(3)
    registry.on(/referrers/, respond(200, asIndex, Buffer.alloc(5 * 1024 * 1024, 0x20)))
    expect(await failureOf(() => referrers())).toMatch(/^LimitExceeded: /)
  })

  test('X1 are not believed of a mirror that may only hand out content', async () => {
    mirror.on(/referrers/, respond(200, asIndex, index(one('e'))))
    registry.on(/referrers/, respond(200, asIndex, index(one('a'))))
    const registries = { [registry.host]: { mirrors: [{ url: mirror.url }] } }
    expect(await referrers(undefined, { registries })).toMatchObject({ referrers: ['a'] })
  })

  test('need the login that the repository needs', async () => {
    registry.on(/referrers/, respond(200, asIndex, index(one('a'))))
    registry.demandBasic({ good: 'pw' })
    expect(await failureOf(() => referrers())).toMatch(/^RegistryUnauthorized: /)
    expect(await referrers(undefined, { keychain: login() })).toMatchObject({ referrers: ['a'] })
  })
})

function login() {
  return entriesKeychain([
    { key: registry.host, credential: { label: 'good', username: 'good', password: 'pw' } },
  ])
}
