{{/* Names, labels and images. Each takes the root context, or a dict with `root` where it says so. */}}

{{/* Prefix of every object's name. 40 characters leave room for `-tryout-teacher` and the like. */}}
{{- define "tunesmith.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The controller's Deployment, Service, roles. */}}
{{- define "tunesmith.controller" -}}
{{ include "tunesmith.fullname" . }}-controller
{{- end -}}

{{- define "tunesmith.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "tunesmith.controller" .) -}}
{{- else -}}
{{- if not .Values.serviceAccount.name -}}
{{- fail "serviceAccount.create=false needs serviceAccount.name: without it the controller's rights would go to `default`, and so to every pod of the namespace" -}}
{{- end -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Lease that the leader holds. Rights are narrowed to this name. */}}
{{- define "tunesmith.lease" -}}
{{ include "tunesmith.controller" . }}
{{- end -}}

{{/* Labels that select pods; they never change between releases. Takes (dict "root" $ "component" "controller"). */}}
{{- define "tunesmith.selector" -}}
app.kubernetes.io/name: tunesmith
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. `managed-by` is Helm, never `tunesmith`, by which the controller finds its own children.
     Takes (dict "root" $ "component" "controller"). */}}
{{- define "tunesmith.labels" -}}
{{ include "tunesmith.selector" . }}
app.kubernetes.io/part-of: tunesmith
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A whole image reference: registry/repository:tag@digest. If no tag is set, a digest stands alone, since it may not belong to the
     tag of the appVersion. Takes (dict "root" $ "name" "train"). */}}
{{- define "tunesmith.image" -}}
{{- $images := .root.Values.images -}}
{{- $image := index $images .name -}}
{{- $registry := .root.Values.global.imageRegistry | default $images.registry | trimSuffix "/" -}}
{{- $tag := $image.tag | default $images.tag -}}
{{- if not (or $tag $image.digest) -}}{{- $tag = .root.Chart.AppVersion -}}{{- end -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{ $image.repository }}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Where a page of the documentation is: below `documentationURL`, or its path in the repository.
     Takes (dict "root" $ "page" "docs/reference/alerts.md"). */}}
{{- define "tunesmith.page" -}}
{{- with .root.Values.documentationURL }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .page }}
{{- end -}}

{{/* imagePullSecrets of a pod of the chart. */}}
{{- define "tunesmith.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Security of pods and containers without values for it: tryout and tests. Pod Security `restricted`. */}}
{{- define "tunesmith.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tunesmith.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
