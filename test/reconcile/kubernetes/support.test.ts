import { expect, test } from 'vitest'
import { clusterSupportIssues } from '../../../src/reconcile/kubernetes/support.ts'
import { anApp } from '../../support/builders.ts'

test.each<[string, Record<string, unknown>, readonly string[]]>([
  ['nothing special', {}, []],
  ['hooks', { hooks: [{ path: '/a' }] }, ['error HooksUnsupported spec.hooks']],
  ['no hooks', { hooks: [] }, []],
  [
    'a volume that must not be executed',
    { volumes: [{ path: '/a' }, { path: '/b', exec: 'Forbidden' }] },
    ['warning UnsupportedField spec.volumes[1].exec'],
  ],
  [
    'volumes that must not be executed',
    { volumeDefaults: { exec: 'Forbidden' } },
    ['warning UnsupportedField spec.volumeDefaults.exec'],
  ],
  [
    'a folder of the node',
    { volumes: [{ path: '/a', source: { hostPath: { path: '/b' } } }] },
    ['warning UnsupportedField spec.volumes[0].source.hostPath'],
  ],
  [
    'a platform',
    { imagePolicy: { platform: 'linux/arm64' } },
    ['warning UnsupportedField spec.imagePolicy.platform'],
  ],
])('%s', (_title, spec, issues) => {
  const found = clusterSupportIssues(anApp(spec))
  expect(found.map(({ severity, reason, path }) => `${severity} ${reason} ${path}`)).toEqual(issues)
})
