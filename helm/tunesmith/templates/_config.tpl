{{/* The controller's configuration file (tunesmith_controller/config.py): images, and profiles as the values have them. */}}
{{- define "tunesmith.config" -}}
images:
  generate: {{ include "tunesmith.image" (dict "root" . "name" "generate") }}
  train: {{ include "tunesmith.image" (dict "root" . "name" "train") }}
  merge: {{ include "tunesmith.image" (dict "root" . "name" "merge") }}
  pullPolicy: {{ .Values.images.pullPolicy }}
  {{- with .Values.images.pullSecrets }}
  pullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
profiles: {{- include "tunesmith.profiles" . | nindent 2 }}
{{- end -}}

{{/* The profiles, including the tryout's. What cannot work is refused here, at installation, and not at the first request. */}}
{{- define "tunesmith.profiles" -}}
{{- $profiles := deepCopy .Values.profiles -}}
{{- if .Values.tryout.enabled -}}
  {{- $own := $profiles.default | default dict -}}
  {{- if ($own.store | default dict).url -}}
    {{- fail "profiles.default.store.url and tryout.enabled are both set: the tryout has a profile `default` with its own store. Give your profile another name, or set tryout.enabled=false" -}}
  {{- end -}}
  {{- $_ := set $profiles "default" (mergeOverwrite (include "tunesmith.tryout.profile" . | fromYaml) $own) -}}
{{- end -}}
{{- range $name, $profile := $profiles -}}
  {{- if not (($profile | default dict).store | default dict).url -}}
    {{- fail (printf "profiles.%s.store.url is empty, so every request of the profile would be refused: set it to s3://bucket/prefix, or remove the profile" $name) -}}
  {{- end -}}
  {{- if not (hasPrefix "s3://" $profile.store.url) -}}
    {{- fail (printf "profiles.%s.store.url is %s: the pods of a cluster share no folder, so runs are kept in a bucket; set it to s3://bucket/prefix" $name $profile.store.url) -}}
  {{- end -}}
  {{- if eq $.Values.controller.logFormat "json" -}}{{- /* for stages too, unless the profile says otherwise */ -}}
    {{- $_ := set $profile "env" (mergeOverwrite (dict "TUNESMITH_LOG_FORMAT" "json") ($profile.env | default dict)) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $profiles -}}
{{- end -}}

{{/* Profile `default` of the tryout. The base model of examples/quickstart.yaml is in the bucket. */}}
{{- define "tunesmith.tryout.profile" -}}
store:
  url: s3://tunesmith/runs
  endpoint: http://{{ include "tunesmith.tryout.s3" . }}.{{ .Release.Namespace }}.svc:8333
  region: us-east-1
  addressingStyle: path
  secret: {{ include "tunesmith.tryout.store" . }}
teacherSecret:
  name: {{ include "tunesmith.tryout.teacher" . }}
  key: apiKey
models:
  models/SmolLM2-135M-Instruct: s3://tunesmith/models/SmolLM2-135M-Instruct
defaults:
  data:
    teacher:
      model: scripted
      baseURL: http://{{ include "tunesmith.tryout.teacher" . }}.{{ .Release.Namespace }}.svc:8080/v1
  training:
    device: cpu
  {{- with .Values.tryout.gpu }}
  stages:
    train:
      resources:
        limits:
          nvidia.com/gpu: {{ . | toString | quote }}
  {{- end }}
{{- end -}}

{{- define "tunesmith.tryout.s3" -}}
{{ include "tunesmith.fullname" . }}-tryout-s3
{{- end -}}

{{- define "tunesmith.tryout.teacher" -}}
{{ include "tunesmith.fullname" . }}-tryout-teacher
{{- end -}}

{{/* The Secret with the S3 keys: in the release's namespace for the server, in each of tryout.namespaces for stage pods. */}}
{{- define "tunesmith.tryout.store" -}}
{{ include "tunesmith.fullname" . }}-tryout-store
{{- end -}}
