"""Two writers of one status: this controller gives way."""

import dataclasses
from typing import Any

from tunesmith_controller.rivals import FREE, LAST_WAIT, Rivals

MINE = {"phase": "Running", "message": "", "metrics": [1.0]}


@dataclasses.dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def request(version: int, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"uid": "u", "name": "r", "namespace": "a", "resourceVersion": str(version)},
        "status": status,
    }


def test_each_status_that_somebody_else_has_written_doubles_the_wait() -> None:
    clock = Clock()
    rivals = Rivals(clock)
    waits = []
    for version in range(1, 2 * (FREE + 12), 2):
        rivals.wrote(request(version - 1), str(version), MINE)
        waits.append(rivals.wait(request(version + 1, phase="Failed")))
        clock.now += waits[-1]
    assert waits[: FREE + 3] == [0.0] * FREE + [1.0, 2.0, 4.0]
    assert waits[-1] == LAST_WAIT
    rivals.forget("u")
    assert rivals.wait(request(100, phase="Failed")) == 0.0


def test_edits_of_the_spec_and_echoes_are_no_rivals() -> None:
    rivals = Rivals(Clock())
    rivals.wrote(request(1), "2", MINE)
    for version in range(2, 20):
        assert rivals.wait(request(version, phase="Running", metrics=[1])) == 0.0, (
            "as the API server gives it back"
        )


def test_one_status_that_is_seen_again_and_again_counts_once() -> None:
    rivals = Rivals(Clock())
    rivals.wrote(request(1), "2", MINE)
    assert [rivals.wait(request(3, phase="Failed")) for _ in range(9)] == [0.0] * 9
