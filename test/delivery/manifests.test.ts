/** `kubectl apply -k manifests`, as kubectl itself puts it together. */
import { readdirSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fieldsOf, itemsOf, textOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'
import { documentsOf, isToolMissing, KUBECTL, nameOf, ofKind, ROOT, runTool } from './tools.ts'

const MANIFESTS = join(ROOT, 'manifests')
const OVERLAY = `resources: [../manifests]
images: [{name: registry.fairlead.dev/fairlead, newName: r.example.org/fairlead, newTag: v9}]
`

function read(name: string): readonly Fields[] {
  return documentsOf(readFileSync(join(MANIFESTS, name), 'utf8'))
}

function podOf(objects: readonly Fields[]): Fields {
  const [deployment = {}] = ofKind(objects, 'Deployment')
  return fieldsOf(fieldsOf(fieldsOf(deployment['spec'])['template'])['spec'])
}

function containerOf(objects: readonly Fields[]): Fields {
  return fieldsOf(itemsOf(podOf(objects)['containers'])[0])
}

describe('the Deployment', () => {
  const pod = podOf(read('deployment.yaml'))
  const container = containerOf(read('deployment.yaml'))

  test('asks for no right that Pod Security restricted forbids', () => {
    expect(pod['securityContext']).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(container['securityContext']).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(['hostNetwork', 'hostPID', 'hostIPC'].filter((name) => pod[name] !== undefined)).toEqual([])
  })

  test('runs as the user that the image names', () => {
    const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    const { runAsUser, runAsGroup } = fieldsOf(pod['securityContext'])
    expect(dockerfile).toContain(`USER ${String(runAsUser)}:${String(runAsGroup)}\n`)
  })

  test('asks for resources and is probed where it listens', () => {
    expect(container['resources']).toMatchObject({
      requests: { cpu: expect.any(String), memory: expect.any(String) },
      limits: { memory: expect.any(String) },
    })
    const ports = itemsOf(container['ports']).map(fieldsOf)
    for (const { name, containerPort } of ports)
      expect(container['args']).toContain(`--${String(name)}-address=:${String(containerPort)}`)
    expect(container['livenessProbe']).toMatchObject({ httpGet: { path: '/healthz', port: 'health' } })
    expect(container['readinessProbe']).toMatchObject({ httpGet: { path: '/readyz', port: 'health' } })
  })

  test('runs the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(container['image']).toBe(`registry.fairlead.dev/fairlead:${version}`)
    const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    expect(dockerfile).toContain(`ARG VERSION=${version}\n`)
  })
})

test('what is selected by labels is there', () => {
  const selectors = readdirSync(MANIFESTS)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => read(name))
    .flatMap((object) => {
      const spec = fieldsOf(object['spec'])
      if (object['kind'] === 'Service') return [spec['selector']]
      const labels = [fieldsOf(spec['selector'])['matchLabels'], fieldsOf(spec['podSelector'])['matchLabels']]
      return labels.filter((label) => label !== undefined)
    })
  const [deployment = {}] = ofKind(read('deployment.yaml'), 'Deployment')
  const labels = fieldsOf(fieldsOf(fieldsOf(deployment['spec'])['template'])['metadata'])['labels']
  expect(selectors.length).toBeGreaterThan(3)
  for (const selector of selectors) expect(labels).toEqual(selector)
})

test('the kustomization has a line for the name and one for the tag of the image, to be changed by hand', () => {
  const [kustomization = {}] = read('kustomization.yaml')
  const [image] = itemsOf(kustomization['images']).map(fieldsOf)
  expect(image).toEqual({
    name: 'registry.fairlead.dev/fairlead',
    newName: 'registry.fairlead.dev/fairlead',
    newTag: expect.any(String),
  })
})

describe.skipIf(isToolMissing(KUBECTL))('kubectl kustomize', () => {
  test('gives every object of the files, CRD and namespace among them', async () => {
    const objects = documentsOf(await runTool(KUBECTL, 'kustomize', MANIFESTS))
    const kustomization = read('kustomization.yaml')[0] ?? {}
    const files = itemsOf(kustomization['resources']).map((name) => textOf(name) ?? '')
    const written = files.flatMap(read).map((object) => `${String(object['kind'])} ${nameOf(object)}`)
    expect(objects.map((object) => `${String(object['kind'])} ${nameOf(object)}`).toSorted()).toEqual(
      written.toSorted(),
    )
    expect(written).toContain('CustomResourceDefinition containerapps.fairlead.dev')
  })

  test('lets an overlay change the image for preflight pods, too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fairlead-overlay-'))
    try {
      await cp(MANIFESTS, join(folder, 'manifests'), { recursive: true })
      await cp(MANIFESTS, join(folder, 'overlay'), { recursive: true })
      const base = readFileSync(join(MANIFESTS, 'kustomization.yaml'), 'utf8')
      const replacements = base.slice(base.indexOf('replacements:'))
      await writeFile(join(folder, 'overlay/kustomization.yaml'), OVERLAY + replacements)
      const container = containerOf(documentsOf(await runTool(KUBECTL, 'kustomize', join(folder, 'overlay'))))
      expect(container['image']).toBe('r.example.org/fairlead:v9')
      expect(itemsOf(container['env'])[0]).toEqual({
        name: 'FAIRLEAD_IMAGE',
        value: 'r.example.org/fairlead:v9',
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
