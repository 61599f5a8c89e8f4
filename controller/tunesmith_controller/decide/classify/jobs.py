"""What is wrong with a Job itself: the API server refuses its pods, or it has given up."""

import re

from tunesmith_controller.decide.classify.facts import Finding, JobFacts, shortened

_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")
_MUST_SPECIFY = re.compile(r"failed quota: ([^:]+): must specify (.+)$")
_LIMIT_RANGE = re.compile(r"forbidden: .*(usage|request ratio) per (Container|Pod) is ")
_BOUND = re.compile(r"(maximum|minimum) (\S+) usage per (Container|Pod) is (\S+?)[.,\]]*(?:\s|$)")
_RATIO = re.compile(r"(\w+) max limit to request ratio per (?:Container|Pod) is ([^\s,]+)")
_BELOW_REQUEST = re.compile(
    r'resources\.requests: Invalid value: "([^"]+)": must be less than or equal to (\S+) limit of (\S+)'
)
_POD_SECURITY = re.compile(r"violates PodSecurity \"([^\"]+)\": (.+)$")
_SERVICE_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found')
_PRIORITY_CLASS = re.compile(r"no PriorityClass with name (\S+) was found")
_RUNTIME_CLASS = re.compile(r"RuntimeClass \"([^\"]+)\" not found")


def not_created(refusal: str, namespace: str) -> Finding:
    """The API server refuses to create a Job, or the snapshot's ConfigMap. `refusal`: what, and why."""
    if match := _QUOTA.search(refusal):
        what = refusal.partition(":")[0]
        remedy = (
            "delete requests that are no longer needed, or raise the quota; it is tried again each minute"
        )
        return Finding("QuotaExceeded", f"{what}: {_used_up(match, namespace)}", remedy)
    return Finding("FailedToCreate", refusal, "")


def _used_up(match: re.Match[str], namespace: str) -> str:
    name, asked, used, limited = match.groups()
    amounts = f"{asked} asked for, {used} used of {limited}"
    return f"quota {name} of namespace {namespace} is used up: {amounts}"


def quota(job: JobFacts) -> Finding | None:
    """The namespace's quota is used up, or requires something that the pod does not set."""
    why = job.event("FailedCreate")
    if match := _QUOTA.search(why):
        message = _used_up(match, job.namespace)
        remedy = (
            "wait for other pods to end (the Job tries again by itself), "
            f"lower spec.stages.{job.stage}.resources, or raise the quota"
        )
        return Finding("QuotaExceeded", message, remedy)
    if match := _MUST_SPECIFY.search(why):
        name, what = match.groups()
        message = f"quota {name} of namespace {job.namespace} requires every pod to set {shortened(what)}"
        return Finding(
            "QuotaExceeded",
            message,
            f"set them in spec.stages.{job.stage}.resources, or once for all in the profile's defaults",
        )
    return None


def limit_range(job: JobFacts) -> Finding | None:
    """A LimitRange of the namespace refuses what the pod asks for, or has filled in less than it asks for."""
    why = job.event("FailedCreate")
    subject = f"a LimitRange of namespace {job.namespace}"
    resources = f"spec.stages.{job.stage}.resources"
    otherwise = f"or change the LimitRange (`kubectl -n {job.namespace} describe limitrange`)"
    if match := _BELOW_REQUEST.search(why):
        asked, name, limit = match.groups()
        return Finding(
            "LimitRange",
            f"{subject} limits {name} to {limit}, and the stage requests {asked}",
            f"set {resources}.limits.{name} to {asked} or more, "
            f"or {resources}.requests.{name} to {limit} or less; {otherwise}",
        )
    if not _LIMIT_RANGE.search(why):
        return None
    remedies = [_fitting(resources, *match.groups()) for match in _BOUND.finditer(why)]
    remedies += [
        f"set {resources}.limits.{name} to at most {ratio} times its request"
        for name, ratio in _RATIO.findall(why)
    ]
    says = shortened(why.partition("forbidden: ")[2])
    return Finding("LimitRange", f"{subject} refuses the pod: {says}", "; ".join([*remedies, otherwise]))


def _fitting(resources: str, bound: str, name: str, per: str, value: str) -> str:
    """What to set for a pod to be within one bound of a LimitRange."""
    of_all = " in all containers together" if per == "Pod" else ""
    if bound == "minimum":
        return f"set {resources}.requests.{name} to at least {value}{of_all}"
    return f"set {resources}.limits.{name} to at most {value}{of_all}"


def pod_security(job: JobFacts) -> Finding | None:
    """Pod Security refuses the pod.

    The pod as it is built meets `restricted`, so something has changed it.
    """
    match = _POD_SECURITY.search(job.event("FailedCreate"))
    if match is None:
        return None
    message = f"Pod Security {match[1]} of namespace {job.namespace} refuses the pod: {shortened(match[2])}"
    remedy = "the pod as Tunesmith makes it meets `restricted`: look for a webhook that changes pods"
    return Finding("PodSecurity", message, remedy)


def service_account(job: JobFacts) -> Finding | None:
    """The ServiceAccount of the profile does not exist."""
    match = _SERVICE_ACCOUNT.search(job.event("FailedCreate"))
    if match is None:
        return None
    message = f"ServiceAccount {match[1]} of namespace {job.namespace} does not exist"
    command = f"`kubectl -n {job.namespace} create serviceaccount {match[1]}`"
    remedy = f"create it with {command}; the Job then continues by itself"
    return Finding("ServiceAccountMissing", message, remedy)


def classes(job: JobFacts) -> Finding | None:
    """A PriorityClass or RuntimeClass that the cluster does not have."""
    why = job.event("FailedCreate")
    if match := _PRIORITY_CLASS.search(why):
        remedy = f"set spec.stages.{job.stage}.priorityClassName to one of `kubectl get priorityclasses`"
        return Finding("PriorityClassMissing", f"the cluster has no PriorityClass {match[1]}", remedy)
    if match := _RUNTIME_CLASS.search(why):
        remedy = (
            f"set pods.{job.stage}.runtimeClassName in the profile to one of `kubectl get runtimeclasses`, "
            "or leave it out"
        )
        return Finding("RuntimeClassMissing", f"the cluster has no RuntimeClass {match[1]}", remedy)
    return None


def refused(job: JobFacts) -> Finding | None:
    """The API server refuses the pod for any other reason: a webhook, a LimitRange."""
    why = job.event("FailedCreate")
    if not why:
        return None
    text = why.removeprefix("Error creating: ")
    command = f"`kubectl -n {job.namespace} describe job {job.name}`"
    remedy = f"fix what it names; the Job tries again by itself ({command})"
    return Finding(
        "PodRefused", f"the API server refuses the pod of Job {job.name}: {shortened(text)}", remedy
    )


def deadline(job: JobFacts) -> Finding | None:
    """The Job has a deadline of its own, which somebody else set."""
    if job.reason != "DeadlineExceeded":
        return None
    remedy = (
        f"raise spec.stages.{job.stage}.activeDeadlineSeconds; the next attempt continues from what is saved"
    )
    return Finding("DeadlineExceeded", f"Job {job.name} was active longer than allowed", remedy, final=True)


def given_up(job: JobFacts) -> Finding | None:
    """The Job has failed, and its pods are gone or give no reason."""
    if not job.failed:
        return None
    message = f"Job {job.name} failed: {shortened(job.message) or 'it gives no reason'}"
    return Finding(
        job.reason or "JobFailed",
        message,
        "its pods are gone: see `tunesmith logs`, then set spec.retry to a new value",
        final=True,
    )
