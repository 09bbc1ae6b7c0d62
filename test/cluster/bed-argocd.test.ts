/** Argo CD of the test bed: it syncs, prunes, heals, and asks a health script. No node is needed for that. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startArgoCd } from './bed/argocd.ts'
import type { ArgoCd } from './bed/argocd.ts'
import { startControlPlane } from './bed/control-plane.ts'
import type { ControlPlane } from './bed/control-plane.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'

const HEALTH_SCRIPT = `
hs = { status = "Healthy" }
if obj.data ~= nil and obj.data.broken ~= nil then hs = { status = "Degraded", message = obj.data.broken } end
return hs
`

const isMissing = await isControlPlaneMissing()

let plane: ControlPlane
let argo: ArgoCd

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: true })
  argo = await startArgoCd(plane, { config: { 'resource.customizations.health.ConfigMap': HEALTH_SCRIPT } })
})

afterAll(async () => {
  await plane.stop()
})

test.skipIf(isMissing)('syncs a folder of the repository, heals and prunes', async () => {
  await argo.commit({ 'one/a.yaml': configMap('a', { word: 'first' }), 'one/b.yaml': configMap('b', {}) })
  await argo.application('one', 'one')
  await argo.untilStatus('one', { sync: 'Synced', health: 'Healthy' })
  expect(await word()).toBe('first')

  await plane.kubectl([
    'patch',
    'configmap',
    'a',
    '-n',
    'one',
    '--type=merge',
    '-p',
    '{"data":{"word":"other"}}',
  ])
  await expect.poll(word, { timeout: 30_000 }).toBe('first')

  const revision = await argo.commit({
    'one/a.yaml': configMap('a', { word: 'second' }),
    'one/b.yaml': undefined,
  })
  await argo.refresh('one')
  await argo.untilStatus('one', { sync: 'Synced', revision })
  await expect.poll(word, { timeout: 30_000 }).toBe('second')
  const names = () => plane.kubectl(['get', 'configmaps', '-n', 'one', '-o', 'name'])
  await expect.poll(names, { timeout: 30_000 }).not.toContain('configmap/b')
})

test.skipIf(isMissing)('tells what a health script says', async () => {
  await argo.commit({ 'two/c.yaml': configMap('c', { broken: 'it is broken' }) })
  await argo.application('two', 'two')
  const { resources } = await argo.untilStatus('two', { sync: 'Synced', health: 'Degraded' })
  expect(resources).toMatchObject([{ name: 'c', health: { status: 'Degraded', message: 'it is broken' } }])
})

async function word(): Promise<string> {
  return await plane.kubectl(['get', 'configmap', 'a', '-n', 'one', '-o', 'jsonpath={.data.word}'])
}

function configMap(name: string, data: Readonly<Record<string, string>>): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })
}
