"""What the page says. How it looks: test_report_in_browser.py."""

import itertools
import re

import pytest
from reports import HOSTILE, answer, report

from tunesmith_jobs.evaluate import charts
from tunesmith_jobs.evaluate.page import duration, render, share, size
from tunesmith_jobs.evaluate.report import Figure, Teacher


def words(page: str) -> str:
    """The page's text, blanks made single."""
    body = page[page.index("<body>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


SAID = [
    "The new model is better.",
    "6 of 6 test answers are exactly right (base model: 0).",
    "Turn a support message into JSON.",
    "Given a support message, you will answer with a JSON object.",
    "fell by 2.096 (95 % interval 1.950 to 2.230), n = 13",
    "gain +92 points (95 % interval +77 to +100), n = 13",
    "Loss on the test rows: 0.110 with the adapter on the base model as it was trained, "
    "0.117 merged into the original weights.",
    "gpt-4.1",
    "unknown (no price for gpt-4.1)",
    "training.loraR",
    "near duplicate",
    "2 min 47 s",
    "hf://org/model@main",
    "tunesmith infer tickets &#39;Message 0&#39; --compare",
    "tunesmith fetch tickets --to DIR",
    "vllm serve DIR/model --served-model-name tickets",
]


@pytest.mark.parametrize("text", SAID)
def test_the_page_says(text):
    assert text in words(render(report()))


def test_what_models_and_data_say_is_shown_and_never_run():
    page = render(
        report(
            task=HOSTILE,
            system_message=HOSTILE,
            answers=(
                answer(
                    1, prompt=HOSTILE, expected=HOSTILE, base=HOSTILE, merged=HOSTILE, wrong_form_base=HOSTILE
                ),
            ),
            data={
                "examples": [{"prompt": HOSTILE, "response": HOSTILE}],
                "coverage": {HOSTILE: {"values": {HOSTILE: 3}}},
                "rejected": {HOSTILE: 1},
                "rejectedExamples": {HOSTILE: [{"detail": HOSTILE, "prompt": HOSTILE, "response": HOSTILE}]},
            },
            teacher=Teacher(name=HOSTILE),
        )
    )
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") >= 10


def test_the_page_needs_nothing_but_itself():
    page = render(report())
    assert "default-src 'none'" in page
    assert not re.search(r'(src|href)="(?!data:,)', page)
    assert "@import" not in page
    assert "url(" not in page


def test_three_answers_are_seen_and_the_rest_is_folded():
    page = render(report(answers=tuple(answer(number) for number in range(100))))
    assert words(page).count("✓ exactly right") == 100
    folded = page.index("<summary>97 more</summary>")
    assert page.index("Message 2") < folded < page.index("Message 3")


def test_a_huge_answer_is_folded_with_its_length():
    assert "all 100,000 characters" in words(render(report(answers=(answer(1, base="x" * 100_000),))))


def test_wrong_answers_say_what_is_wrong_with_their_form():
    wrong = "$: 'category' is a required property"
    only = answer(1, merged="{}", exact_merged=False, wrong_form_merged=wrong)
    text = words(render(report(answers=(only,))))
    assert "New model ✗ differs ✗ wrong form" in text
    assert "&#39;category&#39; is a required property" in text


COSTS = {  # teacher -> what was paid
    "no price": (Teacher(name="m", calls=3), "unknown (no price for m)"),
    "a price": (Teacher(name="m", calls=3, usd=0.01234), "0.0123 US dollars"),
    "a scripted teacher": (Teacher(name="s", scripted=True, calls=3), "nothing (scripted)"),
    "own data": (Teacher(origin="s3://b/data.csv"), "none was asked"),
}


@pytest.mark.parametrize(("teacher", "text"), COSTS.values(), ids=COSTS)
def test_what_was_paid(teacher, text):
    assert text in words(render(report(teacher=teacher)))


def test_a_scripted_teacher_is_called_scripted():
    text = words(render(report(teacher=Teacher(name="demo-scripted", scripted=True))))
    assert "demo-scripted , a scripted teacher: it composes them by rule and is not a language model." in text
    assert "scripted, not a language model" in text


def test_a_run_that_reported_next_to_nothing_still_has_a_page():
    bare = report(
        figures=(), answers=(), curve=(), data={}, teacher=Teacher(), training={}, merge={}, notes=()
    )
    assert "Nothing was asked" in words(render(bare))
    assert "Training left no loss curve" in words(render(bare))


FLAT = [
    (0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0),
    (-1.0, -1.0, -1.0),
    (0.5, -0.1, 0.9),
    (-0.5, -0.9, 0.1),
    (0.2, 0.0, 0.4),
]


@pytest.mark.parametrize(("value", "low", "high"), FLAT)
def test_every_interval_can_be_drawn_inside_its_picture(value, low, high):
    drawn = charts.interval(value, low, high, title="t")
    across = [float(x) for x in re.findall(r'(?:x1|x2|cx|x)="([-0-9.]+)"', drawn)]
    assert 0 <= min(across) <= max(across) <= 260


def test_one_row_has_no_interval():
    figure = Figure(metric="exactMatch", base=0, merged=1, gain=1, low=None, high=None, rows=1)
    assert "gain +100 points (no interval), n = 1" in words(render(report(figures=(figure,))))


TICKS = {
    (0, 2.2): [0, 0.5, 1, 1.5, 2, 2.5],
    (0, 60): [0, 20, 40, 60],
    (3, 3): [2.4, 2.6, 2.8, 3, 3.2, 3.4, 3.6],
    (0.0012, 0.0019): None,
}


@pytest.mark.parametrize(("low", "high"), TICKS)
def test_ticks_are_round_and_cover_the_range(low, high):
    values = charts.ticks(low, high)
    assert values[0] <= low
    assert values[-1] >= high
    assert 3 <= len(values) <= 8
    steps = {round(later - sooner, 9) for sooner, later in itertools.pairwise(values)}
    assert len(steps) == 1


def test_one_point_is_a_curve_too():
    assert "<svg" in charts.lines(
        [charts.Series("train", "train", [(5, 0.3)])],
        width=340,
        height=250,
        x_label="x",
        y_label="y",
        title="t",
    )


def test_no_gain_has_no_sign():
    figure = Figure(metric="exactMatch", base=0, merged=0, gain=0, low=0, high=0, rows=3)
    assert "gain 0 points (95 % interval 0 to 0), n = 3" in words(render(report(figures=(figure,))))


def test_numbers_in_words():
    assert [share(value) for value in (0, 0.5, 0.996, 1)] == [
        "0\u00a0%",
        "50\u00a0%",
        "99.6\u00a0%",
        "100\u00a0%",
    ]
    assert [duration(value) for value in (9.2, 167, 7260)] == ["9.2 s", "2 min 47 s", "2 h 1 min"]
    assert [size(value) for value in (12, 269_000_000)] == ["12 B", "269.0 MB"]
