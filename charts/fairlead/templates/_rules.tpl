{{/* Generated from src/crd/publish/rbac.ts by "npm run generate". Do not edit. */}}
{{- define "fairlead.rules.manager" -}}
# The resources themselves: the spec is read and never written.
- apiGroups: ["fairlead.dev"]
  resources: ["containerapps"]
  verbs: ["get","list","watch"]
# Says in the status what was done.
- apiGroups: ["fairlead.dev"]
  resources: ["containerapps/status"]
  verbs: ["patch"]
# Workloads: one of the two for each app.
- apiGroups: ["apps"]
  resources: ["statefulsets","deployments"]
  verbs: ["get","list","watch","create","patch","delete"]
# A stable name for each app with ports.
- apiGroups: [""]
  resources: ["services"]
  verbs: ["get","list","watch","create","patch","delete"]
# Storage for each volume. Not delete: with retain: Delete the cluster itself removes a claim with its app.
- apiGroups: [""]
  resources: ["persistentvolumeclaims"]
  verbs: ["get","list","watch","create","patch"]
# Preflight pods come and go, and an outdated pod of a StatefulSet is deleted when its successor is prepared.
- apiGroups: [""]
  resources: ["pods"]
  verbs: ["get","list","watch","create","delete"]
# Names of pull secrets, as the kubelet takes them.
- apiGroups: [""]
  resources: ["serviceaccounts"]
  verbs: ["get"]
# Tells what happened, once for each transition; and a StatefulSet says only here why it can make no pod.
- apiGroups: ["events.k8s.io"]
  resources: ["events"]
  verbs: ["list","create","patch"]
{{- end }}

{{- define "fairlead.rules.leader-election" -}}
# One controller writes, the others wait: they watch the Lease.
- apiGroups: ["coordination.k8s.io"]
  resources: ["leases"]
  verbs: ["get","list","watch","create","update"]
# A server-side dry run shows whether the API server keeps image volumes. No pod is made here.
- apiGroups: [""]
  resources: ["pods"]
  verbs: ["create"]
{{- end }}

{{- define "fairlead.rules.cluster-reader" -}}
# Platforms to prepare images for, and whether runtimes can mount images.
- apiGroups: [""]
  resources: ["nodes"]
  verbs: ["get","list","watch"]
# Which Pod Security level a namespace enforces.
- apiGroups: [""]
  resources: ["namespaces"]
  verbs: ["get","list","watch"]
# Whether claims of a class can grow.
- apiGroups: ["storage.k8s.io"]
  resources: ["storageclasses"]
  verbs: ["get","list","watch"]
{{- end }}

{{- define "fairlead.rules.metrics-auth" -}}
# Whose token is it?
- apiGroups: ["authentication.k8s.io"]
  resources: ["tokenreviews"]
  verbs: ["create"]
# May they get /metrics?
- apiGroups: ["authorization.k8s.io"]
  resources: ["subjectaccessreviews"]
  verbs: ["create"]
{{- end }}

{{- define "fairlead.rules.pull-secrets" -}}
# Credentials to resolve and check an image with, as the kubelet pulls it. Only by name: no list.
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["get"]
{{- end }}

{{- define "fairlead.rules.metrics-reader" -}}
# The metrics, and no other path.
- nonResourceURLs: ["/metrics"]
  verbs: ["get"]
{{- end }}

{{- define "fairlead.rules.view" -}}
# Reading apps and their status.
- apiGroups: ["fairlead.dev"]
  resources: ["containerapps","containerapps/status","containerapps/scale"]
  verbs: ["get","list","watch"]
{{- end }}

{{- define "fairlead.rules.edit" -}}
# Changing apps.
- apiGroups: ["fairlead.dev"]
  resources: ["containerapps"]
  verbs: ["create","update","patch","delete","deletecollection"]
# The scale subresource: kubectl scale and autoscalers that people run.
- apiGroups: ["fairlead.dev"]
  resources: ["containerapps/scale"]
  verbs: ["update","patch"]
{{- end }}
