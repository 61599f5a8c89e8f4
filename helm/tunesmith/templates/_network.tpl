{{/* Ports of DNS, to anywhere: a node-local cache has no pod that a selector could name. */}}
{{- define "tunesmith.dnsPorts" -}}
- {port: 53, protocol: UDP}
- {port: 53, protocol: TCP}
{{- end -}}
