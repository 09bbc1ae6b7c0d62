import { describe, expect, test } from 'vitest'
import { nodeFacts, nodePlatforms, nodesMountImages } from '../../../src/engine/kubernetes/node-facts.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'

interface NodeWords {
  readonly os?: unknown
  readonly arch?: unknown
  readonly kubelet?: unknown
  readonly runtime?: unknown
  readonly ready?: string
}

function node({
  os = 'linux',
  arch = 'amd64',
  kubelet = 'v1.36.3',
  runtime = 'containerd://2.4.2',
  ready = 'True',
}: NodeWords = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n' },
    status: {
      nodeInfo: {
        operatingSystem: os,
        architecture: arch,
        kubeletVersion: kubelet,
        containerRuntimeVersion: runtime,
      },
      conditions: [
        { type: 'MemoryPressure', status: 'False' },
        { type: 'Ready', status: ready },
      ],
    },
  }
}

describe('a node', () => {
  test.each([
    ['v1.36.3', 'containerd://2.4.2', true],
    ['v1.35.0', 'containerd://2.1.0', true],
    ['v1.34.9', 'containerd://2.4.2', false],
    ['v1.36.0', 'containerd://2.0.5', false],
    ['v1.36.0', 'containerd://1.7.27', false],
    ['v1.36.0', 'containerd://3.0.0', true],
    ['v1.36.0-eks-1', 'cri-o://1.31.0', true],
    ['v1.36.0', 'cri-o://1.30.4', false],
    ['v1.36.0', 'docker://28.0.0', false],
    ['', '', false],
    [{}, 7, false],
  ])('with kubelet %j and runtime %j mounts images: %s', (kubelet, runtime, mounts) => {
    expect(nodeFacts(node({ kubelet, runtime })).imageVolumes).toBe(mounts)
  })

  test.each([
    ['True', true],
    ['False', false],
    ['Unknown', false],
  ])('whose Ready is %s is ready: %s', (ready, expected) => {
    expect(nodeFacts(node({ ready })).ready).toBe(expected)
  })

  test('without a status is not ready and mounts nothing', () => {
    expect(nodeFacts({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } })).toEqual({
      ready: false,
      platform: 'linux/amd64',
      imageVolumes: false,
    })
  })

  test('can put no strange words into a platform', () => {
    expect(nodeFacts(node({ arch: 'amd64\n; rm' })).platform).toBe('linux/amd64')
  })
})

describe('the cluster', () => {
  const facts = (...words: readonly NodeWords[]) => words.map((entry) => nodeFacts(node(entry)))

  test('is prepared for the platforms of its ready Linux nodes, the most common first', () => {
    const nodes = facts(
      { arch: 'amd64' },
      { arch: 'arm64' },
      { arch: 'arm64' },
      { arch: 's390x', ready: 'False' },
      { os: 'windows' },
    )
    expect(nodePlatforms(nodes).map(({ architecture }) => architecture)).toEqual(['arm64', 'amd64'])
  })

  test('without a ready node is prepared for those that there are', () => {
    expect(nodePlatforms(facts({ arch: 'arm64', ready: 'Unknown' }))).toHaveLength(1)
  })

  test.each([
    ['none', [], false],
    ['one that does', [{}], true],
    ['one that does and one that does not', [{}, { runtime: 'containerd://1.7.0' }], false],
    [
      'one that does and a broken one that does not',
      [{}, { runtime: 'containerd://1.7.0', ready: 'False' }],
      true,
    ],
  ])('with %s mounts images as every ready node does', (_name, nodes, expected) => {
    expect(nodesMountImages(facts(...nodes))).toBe(expected)
  })
})
