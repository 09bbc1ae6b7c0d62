/** `argocd/argocd-cm.yaml`: health and actions as the two keys of Argo CD's ConfigMap, made from the Lua files. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { GROUP, KIND } from '../../src/crd/labels.ts'
import type { GeneratedFile } from '../../src/crd/publish/files.ts'
import { toYaml } from '../../src/crd/to-yaml.ts'

/** `folder` holds health.lua and actions/ in the format of Argo CD's resource_customizations. */
export function argocdSnippet(folder: string): GeneratedFile {
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8')
  const actions = readdirSync(path.join(folder, 'actions'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'testdata')
    .map((entry) => ({ name: entry.name, 'action.lua': read(`actions/${entry.name}/action.lua`) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const definitions = { 'discovery.lua': read('actions/discovery.lua'), definitions: actions }
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'argocd-cm',
      namespace: 'argocd',
      labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
    },
    data: {
      [`resource.customizations.health.${GROUP}_${KIND}`]: read('health.lua'),
      [`resource.customizations.actions.${GROUP}_${KIND}`]: toYaml(definitions),
    },
  }
  const header = `# Generated from argocd/ by "npm run generate". Do not edit.
# Apply it with a field manager of its own, so that other keys stay:
#   kubectl apply --server-side --field-manager fairlead -f argocd/argocd-cm.yaml
`
  return { path: 'argocd/argocd-cm.yaml', content: `${header}${toYaml(configMap)}` }
}
