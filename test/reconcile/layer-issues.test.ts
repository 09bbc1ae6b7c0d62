import { expect, test } from 'vitest'
import { LAYER_RULES } from '../../src/crd/schema/image.ts'
import { LAYER_SEMANTICS } from '../../src/image/layer-semantics.ts'
import { clusterLayerIssues, localLayerIssues, localSemantics } from '../../src/reconcile/layer-issues.ts'
import { anApp } from '../support/builders.ts'

const TEXT = 'nodes with overlayfs show something else'
const asking = (layerSemantics: string) => anApp({ imagePolicy: { layerSemantics } })

test('an image that is the same everywhere is not spoken of', () => {
  for (const semantics of LAYER_SEMANTICS) {
    expect(localLayerIssues(semantics, undefined)).toEqual([])
    expect(clusterLayerIssues(asking(semantics), undefined)).toEqual([])
  }
})

test('the resource has the words that merging has', () => {
  expect(LAYER_RULES).toEqual(LAYER_SEMANTICS)
})

test.each([
  ['spec', /; here the app sees what the specification says; imagePolicy\.layerSemantics: overlayfs/],
  ['overlayfs', /; as imagePolicy\.layerSemantics asks, the app sees what nodes show$/],
] as const)('one host says what the app sees under %s', (semantics, message) => {
  expect(localLayerIssues(semantics, TEXT)).toEqual([
    {
      severity: 'warning',
      reason: 'LayersDiverge',
      path: 'spec.image',
      message: expect.stringMatching(message) as string,
    },
  ])
})

test('one host merges by the specification unless asked', () => {
  expect(localSemantics(anApp())).toBe('spec')
  expect(localSemantics(asking('overlayfs'))).toBe('overlayfs')
})

test('a cluster warns of the image, whether overlayfs is asked for or nothing', () => {
  for (const app of [anApp(), asking('overlayfs')])
    expect(clusterLayerIssues(app, TEXT)).toEqual([
      {
        severity: 'warning',
        reason: 'LayersDiverge',
        path: 'spec.image',
        message: `${TEXT}; fairlead unpack --report lists all`,
      },
    ])
})

test('a cluster reports that it cannot honour the specification', () => {
  expect(clusterLayerIssues(asking('spec'), TEXT)).toEqual([
    {
      severity: 'warning',
      reason: 'UnsupportedField',
      path: 'spec.imagePolicy.layerSemantics',
      message: `spec can't be had in a cluster, since nodes unpack images by themselves: ${TEXT}`,
    },
  ])
})
