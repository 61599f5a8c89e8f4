"""How fast bytes come, and how long the rest takes."""

from tunesmith.pace import Pace
from tunesmith_cli.commands.screen import progress_text

MIB = 1 << 20


def test_what_has_come_lately_says_how_long_the_rest_takes():
    now = [0.0]
    pace = Pace(lambda: now[0])
    first = pace.progress("model", 50 * MIB, 100 * MIB)
    assert (first.eta, progress_text(first)) == (None, "model 50.0/100.0 MiB"), (
        "what was there before has no pace"
    )
    for _ in range(10):
        now[0] += 1
        pace.add(2 * MIB)
    later = pace.progress("model", 70 * MIB, 100 * MIB)
    assert (round(later.eta or 0), progress_text(later)) == (15, "model 70.0/100.0 MiB, 2.0 MiB/s")
    for _ in range(20):
        now[0] += 1
        pace.add(MIB // 2)
    assert round(pace.rate() / MIB, 1) == 0.5, "the first seconds count no more"
    now[0] += 60
    assert pace.rate() < MIB / 10, "a line that says nothing becomes slow"
