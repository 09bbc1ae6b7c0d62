import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { crdObject } from '../../src/crd/publish/crd.ts'
import { generatedFiles } from '../../src/crd/publish/files.ts'
import { toStructural } from '../../src/crd/structural.ts'
import { fieldsOf, isFields, itemsOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'

const root = join(import.meta.dirname, '../..')

test.each(generatedFiles())('$path is what "npm run generate" writes', ({ path, content }) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(content)
})

const WITH_QUANTITY: unknown = expect.stringMatching(/\d+Gi\b/)

/** Every schema node with its path, `properties` and `items` left out of it. */
function nodesOf(node: Fields, path: string): readonly (readonly [path: string, node: Fields])[] {
  const below = Object.entries(fieldsOf(node['properties'])).flatMap(([name, child]) =>
    nodesOf(fieldsOf(child), `${path}.${name}`),
  )
  const items = isFields(node['items']) ? nodesOf(node['items'], `${path}[]`) : []
  const values = isFields(node['additionalProperties'])
    ? nodesOf(node['additionalProperties'], `${path}{}`)
    : []
  return [[path, node], ...below, ...items, ...values]
}

const version = fieldsOf(itemsOf(fieldsOf(crdObject()['spec'])['versions'])[0])
const schema = fieldsOf(fieldsOf(version['schema'])['openAPIV3Schema'])
const nodes = nodesOf(fieldsOf(fieldsOf(schema['properties'])['spec']), 'spec').concat(
  nodesOf(fieldsOf(fieldsOf(schema['properties'])['status']), 'status'),
)

describe('the CRD', () => {
  test('is smaller than 60 KB as JSON', () => {
    expect(JSON.stringify(crdObject()).length).toBeLessThan(60_000)
  })

  test('has nodes to look at', () => {
    expect(nodes.length).toBeGreaterThan(150)
  })

  test('gives every node one type', () => {
    const untyped = nodes.filter(
      ([, node]) => node['type'] === undefined && node['x-kubernetes-int-or-string'] !== true,
    )
    expect(untyped.map(([path]) => path)).toEqual([])
  })

  test('bounds every list, map and string', () => {
    const unbounded = nodes.filter(
      ([, node]) =>
        (node['type'] === 'array' && node['maxItems'] === undefined) ||
        (isFields(node['additionalProperties']) && node['maxProperties'] === undefined) ||
        (node['type'] === 'string' && node['maxLength'] === undefined && node['enum'] === undefined),
    )
    expect(unbounded.map(([path]) => path)).toEqual([])
  })

  test('describes every field', () => {
    const silent = nodes.filter(([path, node]) => /\w$/.test(path) && node['description'] === undefined)
    expect(silent.map(([path]) => path)).toEqual([])
  })

  // kubectl explain calls a quantity an <Object> and shows no pattern: only the description can help.
  test('shows what a quantity looks like', () => {
    const quantities = nodes.filter(([path]) => /^spec.*\.(size|requests|limits)$/.test(path))
    expect(quantities.length).toBeGreaterThan(3)
    for (const [path, node] of quantities) expect([path, node['description']]).toEqual([path, WITH_QUANTITY])
  })

  test('says for every list how it is merged, and its keys are required', () => {
    const wrong = nodes.filter(([, node]) => {
      if (node['type'] !== 'array') return false
      const required = itemsOf(fieldsOf(node['items'])['required'])
      const keys = itemsOf(node['x-kubernetes-list-map-keys'])
      if (node['x-kubernetes-list-type'] === 'map')
        return keys.length === 0 || keys.some((key) => !required.includes(key))
      return node['x-kubernetes-list-type'] === undefined
    })
    expect(wrong.map(([path]) => path)).toEqual([])
  })

  test('has one default, that of replicas', () => {
    expect(nodes.filter(([, node]) => node['default'] !== undefined)).toEqual([
      ['spec.replicas', expect.objectContaining({ default: 1 })],
    ])
  })

  test('closes every object but the parts of podTemplate', () => {
    const open = nodes.filter(([, node]) => node['x-kubernetes-preserve-unknown-fields'] === true)
    expect(open.map(([path]) => path)).toEqual(['spec.podTemplate.metadata', 'spec.podTemplate.spec'])
  })

  test('has patterns that Go can read: no look-around, no back-references', () => {
    const patterns = nodes.flatMap(([, node]) =>
      typeof node['pattern'] === 'string' ? [node['pattern']] : [],
    )
    expect(patterns.length).toBeGreaterThan(20)
    expect(patterns.filter((pattern) => /\(\?[=!<]|\\[1-9]|\\[kpP]/.test(pattern))).toEqual([])
  })
})

describe('toStructural', () => {
  test('writes a quantity as int-or-string', () => {
    const schema = z.union([z.string().max(9).regex(/^a$/), z.int().min(0)])
    expect(toStructural(schema)).toEqual({
      anyOf: [{ type: 'integer' }, { type: 'string' }],
      'x-kubernetes-int-or-string': true,
      pattern: '^a$',
      maxLength: 9,
      minimum: 0,
    })
  })

  test.each([
    ['another union', z.union([z.string(), z.boolean()])],
    [
      'a discriminated union',
      z.discriminatedUnion('a', [z.object({ a: z.literal('b') }), z.object({ a: z.literal('c') })]),
    ],
  ])('refuses %s, which has no structural form', (_title, schema) => {
    expect(() => toStructural(schema)).toThrow('invariant')
  })
})
