import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openKubeClient } from '../../../../src/engine/kubernetes/api/client.ts'
import { connectInCluster, connectKubeconfig } from '../../../../src/engine/kubernetes/api/connect.ts'
import { makeCertificate } from '../../../support/tls.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'fairlead-connect-'))
  await writeFile(path.join(folder, 'token'), 'one\n')
  await writeFile(path.join(folder, 'ca.crt'), 'PEM')
  await writeFile(path.join(folder, 'namespace'), 'chat\n')
})
afterEach(() => rm(folder, { recursive: true }))

describe('in a pod', () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }

  test.each([
    ['10.96.0.1', '6443', 'https://10.96.0.1:6443/'],
    ['fd00::1', '443', 'https://[fd00::1]/'],
    ['kubernetes.default.svc', undefined, 'https://kubernetes.default.svc/'],
  ])('host %s, port %s', async (host, port, url) => {
    const asked = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }
    const { url: found, ca, namespace } = await connectInCluster({ env: asked, folder })
    expect({ url: found.href, ca, namespace }).toEqual({ url, ca: 'PEM', namespace: 'chat' })
  })

  test('reads a renewed token within a minute, and at once after a refusal', async () => {
    let now = 0
    const { headers, refresh } = await connectInCluster({ env, folder, now: () => now })
    await writeFile(path.join(folder, 'token'), 'two')
    expect(await headers()).toEqual({ authorization: 'Bearer one' })
    now = 60_000
    expect(await headers()).toEqual({ authorization: 'Bearer two' })
    await writeFile(path.join(folder, 'token'), 'three')
    refresh()
    expect(await headers()).toEqual({ authorization: 'Bearer three' })
  })

  test('trusts renewed authorities within a minute, without a new client', async () => {
    const certificates = await Promise.all([makeCertificate(), makeCertificate()])
    const [old, renewed] = certificates
    const server = createServer({ cert: old.cert, key: old.key }, (_request, response) => response.end('{}'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    let now = 0
    const served = {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String((server.address() as AddressInfo).port),
    }
    await writeFile(path.join(folder, 'ca.crt'), old.cert)
    const connection = await connectInCluster({ env: served, folder, now: () => now })
    const client = openKubeClient(connection, { wait: () => Promise.resolve() })
    expect(await client.read('/version')).toBe('{}')
    server.setSecureContext({ cert: renewed.cert, key: renewed.key })
    server.closeAllConnections()
    const error: unknown = await client.read('/version').catch((failed: unknown) => failed)
    expect(error).toMatchObject({ reason: 'ClusterUnavailable' })
    await writeFile(path.join(folder, 'ca.crt'), renewed.cert)
    now = 60_000
    expect(await client.read('/version')).toBe('{}')
    client.close()
    server.close()
    for (const each of certificates) await rm(each.folder, { recursive: true })
  })

  test.each([
    ['no pod', {}, undefined, 'KUBERNETES_SERVICE_HOST is not set'],
    ['an odd host', { KUBERNETES_SERVICE_HOST: 'a b' }, undefined, 'is no address'],
    ['no token', env, 'token', 'token cannot be read'],
  ])('refuses %s', async (_what, given, missing, message) => {
    if (missing !== undefined) await rm(path.join(folder, missing))
    const error: unknown = await connectInCluster({ env: given, folder }).catch((failed: unknown) => failed)
    expect(error).toMatchObject({ reason: 'ClusterUnavailable', retry: 'backoff' })
    expect(String(error)).toContain(message)
  })

  test('costs no import of client-node', () => {
    const script = `
      const { openKubeClient } = await import('./src/engine/kubernetes/api/client.ts')
      const { connectInCluster } = await import('./src/engine/kubernetes/api/connect.ts')
      const { createInformer } = await import('./src/engine/kubernetes/api/informer.ts')
      await connectInCluster({ env: ${JSON.stringify(env)}, folder: ${JSON.stringify(folder)} })
      const loaded = process.report.getReport().javascriptHeap.usedMemory
      console.log(loaded)`
    const args = ['--input-type=module', '--eval', script]
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(stderr).toBe('')
    // client-node alone adds 25 MB of heap.
    expect(Number(stdout)).toBeLessThan(16 * 1024 * 1024)
  })
})

describe('by a kubeconfig', () => {
  async function kubeconfig(server: string, user: object, cluster: object = {}): Promise<string> {
    const file = path.join(folder, 'config')
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'main',
      clusters: [{ name: 'c', cluster: { server, ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [
        { name: 'main', context: { cluster: 'c', user: 'u', namespace: 'chat' } },
        { name: 'other', context: { cluster: 'c', user: 'u' } },
      ],
    }
    await writeFile(file, JSON.stringify(config))
    return file
  }

  test('takes address, authority, namespace and token', async () => {
    const { folder: certificates, caFile, cert, key } = await makeCertificate()
    const said: (string | undefined)[] = []
    const server = createServer({ cert, key }, (request, response) => {
      said.push(request.headers.authorization)
      response.end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const file = await kubeconfig(url, { token: 'secret' }, { 'certificate-authority': caFile })
    const connection = await connectKubeconfig({ path: file })
    const client = openKubeClient(connection)
    expect(await client.read('/version')).toBe('{}')
    expect({ said, namespace: connection.namespace }).toEqual({ said: ['Bearer secret'], namespace: 'chat' })
    client.close()
    server.close()
    await rm(certificates, { recursive: true })
  })

  test('runs an exec plugin', async () => {
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'made' },
    })
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'echo',
      args: [credential],
      interactiveMode: 'Never',
    }
    const { headers } = await connectKubeconfig({ path: await kubeconfig('https://a.example', { exec }) })
    expect(await headers()).toEqual({ authorization: 'Bearer made' })
  })

  test('speaks plain HTTP to a proxy on this machine', async () => {
    const { url, namespace, headers } = await connectKubeconfig({
      path: await kubeconfig('http://127.0.0.1:8001', { username: 'u', password: 'p' }),
      context: 'other',
    })
    expect({ url: url.href, namespace, ...(await headers()) }).toEqual({
      url: 'http://127.0.0.1:8001/',
      namespace: 'default',
      authorization: 'Basic dTpw',
    })
  })

  test('refuses what is no kubeconfig, by its name', async () => {
    const file = path.join(folder, 'config')
    await writeFile(file, 'clusters: {')
    await expect(connectKubeconfig({ path: file })).rejects.toMatchObject({
      reason: 'InvalidSpec',
      path: file,
    })
    const missing = path.join(folder, 'none')
    await expect(connectKubeconfig({ path: missing })).rejects.toMatchObject({
      reason: 'NotFound',
      message: `the kubeconfig cannot be used: there is no file ${missing}`,
    })
    await expect(connectKubeconfig({ path: folder })).rejects.toMatchObject({ reason: 'InvalidSpec' })
  })

  test.skipIf(process.getuid?.() === 0)('says that a file may not be read', async () => {
    const file = path.join(folder, 'secret')
    await writeFile(file, '', { mode: 0 })
    await expect(connectKubeconfig({ path: file })).rejects.toMatchObject({ reason: 'PermissionDenied' })
  })
})
