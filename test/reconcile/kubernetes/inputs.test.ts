import { expect, test } from 'vitest'
import { inputsHash, serviceInputsHash } from '../../../src/reconcile/kubernetes/inputs.ts'
import { anApp, digest } from '../../support/builders.ts'
import { rendered } from './rendering.ts'

const PIN = digest('a1')
const hash = (spec = {}, metadata = {}, pin = PIN) => inputsHash(anApp(spec, metadata), pin)

test('the user’s words, the pin and a wished restart count', () => {
  const all = [
    hash(),
    hash({ args: ['x'] }),
    hash({ replicas: 0 }),
    hash({}, {}, digest('b2')),
    hash({}, { annotations: { 'fairlead.dev/restart-requested-at': 'now' } }),
  ]
  expect(new Set(all).size).toBe(all.length)
})

test('the words about the Service count for the Service alone', () => {
  const service = { annotations: { a: 'b' } }
  const ports = [{ port: 80 }]
  expect(hash({ ports, service })).toBe(hash({ ports }))
  const all = [{}, { ports }, { ports, service }, { ports: [{ port: 81 }] }]
  expect(new Set(all.map((spec) => serviceInputsHash(anApp(spec)))).size).toBe(all.length)
})

test.each<[string, Record<string, unknown>]>([
  ['labels', { labels: { a: 'b' } }],
  ['other annotations', { annotations: { 'fairlead.dev/resolve-requested-at': 'now' } }],
  ['what the server says', { generation: 7, resourceVersion: '8', uid: 'u' }],
])('%s do not', (_title, metadata) => {
  expect(hash({}, metadata)).toBe(hash())
})

test('neither do the operator’s choices, nor the order of keys', () => {
  expect(rendered({ options: { podSecurity: 'privileged', defaultVolumeSize: '1Gi' } }).inputs).toBe(
    rendered({}).inputs,
  )
  const a = hash({ env: [{ name: 'A', value: 'b' }], args: ['x'] })
  expect(hash({ args: ['x'], env: [{ value: 'b', name: 'A' }] })).toBe(a)
})
