{{- define "tunesmith.subject" -}}
- {kind: ServiceAccount, name: {{ include "tunesmith.serviceAccountName" . }}, namespace: {{ .Release.Namespace }}}
{{- end -}}
