/** What holds for every app, whatever it is called and whatever it mounts. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { fieldsOf, isFields, itemsOf } from '../../../src/crd/view.ts'
import { canonicalJson } from '../../../src/reconcile/canonical-json.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { containerOf, desiredOf, preflight, rendered, templateOf, type Case } from './rendering.ts'

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
/** What a StatefulSet and a Deployment may both be called. */
const name = fc.stringMatching(/^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$/)
const segment = fc.stringMatching(/^[-A-Za-z0-9_. é$=]{1,12}$/).filter((text) => !/^\.+$/.test(text))
const path = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((parts) => `/${parts.join('/')}`)
  .filter((text) => !/^\/(proc|sys|dev)(\/|$)/.test(text))
const cases: fc.Arbitrary<Case> = fc.record({
  metadata: fc.record({ name }),
  config: fc.record({
    volumes: fc.uniqueArray(path, { maxLength: 6 }),
    user: fc.constantFrom('', '7', 'mattermost', '7:8'),
  }),
  spec: fc.record({
    ports: fc.constantFrom([], [{ port: 80 }]),
    suspend: fc.boolean(),
    env: fc.constantFrom([], [{ name: 'A', value: '' }]),
    volumeDefaults: fc.constantFrom(
      {},
      { layout: 'OneClaim' },
      { accessModes: ['ReadWriteMany'] },
      { retain: 'Delete' },
    ),
  }),
  options: fc.record({ imageVolumes: fc.boolean() }),
})

function objectsOf(given: Case): readonly KubeObject[] {
  const { workload, service, claims } = rendered(given)
  return [
    workload,
    ...(service === undefined ? [] : [service]),
    ...claims.map(({ object }) => object),
    preflight(given),
  ]
}

/** Paths of what must not be in a rendered object. */
function nothings(value: unknown, at: string): readonly string[] {
  if (value === null || value === undefined) return [at]
  if (Array.isArray(value)) {
    return value.length === 0 ? [at] : value.flatMap((item, index) => nothings(item, `${at}[${index}]`))
  }
  if (!isFields(value)) return []
  const members = Object.entries(value)
  return members.length === 0 ? [at] : members.flatMap(([key, member]) => nothings(member, `${at}.${key}`))
}

function holds(property: (given: Case) => void): void {
  fc.assert(fc.property(cases, property), { numRuns: 200 })
}

test('equal input gives equal bytes', () => {
  holds((given) => {
    expect(JSON.stringify(objectsOf(structuredClone(given)))).toBe(JSON.stringify(objectsOf(given)))
    for (const object of objectsOf(given)) expect(JSON.stringify(object)).toBe(canonicalJson(object))
  })
})

test('nothing empty, null or undefined is anywhere, so that applying it again is no write', () => {
  holds((given) => {
    expect(objectsOf(given).flatMap((object) => nothings(object, object.kind))).toEqual([])
  })
})

test('every name is one that Kubernetes takes', () => {
  holds((given) => {
    for (const object of objectsOf(given)) {
      expect(object.metadata.name).toMatch(LABEL)
      for (const label of Object.values(object.metadata.labels ?? {}))
        expect(label.length).toBeLessThanOrEqual(63)
    }
    const podSpecs = [
      fieldsOf(templateOf(rendered(given).workload)['spec']),
      fieldsOf(preflight(given)['spec']),
    ]
    for (const spec of podSpecs) {
      const names = itemsOf(spec['volumes']).map((volume) => String(fieldsOf(volume)['name']))
      for (const each of names) expect(each).toMatch(LABEL)
      expect(new Set(names).size).toBe(names.length)
    }
  })
})

test('every volume has exactly one mount, at its own path, of a volume that the pod has', () => {
  holds((given) => {
    const spec = fieldsOf(templateOf(rendered(given).workload)['spec'])
    const mounts = itemsOf(containerOf(spec)['volumeMounts']).map(fieldsOf)
    const names = itemsOf(spec['volumes']).map((volume) => fieldsOf(volume)['name'])
    expect(mounts.map(({ mountPath }) => mountPath)).toEqual(
      desiredOf(given).volumes.map(({ destination }) => destination),
    )
    for (const mount of mounts) expect(names).toContain(mount['name'])
    const places = mounts.map(({ name: volume, subPath }) => `${String(volume)} ${String(subPath)}`)
    expect(new Set(places).size).toBe(places.length)
  })
})
