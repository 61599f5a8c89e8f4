"""Cells: balanced in every prefix, and none depends on another."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith_jobs.generate.dataset_plan import Axis, DatasetPlan, cell_at


def plan(topics, values):
    axes = [
        Axis(name=f"axis{number}", values=tuple(f"v{value}" for value in range(count)))
        for number, count in enumerate(values)
    ]
    return DatasetPlan(
        prompts="p",
        responses="r",
        topics=tuple(f"t{topic}" for topic in range(topics)),
        axes=tuple(axes),
        difficulties=("e", "h"),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30), st.lists(st.integers(2, 9), max_size=4), st.integers(0, 2**32), st.integers(1, 120)
)
def test_in_any_first_n_cells_each_value_comes_as_often_as_every_other_give_or_take_one(
    topics, values, seed, count
):
    cells = [cell_at(plan(topics, values), seed, index) for index in range(count)]
    for column in zip(
        *([cell.topic, cell.difficulty, *(value for _, value in cell.values)] for cell in cells), strict=True
    ):
        seen = Counter(column)
        assert max(seen.values()) - min(seen.values()) <= 1


def test_a_cell_is_the_same_whenever_it_is_asked_for():
    fixed = plan(7, [3, 4])
    assert [cell_at(fixed, 42, 55)] * 2 == [cell_at(fixed, 42, index) for index in (55, 55)]
    assert cell_at(fixed, 42, 5).topic == "t0"  # pinned: another order would ask for paid answers anew
    assert cell_at(fixed, 42, 5).values == (("axis0", "v0"), ("axis1", "v0"))


def test_axes_are_drawn_independently_of_each_other():
    square = plan(5, [5])
    seen = {(cell.topic, cell.values[0][1]) for cell in (cell_at(square, 1, index) for index in range(200))}
    assert len(seen) == 25


def test_another_seed_gives_another_order():
    assert [cell_at(plan(9, []), 1, i).topic for i in range(9)] != [
        cell_at(plan(9, []), 2, i).topic for i in range(9)
    ]
