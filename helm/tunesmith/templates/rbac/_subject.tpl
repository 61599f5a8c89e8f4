{{- define "tunesmith.subject" -}}
- {kind: ServiceAccount, name: {{ include "tunesmith.serviceAccountName" . | quote }}, namespace: {{ .Release.Namespace | quote }}}
{{- end -}}
