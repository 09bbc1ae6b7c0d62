{{/* Names, labels and the one image; every other template uses them. */}}
{{- define "fairlead.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's own name where it has the chart's in it, else both. Short enough for a suffix of 20 characters. */}}
{{- define "fairlead.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" }}
{{- else if contains (include "fairlead.name" .) .Release.Name }}
{{- .Release.Name | trunc 43 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "fairlead.name" .) | trunc 43 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ include "fairlead.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fairlead.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "fairlead.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "fairlead.fullname" . }}
{{- else }}default{{ end }}
{{- end }}

{{- define "fairlead.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* "true" or "" for a switch that follows the mode where nobody set it: on cluster-wide, off with named namespaces. */}}
{{- define "fairlead.clusterSwitch" -}}
{{- if kindIs "bool" .value }}{{ ternary "true" "" .value }}
{{- else }}{{ ternary "true" "" (empty .root.Values.watch.namespaces) }}{{ end }}
{{- end }}

{{- define "fairlead.subjects" -}}
- kind: ServiceAccount
  name: {{ include "fairlead.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* A role and its binding. Of a dict: root, name, kind (Role or ClusterRole), namespace. */}}
{{- define "fairlead.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ include "fairlead.roleName" . }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "fairlead.labels" .root | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
rules:
{{ include (printf "fairlead.rules.%s" .name) . | trim }}
{{- end }}

{{- define "fairlead.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (not (empty .namespace)) }}
metadata:
  name: {{ include "fairlead.roleName" . }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "fairlead.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ include "fairlead.roleName" . }}
subjects:
{{ include "fairlead.subjects" .root }}
{{- end }}

{{/* Cluster-wide names carry the release's namespace: two releases of one name in two namespaces do not meet. */}}
{{- define "fairlead.roleName" -}}
{{- $base := printf "%s-%s" (include "fairlead.fullname" .root) .name }}
{{- if eq .kind "ClusterRole" }}{{ printf "%s:%s" .root.Release.Namespace $base }}{{ else }}{{ $base }}{{ end }}
{{- end }}
