{{/* A pod that `helm test` makes: files/check.py in the controller's image.
     Takes (dict "root" $ "checks" list "namespace" "…" "api" bool "env" list). */}}
{{- define "tunesmith.test.spec" -}}
restartPolicy: Never
activeDeadlineSeconds: {{ .root.Values.tests.timeoutSeconds }}
{{- if .api }}
serviceAccountName: {{ include "tunesmith.fullname" .root }}-test
{{- else }}
automountServiceAccountToken: false
{{- end }}
enableServiceLinks: false
{{- include "tunesmith.pullSecrets" .root }}
securityContext: {{- include "tunesmith.restrictedPod" .root | nindent 2 }}
containers:
  - name: check
    image: {{ include "tunesmith.image" (dict "root" .root "name" "controller") }}
    imagePullPolicy: {{ .root.Values.images.pullPolicy }}
    command: [python, -c]
    args: [{{ .root.Files.Get "files/check.py" | toJson }}]
    env:
      - {name: NAMESPACE, value: {{ .namespace | quote }}}
      - {name: CONTROLLER, value: {{ include "tunesmith.controller" .root }}}
      - {name: LEASE, value: {{ include "tunesmith.lease" .root }}}
      - {name: KUBERNETES, value: {{ .api | quote }}}
      - {name: CHECKS, value: {{ .checks | toJson | quote }}}
      {{- range .env }}
      - {{ toJson . }}
      {{- end }}
    resources:
      requests: {cpu: 50m, memory: 96Mi}
      limits: {memory: 256Mi}
    securityContext: {{- include "tunesmith.restrictedContainer" .root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
{{- end -}}

{{/* Annotations of everything that exists only for a test. Pods stay until the next test, for `helm test --logs`; rights go at once.
     Takes a dict with "kind". */}}
{{- define "tunesmith.test.hook" -}}
helm.sh/hook: test
helm.sh/hook-delete-policy: {{ ternary "before-hook-creation" "before-hook-creation,hook-succeeded,hook-failed" (eq .kind "Pod") }}
{{- end -}}

{{/* The endpoints of the stores to check, each once, reached as stages reach them; as JSON. The CA bundle is in the namespaces of
     requests, and may be missing in this one. */}}
{{- define "tunesmith.test.stores" -}}
{{- $checks := list -}}
{{- range $profile := include "tunesmith.profiles" . | fromYaml -}}
  {{- $url := $profile.store.endpoint -}}
  {{- if not $url -}}
    {{- $url = printf "https://s3.%s.amazonaws.com" ($profile.store.region | default "us-east-1") -}}
  {{- end -}}
  {{- $check := dict "check" "store_answers" "url" $url -}}
  {{- with $profile.proxy }}{{- $_ := set $check "proxy" . }}{{- end -}}
  {{- with $profile.caBundle }}{{- $_ := set $check "own_ca" true }}{{- end -}}
  {{- $checks = append $checks $check -}}
{{- end -}}
{{- $checks | uniq | toJson -}}
{{- end -}}

{{/* Secrets and keys that profiles name, each once, as JSON. */}}
{{- define "tunesmith.test.secrets" -}}
{{- $secrets := list -}}
{{- range $profile := include "tunesmith.profiles" . | fromYaml -}}
  {{- with $profile.store.secret -}}
    {{- $secrets = append $secrets (dict "name" . "key" "AWS_ACCESS_KEY_ID") -}}
    {{- $secrets = append $secrets (dict "name" . "key" "AWS_SECRET_ACCESS_KEY") -}}
  {{- end -}}
  {{- with $profile.teacherSecret -}}
    {{- $secrets = append $secrets (dict "name" .name "key" (.key | default "apiKey")) -}}
  {{- end -}}
  {{- with $profile.hubSecret -}}
    {{- $secrets = append $secrets (dict "name" .name "key" (.key | default "apiKey")) -}}
  {{- end -}}
  {{- range $profile.trackerSecrets -}}
    {{- $secrets = append $secrets (dict "name" .name "key" (.key | default "apiKey")) -}}
  {{- end -}}
{{- end -}}
{{- $secrets | uniq | toJson -}}
{{- end -}}
