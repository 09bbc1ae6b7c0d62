/**
 * The Mattermost-shaped image on a real node (issue 4, proof 1): every VOLUME is a claim that is seeded once and runs
 * programs, what runs is a digest, and the resource stays the user's.
 */
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RESOLVE_REQUESTED_AT, VOLUME_PATH } from '../../src/crd/labels.ts'
import { claimName } from '../../src/reconcile/names.ts'
import { demoLayout, extraPlugin } from '../support/fixtures.ts'
import { readLayoutImage } from '../support/layout.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { Workbench } from './support/workbench.ts'

const NAME = 'mattermost'
const VOLUMES = ['client/plugins', 'config', 'data', 'logs', 'plugins'].map((name) => `/mattermost/${name}`)
const PLUGINS = '/mattermost/plugins'

// The content of claims is read on this machine, and pods are reached by their addresses.
describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)(
  'the Mattermost-shaped image',
  () => {
    let bench: Workbench
    let image: string

    beforeAll(async () => {
      bench = await Workbench.create('e2e-apps')
      const layout = await demoLayout()
      image = await bench.push('mattermost', '10.12', await readLayoutImage(layout, 'v1'))
      await bench.push('mattermost', '10.12.1', await readLayoutImage(layout, 'v2'))
      await bench.apply(NAME, image, spec())
      await bench.untilReady(NAME)
    })

    afterAll(async () => await bench[Symbol.asyncDispose]())

    function spec(): Record<string, unknown> {
      return {
        env: [{ name: 'MM_ADDRESS', value: '0.0.0.0' }],
        ports: [{ name: 'http', port: 8065 }],
        volumeDefaults: { size: '1Gi' },
      }
    }

    async function get(route: string): Promise<string> {
      const { podIP } = (await bench.pod(NAME)).status
      return (await fetch(`http://${podIP}:8065${route}`)).text()
    }

    /** The server begins to listen a moment after its container has started. */
    async function answers(route: string, text: string): Promise<void> {
      await bench.until(`${route} answers ${text}`, () =>
        get(route).then(
          (body) => body.includes(text),
          () => false,
        ),
      )
    }

    test('every VOLUME has a claim of its own, named after app and path, owned by nobody', async () => {
      const claims = await bench.claims(NAME)
      expect(
        claims
          .map(({ metadata }) => [metadata.name, metadata.annotations?.[VOLUME_PATH]])
          .toSorted(([a = ''], [b = '']) => a.localeCompare(b)),
      ).toEqual(
        VOLUMES.map((at) => [claimName(NAME, at), JSON.stringify([at])]).toSorted(([a = ''], [b = '']) =>
          a.localeCompare(b),
        ),
      )
      expect(claims.flatMap(({ metadata }) => metadata.ownerReferences ?? [])).toEqual([])
    })

    test('claims have what the image has, with owner and mode', async () => {
      const plugins = await bench.folderOf(NAME, PLUGINS)
      const config = await bench.folderOf(NAME, '/mattermost/config')
      const seen = async (file: string) => {
        const { uid, gid, mode } = await stat(file)
        return [uid, gid, (mode & 0o7777).toString(8)]
      }
      expect(await seen(config)).toEqual([2000, 2000, '750'])
      expect(await seen(path.join(config, 'config.json'))).toEqual([2000, 2000, '640'])
      expect(await readFile(path.join(config, 'config.json'), 'utf8')).toContain('shipped with the image')
      expect(await seen(plugins)).toEqual([2000, 2000, '755'])
      expect(await seen(path.join(plugins, 'hello/plugin'))).toEqual([2000, 2000, '755'])
    })

    test('status keeps the reference byte for byte and tells digest and volumes', async () => {
      const { spec: wished, metadata } = await bench.object('capp', NAME)
      const { image: told, volumes, observedGeneration } = await bench.status(NAME)
      const digest = (await readLayoutImage(await demoLayout(), 'v1')).digest
      expect(wished['image']).toBe(image)
      expect(told).toMatchObject({ reference: image, digest })
      expect(observedGeneration).toBe(metadata.generation)
      expect(
        volumes?.map(({ path: at, origin, phase, exec, seeded }) => ({ at, origin, phase, exec, seeded })),
      ).toEqual(VOLUMES.map((at) => ({ at, origin: 'Image', phase: 'Ready', exec: 'Allowed', seeded: true })))
      expect(await bench.condition(NAME, 'VolumesExecutable')).toMatchObject({ status: 'True' })
    })

    test('the pod runs the tag and the digest', async () => {
      const digest = (await readLayoutImage(await demoLayout(), 'v1')).digest
      const { spec: running, status } = await bench.pod(NAME)
      expect(running.containers.map((container) => container.image)).toEqual([`${image}@${digest}`])
      expect(status.containerStatuses?.[0]?.imageID).toContain(digest)
    })

    test('the spec is written by the user alone', async () => {
      const { metadata } = await bench.object('capp', NAME)
      const writers = (metadata.managedFields ?? [])
        .filter(({ fieldsV1 }) => Object.hasOwn(fieldsV1, 'f:spec'))
        .map(({ manager }) => manager)
      expect(writers).toEqual(['kubectl-client-side-apply'])
      expect(metadata.generation).toBe(1)
      const audit = (await bench.cluster.bed?.plane.auditEvents()) ?? []
      const ours = audit.filter(
        ({ objectRef, userAgent }) =>
          objectRef?.resource === 'containerapps' &&
          objectRef.namespace === bench.namespace &&
          (userAgent ?? '').startsWith('fairlead/'),
      )
      expect(ours.length).toBeGreaterThan(0)
      expect(new Set(ours.map(({ objectRef }) => objectRef?.subresource))).toEqual(new Set(['status']))
    })

    test('a shipped plugin runs from its claim, and an uploaded one', async () => {
      expect(await bench.exec(NAME, `${PLUGINS}/hello/plugin`)).toContain('hello: shipped in the image')
      await answers('/plugins', 'hello: shipped in the image')
      const { podIP } = (await bench.pod(NAME)).status
      const body = await readFile(await extraPlugin())
      const put = await fetch(`http://${podIP}:8065/plugins/extra`, { method: 'PUT', body })
      expect(put.ok).toBe(true)
      expect(await bench.exec(NAME, `${PLUGINS}/extra/plugin`)).toContain('extra: installed by you')
      await answers('/plugins', 'extra: installed by you')
    })

    test('nothing is written while nothing changes', async () => {
      const everything = () =>
        bench.kubectl(
          'get',
          'capp,sts,svc,pvc',
          '-o',
          'jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}',
        )
      const before = await everything()
      await bench.restartController()
      // A new controller looks at every app once.
      await bench.until('the app was looked at again', async () =>
        bench.log.includes(`"object":"StatefulSet/${NAME}","msg":"nothing to do"`),
      )
      expect(await everything()).toBe(before)
    })

    test('a post survives the pod, the resource and a new digest', async () => {
      const { podIP } = (await bench.pod(NAME)).status
      await fetch(`http://${podIP}:8065/posts`, { method: 'POST', body: 'first post' })
      await answers('/posts', 'first post')
      const claims = (await bench.claims(NAME)).map(({ metadata }) => metadata.uid).toSorted()

      await bench.kubectl('delete', 'pod', `${NAME}-0`)
      await bench.untilReady(NAME)
      await answers('/posts', 'first post')

      await bench.deleteApp(NAME)
      await bench.apply(NAME, image, spec())
      await bench.untilReady(NAME)
      await answers('/posts', 'first post')

      await bench.apply(NAME, image.replace(/10\.12$/, '10.12.1'), spec())
      await bench.untilReady(NAME)
      await answers('/version', '10.12.1')
      await answers('/posts', 'first post')
      await answers('/plugins', 'extra: installed by you')
      expect((await bench.claims(NAME)).map(({ metadata }) => metadata.uid).toSorted()).toEqual(claims)
    })

    test('a tag that moved is taken when the user asks, and the spec stays as it was', async () => {
      const tag = await bench.push('moving', 'stable', await readLayoutImage(await demoLayout(), 'v1'))
      await bench.apply('moving', tag, spec())
      await bench.untilReady('moving')
      const first = (await bench.status('moving')).image?.digest
      const next = await readLayoutImage(await demoLayout(), 'v2')
      await bench.push('moving', 'stable', next)
      await bench.patch('moving', { env: [{ name: 'CHANGED', value: 'yes' }] })
      await bench.untilReady('moving')
      expect((await bench.status('moving')).image?.digest).toBe(first)
      await bench.kubectl('annotate', 'capp', 'moving', `${RESOLVE_REQUESTED_AT}=once`)
      await bench.until(
        'the new digest runs',
        async () =>
          (await bench.status('moving')).image?.digest === next.digest &&
          (await bench.condition('moving', 'Ready'))?.status === 'True',
      )
      expect((await bench.pod('moving')).spec.containers[0]?.image).toBe(`${tag}@${next.digest}`)
      expect((await bench.object('capp', 'moving')).spec['image']).toBe(tag)
      expect((await bench.status('moving')).lastHandledRequest).toBe('once')
      await bench.deleteApp('moving')
    })

    test('a wish for a name that a stranger has is refused, and the stranger is left alone', async () => {
      await bench.kubectl('create', 'service', 'clusterip', 'taken', '--tcp=8065')
      const { metadata } = await bench.object('service', 'taken')
      await bench.apply('taken', image, spec())
      await bench.untilConditions('taken', [{ type: 'Ready', status: 'False', reason: 'NameConflict' }])
      const { uid, resourceVersion } = (await bench.object('service', 'taken')).metadata
      expect({ uid, resourceVersion }).toEqual({
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      })
      await bench.kubectl('delete', 'capp,service', 'taken')
    })
  },
)
