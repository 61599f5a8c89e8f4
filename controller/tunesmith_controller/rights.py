"""What the controller may ask of the API server: every verb on every resource, with its reason.

The chart's rules come from it.
"""

from dataclasses import dataclass
from typing import Literal

from tunesmith.wire import GROUP, PLURAL, VERSION

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete"]
Scope = Literal["requests", "lease", "cluster"]


@dataclass(frozen=True)
class Resource:
    """A resource of the API, perhaps a subresource (`pods/log`)."""

    group: str
    version: str
    plural: str
    kind: str = ""
    subresource: str = ""
    namespaced: bool = True

    @property
    def name(self) -> str:
        """As RBAC rules and metrics name it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        """Path of an object, or of the collection without a name: of all namespaces without a namespace."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        parts += ["namespaces", namespace] if self.namespaced and namespace else []
        parts.append(self.plural)
        if name:
            parts.append(name)
            parts += [self.subresource] if self.subresource else []
        return "/".join(parts)


REQUESTS = Resource(GROUP, VERSION, PLURAL, "TrainingRequest")
REQUEST_STATUS = Resource(GROUP, VERSION, PLURAL, "TrainingRequest", "status")
REQUEST_FINALIZERS = Resource(GROUP, VERSION, PLURAL, "TrainingRequest", "finalizers")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
POD_LOGS = Resource("", "v1", "pods", "Pod", "log")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS = Resource("", "v1", "events", "Event")
NEW_EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)


@dataclass(frozen=True)
class Right:
    """One verb on one resource, and what it is for.

    `scope`: `requests` is the watched namespaces, `lease` the controller's own; `names`: only these objects.
    """

    resource: Resource
    verb: Verb
    why: str
    scope: Scope = "requests"
    names: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, Verb]:
        """Group, resource and verb, as in a rule of RBAC."""
        return self.resource.group, self.resource.name, self.verb


RIGHTS = (
    Right(REQUESTS, "get", "reads a whole request before the first decision about it"),
    Right(REQUESTS, "list", "fills the cache of requests"),
    Right(REQUESTS, "watch", "keeps the cache of requests"),
    Right(REQUESTS, "delete", "removes an expired request that says `deleteWhenExpired`, no other"),
    Right(REQUEST_STATUS, "patch", "writes the status, by server-side apply"),
    Right(
        REQUEST_FINALIZERS,
        "update",
        "sets blockOwnerDeletion on children where OwnerReferencesPermissionEnforcement is on; never called",
    ),
    Right(
        JOBS,
        "get",
        "sees whose Job has the name that a create found taken, or that the cache does not show yet",
    ),
    Right(JOBS, "list", "fills the cache of Jobs"),
    Right(JOBS, "watch", "keeps the cache of Jobs"),
    Right(JOBS, "create", "starts a stage"),
    Right(JOBS, "delete", "stops a stage: suspended, edited, over its deadline, expired"),
    Right(PODS, "list", "fills the cache of pods: why a stage does not get on, or how it ended"),
    Right(PODS, "watch", "keeps the cache of pods"),
    Right(
        PODS,
        "patch",
        "tells a generate pod its share of the teacher's requests a minute, when another one starts or ends",
    ),
    Right(
        PODS,
        "delete",
        "ends a pod whose stage is over and which a container of others keeps alive, no other",
    ),
    Right(POD_LOGS, "get", "reads progress from the tail of a running stage's log"),
    Right(CONFIG_MAPS, "get", "reads the snapshot of a request"),
    Right(CONFIG_MAPS, "create", "writes the snapshot of a request; it is immutable"),
    Right(EVENTS, "list", "reads why a Job has no pod (quota) or a pod does not start (a missing volume)"),
    Right(NEW_EVENTS, "create", "writes Events about a request, for `kubectl describe`"),
    Right(LEASES, "get", "leader election", "lease"),
    Right(LEASES, "create", "leader election", "lease"),
    Right(LEASES, "update", "leader election", "lease"),
    Right(
        DEFINITIONS,
        "get",
        "compares the installed schema with its own at start",
        "cluster",
        (f"{PLURAL}.{GROUP}",),
    ),
)
