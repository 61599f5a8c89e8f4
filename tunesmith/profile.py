"""Profile: what the platform team decides for all requests that name it. A Helm value; frozen beside the snapshot of a request.

`defaults` is a partial spec, the third layer of resolve.py. Everything else is about where a stage runs and as whom, and changes no
key. What a request may set beyond that is in `allow`, judged by policy.py.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tunesmith.settings import Count, Endpoint, Location, ObjectName, Quantity, SecretKey, Settings
from tunesmith.trackers import TrackerName


class ConfigMapKey(Settings):
    """One value of a ConfigMap in the request's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253)] = "ca.crt"
    """Key in the ConfigMap."""


class S3(Settings):
    """The store: where runs are kept. A request's runs lie at `<url>/<namespace>/<run>/`."""

    url: Location = ""
    """`s3://bucket/prefix`. Empty: requests of this profile are refused, by name."""
    endpoint: Endpoint = ""
    """Endpoint of an S3-compatible server. Built-in: AWS."""
    region: str = ""
    """Region. Built-in: the server's own."""
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket is part of the path or of the host name."""
    encryption: Literal["", "AES256", "aws:kms"] = ""
    """Server-side encryption to ask for."""
    kms_key: str = ""
    """KMS key for `aws:kms`."""
    secret: ObjectName = ""
    """Secret in the request's namespace with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN. Empty: by identity."""

    def of(self, namespace: str) -> str:
        """URL of the runs of a namespace."""
        return f"{self.url.rstrip('/')}/{namespace}"


class Images(Settings):
    """The image of each stage, by tag or digest. evaluate uses train's, deliver merge's."""

    generate: str = ""
    """Image of generate."""
    train: str = ""
    """Image of train and evaluate."""
    merge: str = ""
    """Image of merge and deliver."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the kubelet pulls."""
    pull_secrets: tuple[ObjectName, ...] = ()
    """Image pull Secrets in the request's namespace."""


class Scratch(Settings):
    """The scratch volume of a stage."""

    size: Quantity = "0"
    """Size. 0: by the base model once its size is known, 10Gi at least."""
    storage_class_name: str = ""
    """A volume of this class for each pod instead of the node's own disk."""


class Pod(Settings):
    """What a stage's pod gets beside the request's `stages.<name>`."""

    runtime_class_name: str = ""
    """RuntimeClass, such as `nvidia`."""
    termination_grace_period_seconds: Annotated[int, Field(ge=30, le=3600)] = 180
    """Seconds that a stopped stage has to save its state (a checkpoint of the adapter) into the store."""
    scratch: Scratch = Field(default_factory=Scratch)
    """Scratch volume."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels for the pod."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """More annotations for the pod."""
    affinity: dict[str, JsonValue] = Field(default_factory=dict)
    """Affinity, as Kubernetes has it."""


class Pods(Settings):
    """Pod settings, stage by stage."""

    generate: Pod = Field(default_factory=Pod)
    """Writing the dataset."""
    train: Pod = Field(default_factory=Pod)
    """Training the adapter."""
    merge: Pod = Field(default_factory=Pod)
    """Merging adapter and base model."""
    evaluate: Pod = Field(default_factory=Pod)
    """Comparing base model and merged model."""
    deliver: Pod = Field(default_factory=Pod)
    """Copying the finished model to `output`."""


class Proxy(Settings):
    """Proxies that every client of a stage uses. No password in their URLs: the profile is in the snapshot's ConfigMap."""

    http: str = ""
    """HTTP_PROXY."""
    https: str = ""
    """HTTPS_PROXY."""
    no_proxy: str = ""
    """NO_PROXY."""


class Limits(Settings):
    """How much may run at once. 0: no limit. Who waits, waits in line: round-robin over namespaces, the oldest first within one."""

    requests: Count = 0
    """Requests of the profile at work."""
    requests_per_namespace: Count = 0
    """Requests of the profile at work in one namespace."""
    gpu_jobs: Count = 0
    """Live Jobs of the profile that ask for a GPU."""
    gpu_jobs_per_namespace: Count = 0
    """Live Jobs of the profile that ask for a GPU in one namespace."""
    teacher_requests_per_minute: Count = 0
    """Requests to the teacher per minute, divided over the live generate Jobs of the profile."""


class Allow(Settings):
    """What a request may set by itself. Patterns as in a shell (`*`); `{namespace}` is the request's own."""

    endpoints: tuple[str, ...] = ()
    """Teacher endpoints (`data.teacher.baseURL`). The request brings the Secret for it, never one of the profile's."""
    bases: tuple[str, ...] = ("hf://*",)
    """Base models (`model.base`) beside those of `models`."""
    sources: tuple[str, ...] = ()
    """Own data (`data.source.uri`), read with the profile's identity: `s3://data/{namespace}/*`."""
    outputs: tuple[str, ...] = ()
    """Places for the finished model (`output`), written with the profile's identity."""
    env: tuple[str, ...] = ()
    """Names of variables in `stages.<name>.env`. Those that decide where secrets go or what is run are never allowed."""
    tolerations: tuple[str, ...] = ()
    """Keys of tolerations."""
    node_selector: tuple[str, ...] = ("*",)
    """Labels of node selectors."""
    priority_class_names: tuple[str, ...] = ()
    """Priority classes."""
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    """Experiment trackers (`training.reportTo`). The release's train image has tensorboard; for another one build an image that has it."""


class Profile(Settings):
    """A profile by its name."""

    name: str = "default"
    """Name, as `spec.profile` has it."""
    defaults: dict[str, JsonValue] = Field(default_factory=dict)
    """A partial spec: values for what a request and its presets leave open."""
    models: dict[str, str] = Field(default_factory=dict)
    """Base models by a name of the platform team's: what a request gives as `model.base` -> URL."""
    store: S3 = Field(default_factory=S3)
    """Where runs are kept."""
    teacher_secret: SecretKey | None = None
    """Key of the profile's teacher endpoint (`defaults.data.teacher.baseURL`, else OpenAI)."""
    hub_secret: SecretKey | None = None
    """Token for the profile's hub."""
    hub_endpoint: Endpoint = ""
    """A hub other than huggingface.co (HF_ENDPOINT)."""
    tracker_secrets: dict[str, SecretKey] = Field(default_factory=dict)
    """Variables of experiment trackers, such as WANDB_API_KEY, from Secrets in the request's namespace."""
    service_account_name: ObjectName = "default"
    """ServiceAccount of the pods, in the request's namespace; a cloud identity on it makes the store's Secret unnecessary."""
    images: Images = Field(default_factory=Images)
    """Images. Built-in: the chart's."""
    pods: Pods = Field(default_factory=Pods)
    """Pod settings."""
    cache_claim: ObjectName = ""
    """PersistentVolumeClaim in the request's namespace for HF_HOME, shared by its pods (ReadWriteMany). Empty: on the scratch volume."""
    ca_bundle: ConfigMapKey | None = None
    """Certificates that every client trusts, in the request's namespace. They replace the system's, so they must be all that is needed."""
    proxy: Proxy = Field(default_factory=Proxy)
    """Proxies. No password in their URLs: who has `view` in the namespace can read them."""
    env: dict[str, str] = Field(default_factory=dict)
    """More variables for all stages."""
    allow: Allow = Field(default_factory=Allow)
    """What a request may set by itself."""
    limits: Limits = Field(default_factory=Limits)
    """How much may run at once."""
