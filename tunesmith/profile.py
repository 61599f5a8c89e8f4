"""Profile: what the platform team decides for all requests that name it.

It is a Helm value, and is frozen together with the snapshot of a request. `defaults` is a partial spec, the
third layer of resolve.py. Everything else says where a stage runs and as whom, and changes no key. `allow`
says what a request may set beyond that; policy.py enforces it.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tunesmith.settings import Count, Endpoint, Location, ObjectName, Quantity, SecretKey, Settings
from tunesmith.trackers import TrackerName

# What counts as a GPU: podspec.is_gpu.
GPU_RESOURCE = (
    r"^([a-z0-9.-]+/gpu|nvidia\.com/(mig-|gpu\.)[a-z0-9.-]+|amd\.com/[a-z0-9_]+|gpu\.intel\.com/(i915|xe))$"
)


class ConfigMapKey(Settings):
    """One value of a ConfigMap in the request's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253)] = "ca.crt"
    """Key in the ConfigMap."""


class S3(Settings):
    """The store, which keeps runs. A request's run lies at `<url>/<namespace>/<run>/`."""

    url: Location = ""
    """`s3://bucket/prefix`. Empty: requests of this profile are refused with a reason."""
    endpoint: Endpoint = ""
    """Endpoint of an S3-compatible server. Built-in: AWS."""
    region: str = ""
    """Region. Built-in: the server's own."""
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket is part of the path or of the host name."""
    encryption: Literal["", "AES256", "aws:kms"] = ""
    """Server-side encryption to request."""
    kms_key: str = ""
    """KMS key for `aws:kms`."""
    secret: ObjectName = ""
    """Secret in the request's namespace that holds AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if needed,
    AWS_SESSION_TOKEN. Empty: the cloud identity of the pods is used.
    """

    def of(self, namespace: str) -> str:
        """URL of the runs of a namespace."""
        return f"{self.url.rstrip('/')}/{namespace}"


class Images(Settings):
    """The images of the stages, by tag or digest. evaluate runs in train's image, deliver in merge's."""

    generate: str = ""
    """Image of generate."""
    train: str = ""
    """Image of train and evaluate."""
    merge: str = ""
    """Image of merge and deliver."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the kubelet pulls an image."""
    pull_secrets: tuple[ObjectName, ...] = ()
    """Image pull Secrets in the request's namespace."""


class Scratch(Settings):
    """The scratch volume of a stage."""

    size: Quantity = "0"
    """Size. 0: derived from the base model as soon as its size is known, and at least 10Gi."""
    storage_class_name: str = ""
    """Storage class of a volume for each pod, in place of the node's own disk."""


class GpuClaim(Settings):
    """How a stage that needs a GPU gets it by dynamic resource allocation, in place of a device plugin."""

    resource_claim_template_name: ObjectName = ""
    """ResourceClaimTemplate in the request's namespace, of which each pod gets a claim. Empty: the GPU is
    asked for by `gpuResource`. A request that names an amount of GPUs itself gets those, and no claim.
    """
    gpus: Annotated[int, Field(ge=1, le=64)] = 1
    """Whole GPUs that one claim gives; train starts a process for each."""


class Pod(Settings):
    """What a stage's pod gets in addition to the request's `stages.<name>`."""

    runtime_class_name: str = ""
    """RuntimeClass, such as `nvidia`."""
    scheduler_name: ObjectName = ""
    """Scheduler, such as `volcano`, `yunikorn`, `kai-scheduler`. Built-in: the cluster's own."""
    gpu_claim: GpuClaim = Field(default_factory=GpuClaim)
    """How the pod gets its GPU by dynamic resource allocation."""
    termination_grace_period_seconds: Annotated[int, Field(ge=30, le=3600)] = 180
    """Seconds that a stopped stage has to save its state, such as a checkpoint of the adapter, to
    the store.
    """
    scratch: Scratch = Field(default_factory=Scratch)
    """Scratch volume."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels for the pod. They go before those that keep service meshes away from it."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """More annotations for the pod, such as `karpenter.sh/do-not-disrupt: "true"`. They go before those that
    keep service meshes away from it.
    """
    job_labels: dict[str, str] = Field(default_factory=dict)
    """More labels for the Job, such as that of a cost centre."""
    job_annotations: dict[str, str] = Field(default_factory=dict)
    """More annotations for the Job."""
    affinity: dict[str, JsonValue] = Field(default_factory=dict)
    """Affinity, in the form that Kubernetes defines."""


class Pods(Settings):
    """Pod settings for each stage."""

    generate: Pod = Field(default_factory=Pod)
    """Writes the dataset."""
    train: Pod = Field(default_factory=Pod)
    """Trains the adapter."""
    merge: Pod = Field(default_factory=Pod)
    """Merges adapter and base model."""
    evaluate: Pod = Field(default_factory=Pod)
    """Compares base model and merged model."""
    deliver: Pod = Field(default_factory=Pod)
    """Copies the finished model to `output`."""


class Proxy(Settings):
    """Proxies that every client of a stage uses.

    Their URLs must not hold a password, since the snapshot's ConfigMap shows the profile.
    """

    http: str = ""
    """HTTP_PROXY."""
    https: str = ""
    """HTTPS_PROXY."""
    no_proxy: str = ""
    """NO_PROXY."""


class Limits(Settings):
    """How much may run at once. 0: no limit.

    Requests wait in a queue: round-robin over namespaces, and the oldest first within each.
    """

    requests: Count = 0
    """Running requests of the profile."""
    requests_per_namespace: Count = 0
    """Running requests of the profile in one namespace."""
    gpu_jobs: Count = 0
    """Unfinished Jobs of the profile that request a GPU."""
    gpu_jobs_per_namespace: Count = 0
    """Unfinished Jobs of the profile that request a GPU, in one namespace."""
    teacher_requests_per_minute: Count = 0
    """Requests to the teacher per minute, divided among the profile's running generate Jobs."""


class Allow(Settings):
    """What a request may set by itself.

    In a pattern `*` stands for any text and `{namespace}` for the request's namespace.
    """

    endpoints: tuple[str, ...] = ()
    """Teacher endpoints (`data.teacher.baseURL`). The request must name its own Secret for them; the
    profile's are never sent there.
    """
    headers: tuple[str, ...] = ()
    """Names of headers that a request may have sent to the teacher (`data.teacher.headers`,
    `data.teacher.secretHeaders`). None by default: on a gateway they may say who pays.
    """
    query: tuple[str, ...] = ()
    """Names in the query of the teacher's address that a request may set (`data.teacher.query`,
    `data.teacher.secretQuery`).
    """
    body: tuple[str, ...] = ()
    """Names of members of the body that a request may set (`data.teacher.body`), such as `top_k` and
    `chat_template_kwargs`. None by default: on some endpoints they choose a dearer tier, tools or models.
    """
    secrets: tuple[str, ...] = ()
    """Secrets that a request may name (`data.teacher.secret`, `data.teacher.secretHeaders`,
    `data.teacher.secretQuery`, `model.tokenSecret`); those of a profile are never among them. None by
    default: whoever may create requests, but read no Secrets, could else have any of them sent to an endpoint
    of `endpoints` or to the hub.
    """
    bases: tuple[str, ...] = ("hf://*",)
    """Base models (`model.base`) in addition to those of `models`."""
    token_bases: tuple[str, ...] = ()
    """Base models on the hub that are read with the profile's `hubSecret`, in addition to those of `models`
    and `defaults.model.base`. Others that `bases` allows are read without a token, since everybody in the
    namespace can have a copy of what it opens.
    """
    sources: tuple[str, ...] = ()
    """Locations of own data (`data.source.uri`) and of documents (`data.documents.uri`), which are read with
    the profile's identity: `s3://data/{namespace}/*`, `hf://datasets/org/*`.
    """
    outputs: tuple[str, ...] = ()
    """Locations for the finished model (`output`), which is written with the profile's identity."""
    env: tuple[str, ...] = ()
    """Names of variables in `stages.<name>.env`. Variables that decide where secrets go or which code runs
    are never allowed.
    """
    tolerations: tuple[str, ...] = ()
    """Keys of tolerations."""
    node_selector: tuple[str, ...] = ("*",)
    """Labels of node selectors."""
    priority_class_names: tuple[str, ...] = ()
    """Priority classes."""
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    """Experiment trackers (`training.reportTo`). The release's train image includes tensorboard; for another
    tracker build an image that includes it.
    """


class Profile(Settings):
    """A named profile."""

    name: str = "default"
    """Name that requests give in `spec.profile`."""
    defaults: dict[str, JsonValue] = Field(default_factory=dict)
    """A partial spec with values for what a request and its presets leave open."""
    models: dict[str, str] = Field(default_factory=dict)
    """The platform team's names for base models: what a request gives as `model.base` -> URL."""
    store: S3 = Field(default_factory=S3)
    """The store that keeps runs."""
    teacher_secret: SecretKey | None = None
    """Key for the profile's teacher endpoint (`defaults.data.teacher.baseURL`, otherwise OpenAI)."""
    hub_secret: SecretKey | None = None
    """Token for the profile's hub. It is sent for the models of `models`, `defaults.model.base` and
    `allow.tokenBases` only.
    """
    hub_endpoint: Endpoint = ""
    """Hub to use in place of huggingface.co (HF_ENDPOINT)."""
    tracker_secrets: dict[str, SecretKey] = Field(default_factory=dict)
    """Variables of experiment trackers, such as WANDB_API_KEY, from Secrets in the request's namespace."""
    service_account_name: ObjectName = "default"
    """ServiceAccount of the pods, in the request's namespace. With a cloud identity on it the store needs no
    Secret.
    """
    images: Images = Field(default_factory=Images)
    """Images of the stages. Built-in: the chart's."""
    pods: Pods = Field(default_factory=Pods)
    """Pod settings."""
    gpu_resource: Annotated[str, Field(pattern=GPU_RESOURCE, max_length=253)] = "nvidia.com/gpu"
    """What a stage that needs a GPU asks for one of, where the request names no amount: `nvidia.com/gpu`,
    `amd.com/gpu`, `gpu.intel.com/xe`, a slice such as `nvidia.com/mig-1g.10gb`.
    """
    job_ttl_seconds: Annotated[int, Field(ge=-1, le=2**31 - 1, alias="jobTTLSeconds")] = 259_200
    """Seconds that the Job of a stage is kept after its end, and its pods and their logs with it
    (`ttlSecondsAfterFinished` of the Job). 0: it goes at once; -1: it stays. Built-in: three days. The result
    of a stage is in the store and its end in the status of the request, so neither needs the Job.
    """
    cache_claim: ObjectName = ""
    """PersistentVolumeClaim for HF_HOME in the request's namespace, shared by its pods (ReadWriteMany).
    Empty: HF_HOME lies on the scratch volume.
    """
    ca_bundle: ConfigMapKey | None = None
    """Certificates that every client trusts, in the request's namespace. They replace the system's, so all
    that are needed must be among them.
    """
    proxy: Proxy = Field(default_factory=Proxy)
    """Proxies. Their URLs must not hold a password: everybody with `view` in the namespace can read them."""
    env: dict[str, str] = Field(default_factory=dict)
    """More environment variables for all stages."""
    allow: Allow = Field(default_factory=Allow)
    """What a request may set by itself."""
    limits: Limits = Field(default_factory=Limits)
    """How much may run at once."""
