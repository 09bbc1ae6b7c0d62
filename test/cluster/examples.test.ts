/**
 * The examples for clusters do what their comments promise, on real nodes: under their own image names, with images of
 * the same shape in a registry that stands for Docker Hub.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustRun } from '../../scripts/lib/run.ts'
import { findCondition } from '../../src/crd/conditions.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { busyboxLayer } from '../support/busybox-image.ts'
import { writeExampleImages } from '../support/example-images.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, writeLayout } from '../support/layout.ts'
import { eventually } from '../support/sandbox.ts'
import { ROOT } from '../delivery/tools.ts'
import {
  bedFromEnvironment,
  givenKubeconfig,
  isClusterMissing,
  type TestCluster,
} from './bed/test-cluster.ts'
import { preflightImage, startController, type RunningController } from './support/controller.ts'

const NAMESPACE = 'examples'
const IMAGES = [
  'mattermost/mattermost-team-edition:10.12',
  'library/postgres:15',
  'nginxinc/nginx-unprivileged:1.29',
]

// The nodes of a given cluster pull from the real Docker Hub.
describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)(
  'examples for clusters',
  () => {
    let cluster: TestCluster
    let controller: RunningController | undefined
    let folder: string

    beforeAll(async () => {
      cluster = await bedFromEnvironment()
      folder = await mkdtemp(path.join(tmpdir(), 'fairlead-examples-'))
      await pushImages(cluster.bed?.registry.host ?? '', folder)
      await kubectl(
        'apply',
        '--server-side',
        '--force-conflicts',
        '-f',
        path.join(ROOT, 'manifests/crd.yaml'),
      )
      await cluster.kubectl(['create', 'namespace', NAMESPACE])
      const config = path.join(folder, 'registries.json')
      const mirrors = [{ url: `http://${cluster.bed?.registry.host ?? ''}`, resolve: true }]
      await writeFile(config, JSON.stringify({ registries: { 'docker.io': { mirrors } } }))
      controller = await startController(cluster, {
        namespaces: [NAMESPACE],
        preflightImage: await preflightImage(cluster),
        args: ['--registries-config', config],
      })
    })

    // Also when the beginning failed half way.
    afterAll(async () => {
      await rm(folder, { recursive: true, force: true })
      await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s'])
      await controller?.stop()
    })

    function kubectl(...args: readonly string[]): Promise<string> {
      return cluster.kubectl(['--namespace', NAMESPACE, ...args])
    }

    /** The stand-in for Mattermost has pages of its own, and listens on loopback unless it is told otherwise. */
    async function apply(example: string): Promise<void> {
      const text = await readFile(path.join(ROOT, 'examples/kubernetes', example), 'utf8')
      const driver = '    - {name: MM_SQLSETTINGS_DRIVERNAME'
      const input = text
        .replaceAll('/api/v4/system/ping', '/version')
        .replace(driver, `    - {name: MM_ADDRESS, value: 0.0.0.0}\n${driver}`)
      await cluster.kubectl(['--namespace', NAMESPACE, 'apply', '-f', '-'], { input })
    }

    async function statusOf(name: string): Promise<AppStatus> {
      const app = JSON.parse(await kubectl('get', 'capp', name, '-o', 'json')) as {
        readonly status?: AppStatus
      }
      return app.status ?? {}
    }

    async function isReady(name: string): Promise<void> {
      await eventually(
        `${name} is ready`,
        async () => findCondition((await statusOf(name)).conditions ?? [], 'Ready')?.status === 'True',
        120_000,
        () => controller?.log.slice(-3000) ?? '',
      )
      const rendered = findCondition((await statusOf(name)).conditions ?? [], 'Rendered')
      expect(rendered?.message).toBe('all fields are honoured')
    }

    async function claims(app: string): Promise<readonly string[]> {
      const words = await kubectl('get', 'pvc', '-l', `fairlead.dev/app=${app}`, '-o', 'name')
      return words.trim().split('\n')
    }

    test('mattermost: five VOLUMEs in one claim, a database in another, and both stay', async () => {
      await apply('mattermost.yaml')
      await isReady('mattermost-database')
      await isReady('mattermost')
      expect((await statusOf('mattermost')).volumes?.map(({ path: at, exec }) => [at, exec])).toEqual(
        ['client/plugins', 'config', 'data', 'logs', 'plugins'].map((name) => [
          `/mattermost/${name}`,
          'Allowed',
        ]),
      )
      const ask = (statement: string) =>
        kubectl(
          'exec',
          'mattermost-database-0',
          '--',
          'psql',
          '-XqtA',
          '-U',
          'mmuser',
          '-d',
          'mattermost',
          '-c',
          statement,
        )
      await ask('CREATE TABLE kept AS SELECT 1 AS one')
      const before = [await claims('mattermost'), await claims('mattermost-database')]
      // The database's stand-in declares one VOLUME more than the example names.
      expect(before.map((list) => list.length)).toEqual([1, 2])

      await kubectl('delete', 'capp', '--all', '--timeout=60s')
      await kubectl(
        'wait',
        '--for=delete',
        'pod',
        '-l',
        'app.kubernetes.io/managed-by=fairlead',
        '--timeout=120s',
      )
      await apply('mattermost.yaml')
      await isReady('mattermost-database')
      expect(await ask('SELECT one FROM kept')).toBe('1\n')
      expect([await claims('mattermost'), await claims('mattermost-database')]).toEqual(before)
    })

    test('web: three pods of a Deployment, and kubectl scale', async () => {
      await apply('web.yaml')
      await isReady('web')
      expect((await statusOf('web')).workload).toMatchObject({ replicas: 3, ready: 3 })
      await kubectl('scale', 'capp/web', '--replicas=2')
      await eventually('two pods are left', async () => (await statusOf('web')).workload?.ready === 2, 60_000)
      expect(await kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('2')
    })
  },
)

async function pushImages(registry: string, folder: string): Promise<void> {
  await writeExampleImages(folder)
  const image = buildImage({
    layers: [busyboxLayer(), layer([file('index.html', 'hello')])],
    config: { User: '101', Entrypoint: ['/bin/busybox', 'httpd', '-f', '-p', '8080', '-h', '/'] },
  })
  await writeLayout(path.join(folder, 'nginxinc/nginx-unprivileged'), [{ image, tag: '1.29' }])
  for (const name of IMAGES) {
    const [repository = '', tag = ''] = name.split(':')
    await mustRun('skopeo', [
      '--insecure-policy',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      `oci:${path.join(folder, repository)}:${tag}`,
      `docker://${registry}/${name}`,
    ])
  }
}
