/** `templates/crd.yaml` of the chart: the CRD with a switch to leave it out and one to keep it. */
import { toYaml } from '../to-yaml.ts'
import { crdObject } from './crd.ts'

/** Helm's own folder `crds/` is installed once and never upgraded, so the CRD is a template like any other. */
export function chartCrd(): string {
  const { apiVersion, kind, metadata, spec } = crdObject()
  const head = toYaml({ apiVersion, kind, metadata })
  return `{{/* Generated from src/crd by "npm run generate". Do not edit. */}}
{{- if .Values.crds.install }}
${head}  labels:
    {{- include "fairlead.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    # helm uninstall leaves it: with it would go every ContainerApp of the cluster.
    helm.sh/resource-policy: keep
  {{- end }}
${toYaml({ spec })}{{- end }}
`
}
