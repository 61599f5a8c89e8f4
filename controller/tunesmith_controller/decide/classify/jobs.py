"""What a Job itself says: pods that the API server does not let it make, and why it gave up."""

import re

from tunesmith_controller.decide.classify.facts import Finding, JobFacts, shortened

_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")
_MUST_SPECIFY = re.compile(r"failed quota: ([^:]+): must specify (.+)$")
_POD_SECURITY = re.compile(r"violates PodSecurity \"([^\"]+)\": (.+)$")
_SERVICE_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found')
_PRIORITY_CLASS = re.compile(r"no PriorityClass with name (\S+) was found")
_RUNTIME_CLASS = re.compile(r"RuntimeClass \"([^\"]+)\" not found")


def quota(job: JobFacts) -> Finding | None:
    """The namespace's quota is used up, or wants what the pod does not say."""
    why = job.event("FailedCreate")
    if found := _QUOTA.search(why):
        name, asked, used, limited = found.groups()
        message = f"quota {name} of namespace {job.namespace} is used up: {asked} asked for, {used} used of {limited}"
        remedy = f"wait for other pods to end (the Job tries again by itself), lower spec.stages.{job.stage}.resources, or raise the quota"
        return Finding("QuotaExceeded", message, remedy)
    if found := _MUST_SPECIFY.search(why):
        name, what = found.groups()
        message = f"quota {name} of namespace {job.namespace} wants every pod to say {shortened(what)}"
        return Finding(
            "QuotaExceeded",
            message,
            f"set them in spec.stages.{job.stage}.resources, or once for all in the profile's defaults",
        )
    return None


def pod_security(job: JobFacts) -> Finding | None:
    """Pod Security refuses the pod: something beside the stage's own pod, which meets `restricted`."""
    if (found := _POD_SECURITY.search(job.event("FailedCreate"))) is None:
        return None
    message = f"Pod Security {found[1]} of namespace {job.namespace} refuses the pod: {shortened(found[2])}"
    remedy = "the pod as Tunesmith makes it meets `restricted`: look for a webhook that changes pods"
    return Finding("PodSecurity", message, remedy)


def service_account(job: JobFacts) -> Finding | None:
    """The ServiceAccount of the profile is not there."""
    if (found := _SERVICE_ACCOUNT.search(job.event("FailedCreate"))) is None:
        return None
    message = f"ServiceAccount {found[1]} of namespace {job.namespace} does not exist"
    remedy = f"make it with `kubectl -n {job.namespace} create serviceaccount {found[1]}`; the Job then goes on by itself"
    return Finding("ServiceAccountMissing", message, remedy)


def classes(job: JobFacts) -> Finding | None:
    """A PriorityClass or RuntimeClass that the cluster does not have."""
    why = job.event("FailedCreate")
    if found := _PRIORITY_CLASS.search(why):
        remedy = f"set spec.stages.{job.stage}.priorityClassName to one of `kubectl get priorityclasses`"
        return Finding("PriorityClassMissing", f"the cluster has no PriorityClass {found[1]}", remedy)
    if found := _RUNTIME_CLASS.search(why):
        remedy = f"set pods.{job.stage}.runtimeClassName in the profile to one of `kubectl get runtimeclasses`, or leave it out"
        return Finding("RuntimeClassMissing", f"the cluster has no RuntimeClass {found[1]}", remedy)
    return None


def refused(job: JobFacts) -> Finding | None:
    """Any other reason not to let a pod be made: a webhook, a LimitRange."""
    why = job.event("FailedCreate")
    if not why:
        return None
    text = why.removeprefix("Error creating: ")
    remedy = f"mend what it names; the Job tries again by itself (`kubectl -n {job.namespace} describe job {job.name}`)"
    return Finding(
        "PodRefused", f"the API server refuses the pod of Job {job.name}: {shortened(text)}", remedy
    )


def deadline(job: JobFacts) -> Finding | None:
    """Somebody gave the Job a deadline of its own."""
    if job.reason != "DeadlineExceeded":
        return None
    remedy = (
        f"raise spec.stages.{job.stage}.activeDeadlineSeconds; the next attempt goes on from what is saved"
    )
    return Finding("DeadlineExceeded", f"Job {job.name} was active longer than it may", remedy, final=True)


def given_up(job: JobFacts) -> Finding | None:
    """The Job has failed and its pods are gone, or say nothing."""
    if not job.failed:
        return None
    message = f"Job {job.name} failed: {shortened(job.message) or 'it does not say why'}"
    return Finding(
        job.reason or "JobFailed",
        message,
        "its pods are gone: see `tunesmith logs`, then set spec.retry to a new value",
        final=True,
    )
