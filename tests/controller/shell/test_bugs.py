"""When a request on which the controller fails is given up."""

from typing import Any

from tunesmith_controller.bugs import LEAST, MOST, TIMES, Bugs, bug_id


def request(generation: int = 1, uid: str = "u") -> dict[str, Any]:
    return {"metadata": {"name": "r", "namespace": "a", "uid": uid, "generation": generation}}


def raised(divisor: object = 0) -> Exception:
    try:
        1 / divisor  # type: ignore[operator]
    except (ZeroDivisionError, TypeError) as error:
        return error
    raise AssertionError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_same_failure_three_times_over_some_seconds_gives_a_request_up() -> None:
    clock = Clock()
    bugs = Bugs(clock)
    for _ in range(TIMES + 2):
        bugs.add(request(), raised())
    assert bugs.given_up(request()) == "", "for a moment it may be the process itself"
    clock.now = LEAST
    bug = bugs.add(request(), raised())
    assert bugs.given_up(request()) == bug
    assert len(bug) == 8
    assert bugs.add(request(), raised("text")) != bug
    assert bugs.given_up(request()) == bug, "the first one stays"
    assert bugs.given_up(request(uid="another")) == ""


def test_an_edit_a_success_or_a_restart_tries_again() -> None:
    clock = Clock()
    bugs = Bugs(clock)

    def fail() -> None:
        for clock.now in (0.0, 1.0, LEAST):
            bugs.add(request(), raised())
        assert bugs.given_up(request())

    fail()
    assert bugs.given_up(request(generation=2)) == ""
    bugs.clear("u")
    assert bugs.given_up(request()) == ""
    fail()
    assert Bugs(clock).given_up(request()) == ""


def test_failures_of_many_kinds_give_it_up_too() -> None:
    clock = Clock()
    bugs = Bugs(clock)
    clock.now = LEAST
    bugs.add(request(), raised())
    clock.now = 2 * LEAST
    kinds = [type(f"Bug{number}", (Exception,), {}) for number in range(MOST)]
    for kind in kinds[:-2]:
        bugs.add(request(), kind())
    assert bugs.given_up(request()) == ""
    bugs.add(request(), kinds[-2]())
    assert bugs.given_up(request())


def test_an_id_stands_for_type_place_and_request() -> None:
    assert bug_id(request(), raised()) == bug_id(request(), raised())
    assert bug_id(request(), raised()) != bug_id(request(), raised("text"))
    assert bug_id(request(), raised()) != bug_id(request(uid="v"), raised())
    assert bug_id(request(), ValueError("never raised"))
