{{/* Ports of DNS, to any address: a node-local cache has no pod that a selector could match. */}}
{{- define "tunesmith.dnsPorts" -}}
- {port: 53, protocol: UDP}
- {port: 53, protocol: TCP}
{{- end -}}
