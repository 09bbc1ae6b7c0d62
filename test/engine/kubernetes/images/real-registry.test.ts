import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkCluster } from '../../../../src/engine/kubernetes/images/check-cluster.ts'
import { ClusterImages } from '../../../../src/engine/kubernetes/images/cluster-images.ts'
import { NO_IMAGES_CONFIG } from '../../../../src/engine/kubernetes/images/image-settings.ts'
import { clusterSecretReader } from '../../../../src/engine/kubernetes/images/secret-reader.ts'
import { SECRETS } from '../../../../src/engine/kubernetes/resources.ts'
import { IssuesError } from '../../../../src/errors.ts'
import { createLogger } from '../../../../src/log.ts'
import { desiredState } from '../../../../src/reconcile/desired.ts'
import type { StoredApp } from '../../../../src/reconcile/ports.ts'
import { anApp, aResource, KEY, sources } from '../../../support/builders.ts'
import { busyboxLayer } from '../../../support/busybox-image.ts'
import { failureOf } from '../../../support/expected-error.ts'
import { buildImage, pushImage } from '../../../support/layout.ts'
import { MemoryKube } from '../../../support/memory-kube.ts'
import { isMissing } from '../../../support/programs.ts'
import { READER_HTPASSWD, startRegistry, type RealRegistry } from '../../../support/real-registry.ts'

const signal = new AbortController().signal
const image = buildImage({
  layers: [busyboxLayer()],
  platform: { os: 'linux', architecture: 'amd64' },
  config: { Entrypoint: ['/bin/sh', '-c', 'sleep 1000'] },
})
const stored: StoredApp = {
  key: KEY,
  baseDir: '/',
  resource: aResource(),
  generation: 1,
  status: undefined,
  deletion: undefined,
}

describe.skipIf(isMissing('docker-registry'))('images of a registry that wants a login', () => {
  let registry: RealRegistry
  const kube = new MemoryKube()
  const images = new ClusterImages({
    config: NO_IMAGES_CONFIG,
    secrets: clusterSecretReader(kube, { namespace: 'fairlead', serviceAccount: 'fairlead' }),
    platforms: () => [{ os: 'linux', architecture: 'amd64' }],
    log: createLogger('silent'),
    now: Date.now,
    env: {},
    arch: 'x64',
  })

  beforeAll(async () => {
    registry = await startRegistry(undefined, { htpasswd: READER_HTPASSWD })
    const authorization = `Basic ${Buffer.from('reader:secret').toString('base64')}`
    await pushImage(registry.host, 'team/app', '1', image, { authorization })
  })
  afterAll(async () => {
    images.close()
    await registry.stop()
  })

  const put = (name: string, password: string) => {
    const text = JSON.stringify({ auths: { [registry.host]: { username: 'reader', password } } })
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: KEY.namespace },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(text).toString('base64') },
    }
    return kube.create(SECRETS, secret, { fieldManager: 'test' })
  }

  test('are resolved, read and checked with the pull secrets of the app', async () => {
    await put('stale', 'wrong')
    await put('good', 'secret')
    const app = anApp({
      image: `${registry.host}/team/app:1`,
      pullSecrets: [{ name: 'stale' }, { name: 'good' }],
    })
    const resolved = await images.resolve(app, stored, undefined, signal)
    const prepared = await images.prepare(app, stored, resolved, signal)
    const result = desiredState({ key: KEY, app, image: resolved, tree: prepared.tree, sources: sources() })
    if ('issues' in result) throw new IssuesError(result.issues)
    expect(resolved.digest).toBe(image.digest)
    expect(prepared.warnings).toEqual([])
    expect(checkCluster(result.desired, prepared, { isPrepared: () => false })).toEqual([])
  })

  test('are refused without them', async () => {
    const app = anApp({ image: `${registry.host}/team/app:1` })
    const message = await failureOf(() => images.resolve(app, stored, undefined, signal))
    expect(message).toMatch(/^RegistryUnauthorized/)
  })
})
