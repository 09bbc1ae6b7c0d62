/** L and F: tags of a repository, and what refers to an image. */
import { respond } from '../../../support/hostile-registry.ts'
import { jsonBytes, MEDIA_TYPES } from '../../../../scripts/lib/oci-image.ts'
import { digestOf } from '../../../support/registry/content.ts'
import type { Document } from '../../../support/registry/content.ts'
import { endless, json, REFERRERS, TAGS } from '../answers.ts'
import { casesOf } from '../case.ts'
import type { Case, Served } from '../case.ts'
import { askedMoreThan } from '../checks.ts'
import { genuine, put, REPOSITORY } from '../images.ts'
import { READERS } from '../reader.ts'
import type { Stage } from '../stage.ts'
import { FORBIDDEN_PLACES } from './places.ts'

const LIST = `/v2/${REPOSITORY}/tags/list`

const listed = casesOf({ ask: 'tags' })

/** The first page, with this Link; later pages by `serve`. */
function linked(
  id: string,
  title: string,
  expected: Case['expected'],
  link: (stage: Stage) => string,
  serve: (stage: Stage) => Served = () => ({ tags: ['1', '2'] }),
  more: Partial<Case> = {},
): Case {
  return listed(
    id,
    title,
    expected,
    (stage) => {
      stage.registry.on(TAGS, (request, response) => {
        if (request.query.has('last')) return json({ name: REPOSITORY, tags: ['2'] })(request, response)
        return json({ name: REPOSITORY, tags: ['1'] }, 200, { link: link(stage) })(request, response)
      })
      return serve(stage)
    },
    more,
  )
}

const next = (url: string) => `<${url}>; rel="next"`
const sixty = Array.from({ length: 60 }, (_one, at) => `v${at}`)

const TAG_CASES: readonly Case[] = [
  listed('L1-all', 'all tags are listed', 'right', ({ registry }) => {
    for (const tag of sixty) registry.tag(REPOSITORY, tag)
    return { tags: sixty }
  }),
  listed('L1-pages', 'all pages are read', 'right', ({ registry }) => {
    // Seven a page, whatever is asked for.
    registry.on(TAGS, (request, response) => {
      const from = sixty.indexOf(request.query.get('last') ?? '') + 1
      const tags = sixty.slice(from, from + 7)
      const link = from + 7 < sixty.length ? { link: next(`${LIST}?n=7&last=${tags.at(-1) ?? ''}`) } : {}
      return json({ name: REPOSITORY, tags }, 200, link)(request, response)
    })
    return { tags: sixty }
  }),
  linked('L1-relative', 'a relative Link is followed', 'right', () => next(`${LIST}?last=1`)),
  linked('L1-absolute', 'an absolute Link to the same host is followed', 'right', ({ registry }) =>
    next(`${registry.url}${LIST}?last=1`),
  ),
  linked(
    'L1-attributes',
    'a Link is read with its attributes in any order',
    'right',
    () => `<${LIST}?last=1>; title="a, b"; rel=next`,
  ),
  linked(
    'L1-other-host',
    'a Link to another host is not followed',
    'either',
    ({ other }) => next(`${other.url}${LIST}?last=1`),
    () => ({ tags: ['1'], alsoTags: ['2'] }),
    {
      setup: (stage) => ({
        logins: [{ key: stage.registry.host, username: 'reader', password: stage.secret(READERS.reader) }],
      }),
      forbidden: ({ other }) => (other.requests.length > 0 ? 'followed it' : undefined),
    },
  ),
  linked(
    'L1-plain',
    'a Link to the same host without TLS is not followed',
    'either',
    ({ parties }) => next(`${parties.registryPlain.url}${LIST}?last=1`),
    () => ({ tags: ['1'], alsoTags: ['2'] }),
    {
      forbidden: ({ parties }) => (parties.registryPlain.requests.length > 0 ? 'followed it' : undefined),
    },
  ),
  linked(
    'L1-elsewhere',
    'a Link to another path of the host sends nothing there',
    'either',
    ({ registry }) => next(`${registry.url}/admin/delete?page=2`),
    () => ({ tags: ['1'], alsoTags: ['2'] }),
    {
      forbidden: ({ registry }) =>
        registry.requests.some(({ path }) => path.startsWith('/admin')) ? 'followed it' : undefined,
    },
  ),
  ...FORBIDDEN_PLACES.filter(({ word }) => ['metadata', 'loopback', 'name', 'decimal'].includes(word)).map(
    ({ word, title, host }) =>
      linked(
        `L1-to-${word}`,
        `a Link to ${title} is not followed`,
        'either',
        () => next(`https://${host}/tags?last=1`),
        () => ({ tags: ['1'], alsoTags: ['2'] }),
      ),
  ),
  listed(
    'L1-loop',
    'pages that lead back to themselves are left',
    'either',
    ({ registry }) => {
      registry.on(TAGS, json({ name: REPOSITORY, tags: ['1'] }, 200, { link: next(`${LIST}?last=1`) }))
      return { tags: ['1'] }
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 100) },
  ),
  listed(
    'L1-endless-pages',
    'pages without end are left',
    'either',
    ({ registry }) => {
      let page = 0
      registry.on(TAGS, (request, response) => {
        page += 1
        return json({ name: REPOSITORY, tags: [`v${page}`] }, 200, { link: next(`${LIST}?last=v${page}`) })(
          request,
          response,
        )
      })
      return { tags: [] }
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 5000) },
  ),
  listed('L1-endless-body', 'a list without end is not read to its end', 'refused', (stage) => {
    stage.registry.on(TAGS, endless(stage, '{"name":"team/app","tags":["1",', {}))
  }),
  listed('L2-no-pages', 'three thousand tags at once, whatever was asked for', 'right', ({ registry }) => {
    const tags = Array.from({ length: 3001 }, (_one, at) => `t${(at * 7919) % 3001}`)
    registry.on(TAGS, json({ name: REPOSITORY, tags }))
    return { tags }
  }),
  listed('L3-null', 'null instead of a list is an empty list', 'right', ({ registry }) => {
    registry.on(TAGS, json({ name: REPOSITORY, tags: null }))
    return { tags: [] }
  }),
  listed('L3-null-entries', 'null and empty entries are left out', 'right', ({ registry }) => {
    registry.on(TAGS, json({ name: REPOSITORY, tags: [null, 'a', '', 'b', null] }))
    return { tags: ['a', 'b'] }
  }),
  listed('L3-invalid', 'what cannot be a tag is left out', 'either', ({ registry }) => {
    const tags = ['a', '../../etc/passwd', 'x y', '-dash', 'a\nb', '\u001b[2Jgone', 't'.repeat(200)]
    registry.on(TAGS, json({ name: REPOSITORY, tags }))
    return { tags: ['a'] }
  }),
  listed('L3-numbers', 'entries that are no text are left out', 'either', ({ registry }) => {
    registry.on(TAGS, json({ name: REPOSITORY, tags: ['a', 7, {}, ['b']] }))
    return { tags: ['a'] }
  }),
  listed('L3-not-found', 'a repository that is not there is told', 'refused', ({ registry }) =>
    registry.on(TAGS, respond(404)),
  ),
  listed('L3-page', 'a page instead of a list is refused', 'refused', ({ registry }) =>
    registry.on(TAGS, respond(200, { 'content-type': 'text/html' }, '<html>')),
  ),
  listed('L4-order', 'the order of pages means nothing', 'right', ({ registry }) => {
    const tags = sixty.toReversed()
    registry.on(TAGS, json({ name: REPOSITORY, tags }))
    return { tags }
  }),
  listed(
    'L5-n',
    'a registry that takes no page above a thousand is asked for less',
    'right',
    ({ registry }) => {
      registry.on(TAGS, (request, response) =>
        Number(request.query.get('n') ?? 0) > 1000 ? respond(400)(request, response) : false,
      )
      for (const tag of sixty) registry.tag(REPOSITORY, tag)
      return { tags: sixty }
    },
  ),
]

const TYPE = 'application/vnd.example.sbom'
const OTHER_TYPE = 'application/vnd.example.signature'
const INDEX = MEDIA_TYPES.oci.index

function referring(text: string, artifactType: string): Document {
  const empty = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: digestOf(Buffer.from('{}')),
    size: 2,
  }
  const bytes = jsonBytes({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.manifest,
    artifactType,
    config: empty,
    layers: [empty],
    subject: { mediaType: genuine.manifest.mediaType, digest: genuine.digest, size: genuine.descriptor.size },
    annotations: { text },
  })
  return { mediaType: MEDIA_TYPES.oci.manifest, bytes }
}

const sbom = referring('sbom', TYPE)
const signature = referring('signature', OTHER_TYPE)
const entries = [
  { mediaType: sbom.mediaType, digest: digestOf(sbom.bytes), size: sbom.bytes.length, artifactType: TYPE },
  {
    mediaType: signature.mediaType,
    digest: digestOf(signature.bytes),
    size: signature.bytes.length,
    artifactType: OTHER_TYPE,
  },
]
const both = entries.map(({ digest }) => digest)
const fallbackTag = genuine.digest.replace(':', '-')

const referred = casesOf({
  ask: 'referrers',
  needs: ['referrers'],
  prelude: ({ registry }) => {
    put(registry, genuine)
    registry.manifest(REPOSITORY, sbom)
    registry.manifest(REPOSITORY, signature)
  },
})

const filtered: Partial<Case> = { needs: ['referrers', 'referrers-filter'], artifactType: TYPE }

function putFallback({ registry }: Stage): void {
  const bytes = jsonBytes({ schemaVersion: 2, mediaType: INDEX, manifests: entries })
  registry.manifest(REPOSITORY, { mediaType: INDEX, bytes }, fallbackTag)
}

const page = (manifests: readonly unknown[]) => ({ schemaVersion: 2, mediaType: INDEX, manifests })

const REFERRER_CASES: readonly Case[] = [
  referred('F1-all', 'what refers to an image is listed', 'right', ({ registry }) => {
    registry.referrer(REPOSITORY, genuine.digest, sbom, TYPE)
    registry.referrer(REPOSITORY, genuine.digest, signature, OTHER_TYPE)
    return { referrers: both }
  }),
  referred(
    'F1-filtered',
    'what a registry has filtered is not filtered away',
    'right',
    ({ registry }) => {
      registry.on(
        REFERRERS,
        json(page(entries.slice(0, 1)), 200, {
          'content-type': INDEX,
          'oci-filters-applied': 'artifactType',
        }),
      )
      return { referrers: both.slice(0, 1) }
    },
    filtered,
  ),
  referred(
    'F1-unfiltered',
    'what a registry has not filtered is filtered here',
    'right',
    ({ registry }) => {
      registry.on(REFERRERS, json(page(entries), 200, { 'content-type': INDEX }))
      return { referrers: both.slice(0, 1) }
    },
    filtered,
  ),
  referred('F1-pages', 'all pages are read', 'right', ({ registry }) => {
    registry.on(REFERRERS, (request, response) => {
      if (request.query.has('page'))
        return json(page(entries.slice(1)), 200, { 'content-type': INDEX })(request, response)
      const link = next(`${request.path}?page=2`)
      return json(page(entries.slice(0, 1)), 200, { 'content-type': INDEX, link })(request, response)
    })
    return { referrers: both }
  }),
  referred(
    'F1-other-host',
    'a next page on another host is not asked for',
    'either',
    (stage) => {
      const link = next(`${stage.other.url}/v2/x`)
      stage.registry.on(REFERRERS, json(page(entries), 200, { 'content-type': INDEX, link }))
      return { referrers: both }
    },
    { forbidden: ({ other }) => (other.requests.length > 0 ? 'followed it' : undefined) },
  ),
  ...[400, 404, 405, 406].map((status) =>
    referred(`F2-${status}`, `after ${status} the tag for referrers is read`, 'right', (stage) => {
      stage.registry.on(REFERRERS, respond(status))
      putFallback(stage)
      return { referrers: both }
    }),
  ),
  referred('F2-none', 'without the list and the tag there is none', 'right', (stage) => {
    stage.registry.on(REFERRERS, respond(404))
    return { referrers: [] }
  }),
  referred('F3-page', 'a page instead of an index is not taken for one', 'either', (stage) => {
    stage.registry.on(REFERRERS, respond(200, { 'content-type': 'text/html' }, '<html>'))
    return { referrers: [] }
  }),
  referred('F3-manifest', 'a manifest instead of an index is not taken for one', 'either', (stage) => {
    stage.registry.on(REFERRERS, json(genuine.manifest, 200, { 'content-type': genuine.manifest.mediaType }))
    return { referrers: [] }
  }),
  referred('F4-endless', 'an index without end is not read to its end', 'refused', (stage) => {
    stage.registry.on(
      REFERRERS,
      endless(stage, '{"schemaVersion":2,"manifests":[', { 'content-type': INDEX }),
    )
  }),
  referred(
    'F4-loop',
    'pages that lead back to themselves are left',
    'either',
    ({ registry }) => {
      registry.on(REFERRERS, (request, response) =>
        json(page(entries), 200, { 'content-type': INDEX, link: next(`${request.path}?page=2`) })(
          request,
          response,
        ),
      )
      return { referrers: both }
    },
    { forbidden: ({ registry }) => askedMoreThan(registry, 200) },
  ),
]

export const LIST_CASES: readonly Case[] = [...TAG_CASES, ...REFERRER_CASES]
