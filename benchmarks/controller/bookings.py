"""How long a place takes to be given back and taken, among thousands that wait."""

import time
from dataclasses import replace

from tunesmith.profile import Limits
from tunesmith_controller.decide.admission import Admission, Candidate

COUNT = 200
_AT_WORK = 250


def measure(requests: int = 5000, namespaces: int = 500) -> float:
    """Seconds of the longest booking: a place is given back, the next in line is told its turn and takes it,
    and another one is told its place.
    """
    limits = Limits(requests=_AT_WORK, requestsPerNamespace=5, gpuJobs=50)
    admission = Admission({"default": limits})
    for number in range(requests):
        admission.put(_candidate(number, namespaces))
    list(admission.called())
    return max(_booking(admission, number, requests) for number in range(COUNT))


def _candidate(number: int, namespaces: int) -> Candidate:
    return Candidate(
        uid=f"uid-{number}",
        namespace=f"team-{number % namespaces}",
        name=f"r{number}",
        profile="default",
        created=f"2026-11-23T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        at_work=number < _AT_WORK,
        waits_for_gpu=number % 3 == 0,
    )


def _booking(admission: Admission, number: int, requests: int) -> float:
    begun = time.perf_counter()
    admission.drop(f"uid-{number}")
    for uid in list(admission.called()):
        admission.turn(uid)
        admission.put(replace(admission.candidates[uid], at_work=True))
    admission.turn(f"uid-{requests - 1 - number}")
    return time.perf_counter() - begun
