/** Every example is something that its engine takes without a word of warning. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseDocuments } from '../../src/crd/documents.ts'
import { specSchema } from '../../src/crd/schema/spec.ts'
import { clusterSupportIssues } from '../../src/reconcile/kubernetes/support.ts'
import { localSupportIssues } from '../../src/reconcile/local-support.ts'
import { ROOT } from './source-files.ts'

const EXAMPLES = readdirSync(path.join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
  // Alerts are no resources of ours: `docs-cluster.test.ts` reads them.
  .filter((name) => name.endsWith('.yaml') && !name.startsWith('monitoring/'))
  .toSorted()

/** For clusters only, or contradicting another field of the same example. */
const NOT_IN_EVERY_FIELD = ['service', 'probes', 'podTemplate']

function parse(name: string): ReturnType<typeof parseDocuments> {
  return parseDocuments(readFileSync(path.join(ROOT, 'examples', name), 'utf8'), name)
}

describe('examples', () => {
  test('cover what a newcomer looks for', () => {
    expect(EXAMPLES).toEqual([
      'every-field/gitea.yaml',
      'hooks/nginx.yaml',
      'kimai/kimai.yaml',
      'kubernetes/mattermost.yaml',
      'kubernetes/own-claim.yaml',
      'kubernetes/private-registry.yaml',
      'kubernetes/restored.yaml',
      'kubernetes/web.yaml',
      'mattermost/mattermost.yaml',
      'read-only-layout/app.yaml',
    ])
  })

  test.each(EXAMPLES)('%s has no problem and at least one app', (name) => {
    const { documents, issues } = parse(name)
    expect(issues).toEqual([])
    expect(documents.apps.length).toBeGreaterThan(0)
  })

  test.each(EXAMPLES)('%s asks for nothing that its engine does not do', (name) => {
    const supportIssues = name.startsWith('kubernetes/') ? clusterSupportIssues : localSupportIssues
    expect(parse(name).documents.apps.flatMap(({ app }) => supportIssues(app))).toEqual([])
  })

  test.each(EXAMPLES)('%s finds its Secrets and ConfigMaps in the same file', (name) => {
    const { documents } = parse(name)
    const wanted = new Set(
      documents.apps.flatMap(({ app }) => [
        ...(app.spec.pullSecrets ?? []).map((ref) => `Secret ${ref.name}`),
        ...(app.spec.envFrom ?? []).flatMap((source) => [
          ...(source.secretRef === undefined ? [] : [`Secret ${source.secretRef.name}`]),
          ...(source.configMapRef === undefined ? [] : [`ConfigMap ${source.configMapRef.name}`]),
        ]),
        ...(app.spec.volumes ?? []).flatMap(({ source }) => [
          ...(source?.secret === undefined ? [] : [`Secret ${source.secret.secretName}`]),
          ...(source?.configMap === undefined ? [] : [`ConfigMap ${source.configMap.name}`]),
        ]),
      ]),
    )
    const given = new Set([
      ...documents.secrets.map((secret) => `Secret ${secret.metadata.name}`),
      ...documents.configMaps.map((map) => `ConfigMap ${map.metadata.name}`),
    ])
    expect([...wanted].filter((object) => !given.has(object))).toEqual([])
  })

  test('every-field has every field of the spec but those of clusters', () => {
    const [first] = parse('every-field/gitea.yaml').documents.apps
    const missing = Object.keys(specSchema.shape).filter(
      (field) => !Object.hasOwn(first?.app.spec ?? {}, field),
    )
    expect(missing.toSorted()).toEqual(NOT_IN_EVERY_FIELD.toSorted())
  })
})
