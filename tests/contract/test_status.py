"""What a status takes in from pods, clusters and endpoints."""

from tunesmith.status import Condition, Status

HOSTILE = "\x1b[31mred\x1b[0m\r\x00\x07 \u202eabc\n   reason: Complete"
HARMLESS = "red abc\n   reason: Complete"


def test_a_status_holds_nothing_that_a_terminal_obeys() -> None:
    condition = Condition(
        type="Failed", status="True", reason="Crashed", message=HOSTILE, lastTransitionTime=""
    )
    status = Status(message=HOSTILE, conditions=(condition,))
    assert status.message == status.conditions[0].message == HARMLESS
