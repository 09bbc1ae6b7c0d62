/** Every generated file and its content: written by `scripts/generate.ts`, compared by a test. */
import { chartCrd } from './chart-crd.ts'
import { crdYaml } from './crd.ts'
import { editorSchemaJson } from './editor-schema.ts'
import { chartRules, rbacYaml } from './rbac-files.ts'
import { referencePage } from './reference-page.ts'

export interface GeneratedFile {
  /** Relative to the root of the repository. */
  readonly path: string
  readonly content: string
}

export function generatedFiles(): readonly GeneratedFile[] {
  return [
    { path: 'manifests/crd.yaml', content: crdYaml() },
    { path: 'manifests/containerapp.schema.json', content: editorSchemaJson() },
    { path: 'manifests/rbac.yaml', content: rbacYaml() },
    { path: 'charts/fairlead/templates/crd.yaml', content: chartCrd() },
    { path: 'charts/fairlead/templates/_rules.tpl', content: chartRules() },
    { path: 'docs/resource.md', content: referencePage() },
  ]
}
