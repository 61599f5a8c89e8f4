{{/* Written by scripts/chart.py from tunesmith_controller/rights.py; `make chart` writes it again. */}}
{{- define "tunesmith.rights" -}}
# get: reads a whole request before the first decision about it
# list: fills the cache of requests
# watch: keeps the cache of requests
# delete: removes an expired request that says `deleteWhenExpired`, no other
- apiGroups: ["tunesmith.dev"]
  resources: [trainingrequests]
  verbs: [get, list, watch, delete]
# patch: writes the status, by server-side apply
- apiGroups: ["tunesmith.dev"]
  resources: [trainingrequests/status]
  verbs: [patch]
# update: sets blockOwnerDeletion on children where OwnerReferencesPermissionEnforcement is on; never called
- apiGroups: ["tunesmith.dev"]
  resources: [trainingrequests/finalizers]
  verbs: [update]
# get: sees whose Job has the name that a create found taken, or that the cache does not show yet
# list: fills the cache of Jobs
# watch: keeps the cache of Jobs
# create: starts a stage
# delete: stops a stage: suspended, edited, over its deadline, expired
- apiGroups: ["batch"]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# list: fills the cache of pods: why a stage does not get on, or how it ended
# watch: keeps the cache of pods
# patch: tells a generate pod its share of the teacher's requests a minute, when another one starts or ends
# delete: ends a pod whose stage is over and which a container of others keeps alive, no other
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch, delete]
# get: reads progress from the tail of a running stage's log
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# get: reads the snapshot of a request
# create: writes the snapshot of a request; it is immutable
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create]
# list: reads why a Job has no pod (quota) or a pod does not start (a missing volume)
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# create: writes Events about a request, for `kubectl describe`
- apiGroups: ["events.k8s.io"]
  resources: [events]
  verbs: [create]
{{- end -}}
