/** Whole manifests, read by hand when they change: `vitest run --project unit -u` writes them anew. */
import { expect, test } from 'vitest'
import { toYaml } from '../../../src/crd/to-yaml.ts'
import { appliedOf } from '../../../src/reconcile/kubernetes/drift.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import {
  MATTERMOST,
  ONE_CLAIM,
  POSTGRES,
  preflight,
  rendered,
  RESTRICTED,
  SIDECAR,
  WEB,
  type Case,
} from './rendering.ts'

/** The annotation that holds the document would say everything twice. */
function shown(object: KubeObject): string {
  return toYaml(appliedOf(object) ?? object)
}

test.each<[string, Case]>([
  ['mattermost', MATTERMOST],
  ['postgres', POSTGRES],
  ['web', WEB],
  ['one-claim', ONE_CLAIM],
  ['restricted', RESTRICTED],
  ['sidecar', SIDECAR],
])('%s is rendered as written down', async (name, given) => {
  const { workload, service, claims } = rendered(given)
  const objects = [workload, service, ...claims.map(({ object }) => object), preflight(given)]
  const text = objects.flatMap((object) => (object === undefined ? [] : [shown(object)])).join('---\n')
  await expect(text).toMatchFileSnapshot(`golden/${name}.yaml`)
})
