"""Answers that were written apart, and what they come to."""

import pytest

from tunesmith_jobs.generate.agreement import agreed, final_answer

SAME = {
    "case and blanks": ("Paris", " paris \n"),
    "a full stop": ("Paris.", "Paris"),
    "numbers": ("1,200", "1200.0"),
    "long numbers": ("12345678901234567891", "12,345,678,901,234,567,891"),
    "JSON": ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}'),
    "a marked answer": ("First we add. Answer: 42", "Two and forty are 42.\n\n**Answer:** 42."),
    "a marked answer in German": ("Wir rechnen. Ergebnis: 7", "Also gilt:\nErgebnis: **7**"),
    "a marked answer in Chinese": ("先加。答案：42", "所以\n答案: 42"),
    "final answer is": ("So the final answer is: time", "It never stops.\nFinal answer: Time"),
    "boxed": (r"Hence \boxed{\frac{1}{2}}.", r"We get \boxed{\frac{1}{2}}"),
    "the number in the last line of a longer text": (
        "There are three boxes with four lamps each, and so there are\nin all 12 lamps.",
        "Each of the three boxes has four lamps. Three times four is:\nThe total is 12.",
    ),
}
DIFFERENT = {
    "words": ("Paris", "Lyon"),
    "numbers": ("12", "13"),
    "a sign": ("-5", "5"),
    "JSON": ('{"a": 1}', '{"a": 2}'),
    "marked answers after the same way": ("The way is long. Answer: 42", "The way is long. Answer: 43"),
    "short texts with the same number": ("5 apples", "5 pears"),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME)
def test_the_same(first, second):
    assert final_answer(first) == final_answer(second)


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT)
def test_different(first, second):
    assert final_answer(first) != final_answer(second)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["a"], True),
        (["b"], False),
        (["a", "b"], True),
        (["b", "b"], False),
        (["b", "c"], False),
        (["a", "b", "c", "a"], True),
        (["a", "b", "c", "d"], False),
        (["a", "b", "b", "a"], True),
    ],
)
def test_more_than_half_must_agree(others, expected):
    assert agreed("a", others) is expected


@pytest.mark.parametrize(
    "text", ["", "\n\n", "[" * 100_000, '{"a": NaN}', "答案：", "\\boxed{", "1" * 10_000]
)
def test_any_text_comes_to_something(text):
    assert isinstance(final_answer(text), str)
