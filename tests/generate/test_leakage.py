"""What is in train, too: found, told with its partner, and refused only where the split could do better."""

import random

import pytest

from tunesmith.errors import BadData
from tunesmith.settings import Split
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.dedupe import jaccard, shingles
from tunesmith_jobs.generate.divide import divide, remarks
from tunesmith_jobs.generate.leakage import Nearest, check, nearest, nearest_rows
from tunesmith_jobs.generate.overlap import overlaps_of
from tunesmith_jobs.rows import Row, Turn

RNG = random.Random(11)


def words(count, prefix="w", rng=RNG):
    return " ".join(f"{prefix}{rng.randrange(5000)}" for _ in range(count))


def test_nearest_is_the_exact_highest_similarity_and_the_first_that_has_it():
    rng = random.Random(3)
    sets = [shingles(" ".join(rng.choice("abcde") for _ in range(40))) for _ in range(60)]
    found = nearest(sets[:20], sets[20:])
    for text, (similarity, at) in zip(sets[:20], found, strict=True):
        expected = [jaccard(text, other) for other in sets[20:]]
        assert similarity == max(expected)
        assert at == expected.index(max(expected))


def test_what_shares_nothing_is_like_nothing():
    assert nearest([shingles("one two three")], [shingles("four five six")]) == [(0.0, None)]
    assert nearest([], []) == []


OVERLAPS = {  # two texts -> 10-grams shared
    "ten words in common are one": ("a b c d e f g h i j", "x a b c d e f g h i j", 1),
    "nine are none": ("a b c d e f g h i", "a b c d e f g h i", 0),
    "case and signs do not count": ("A, b c d e f g h i j!", "a b c d e f g h i j", 1),
    "Chinese: ten characters": ("请问哪个字一年四季都不会", "哪个字一年四季都不会凋零", 1),
}


@pytest.mark.parametrize(("one", "other", "count"), OVERLAPS.values(), ids=OVERLAPS)
def test_overlaps(one, other, count):
    assert overlaps_of([one, other]).shared == ({(0, 1): count} if count else {})


def test_what_many_rows_have_is_no_copy():
    answer = words(30)
    assert overlaps_of([f"{words(12)} {answer}" for _ in range(3)]).copies() == [(0, 1), (0, 2), (1, 2)]
    assert overlaps_of([f"{words(12)} {answer}" for _ in range(4)]).shared == {}


def test_of_very_many_words_a_sample_is_looked_at_that_is_the_same_in_all_rows(monkeypatch):
    texts = [words(400) for _ in range(20)]
    texts += texts[:5]
    monkeypatch.setattr("tunesmith_jobs.generate.overlap.MOST", 2000)
    overlaps = overlaps_of(texts)
    assert sum(overlaps.sizes) < 4000
    assert overlaps.copies() == [(at, at + 20) for at in range(5)]


ROWS = [
    Nearest(row=0, similarity=0.83, like=2, overlap=0.0, copy_of=None),
    Nearest(row=1, similarity=0.2, like=2, overlap=0.6, copy_of=3),
]
PROMPTS = ["the first", "the second " * 20, "the third", "the fourth"]


def test_leaked_rows_are_named_with_their_partners():
    with pytest.raises(BadData) as error:
        check(ROWS, ["l1", "l2", "l3", "l4"], PROMPTS, promised=0.5)
    assert (error.value.reason, error.value.exit_code) == ("Leakage", 65)
    assert error.value.message.startswith("2 of 2 rows of test and validation")
    assert [problem.path for problem in error.value.problems] == ["l1", "l2"]
    assert "0.83 like train row l3: the third" in error.value.problems[0].why
    assert "60% in train row l4" in error.value.problems[1].why
    assert error.value.remedy


FINE = {
    "nothing could be promised": (ROWS, 1.0),
    "less like than what was promised": ([ROWS[0]], 0.9),
    "below a leak": ([Nearest(0, 0.69, 2, 0.49, 3)], 0.5),
}


@pytest.mark.parametrize(("rows", "promised"), FINE.values(), ids=FINE)
def test_what_the_split_could_not_avoid_is_no_error(rows, promised):
    check(rows, ["l1", "l2", "l3", "l4"], PROMPTS, promised=promised)


def test_a_bad_split_is_found_by_looking_at_the_rows_alone():
    prompts = [words(20) for _ in range(10)]
    prompts.append(prompts[3] + " soon")
    answers = [words(40) for _ in range(11)]
    answers.append(answers[5])
    prompts.append(words(20))
    texts = [shingles(prompt) for prompt in prompts]
    overlaps = overlaps_of([f"{prompt}\n{answer}" for prompt, answer in zip(prompts, answers, strict=True)])
    found = nearest_rows([10, 11], range(10), texts, overlaps)
    assert (found[0].like, found[0].similarity > 0.9) == (3, True)
    assert (found[1].copy_of, found[1].overlap > 0.5, found[1].similarity) == (5, True, 0.0)
    with pytest.raises(BadData, match="2 of 2 rows"):
        check(found, [str(key) for key in range(12)], prompts, promised=0.5)


def dataset_of(pairs, near=1.0, topics=None, **more):
    dataset = Dataset(near)
    for number, (prompt, response) in enumerate(pairs):
        dataset.offer(Row(id=f"l{number}", prompt=prompt, response=response, **more))
    return dataset


HONEST = {  # datasets that people have, which must pass, and be divided 9 to 1
    "labels as answers": lambda: [(words(15), RNG.choice(["billing", "bug", "account"])) for _ in range(100)],
    "answers that many share word for word": lambda: [
        (
            words(15),
            f"Dear customer, {' '.join(['please reset your password as the page says'] * 4)} {at % 8}",
        )
        for at in range(100)
    ],
    "one template for all prompts": lambda: [
        (f"Classify the following customer message into one of the five categories below: {words(4)}", "bug")
        for _ in range(100)
    ],
    "arithmetic": lambda: [
        (f"What is {one} plus {two}?", str(one + two)) for one in range(10) for two in range(10)
    ],
    "one long passage in all prompts": lambda: [
        (f"{' '.join(f'p{number}' for number in range(200))} {words(8)}", words(12)) for _ in range(100)
    ],
    "short prompts": lambda: [(f"{words(1)} {words(1)}", words(1)) for _ in range(100)],
    "Chinese": lambda: [
        ("".join(chr(RNG.randrange(0x4E00, 0x9000)) for _ in range(25)), "好的") for _ in range(100)
    ],
    "a template of each topic": lambda: [
        (f"{' '.join(f't{at % 12}x{number}' for number in range(15))} {words(5)}", words(20))
        for at in range(100)
    ],
}


@pytest.mark.parametrize("pairs", HONEST.values(), ids=HONEST)
def test_honest_datasets_are_divided_and_pass(pairs):
    dataset = dataset_of(pairs())
    parts, found = divide(dataset, Split())
    assert len(dataset.rows) > 90
    assert abs(len(parts.test) - len(dataset.rows) / 10) <= 1
    assert len(found) == len(parts.test)


def test_planted_leaks_end_on_one_side():
    rng = random.Random(1)
    base = [(words(40, rng=rng), words(60, rng=rng)) for _ in range(400)]
    copies = [(f"{prompt} {words(2, rng=rng)}", response) for prompt, response in base[:40]]
    reworded = [(words(40, rng=rng), response) for _, response in base[40:60]]
    dataset = dataset_of(base + copies + reworded)
    parts, found = divide(dataset, Split(validation=0.1))
    side = {key: name for name in ("train", "validation", "test") for key in getattr(parts, name)}
    assert all(side[at] == side[400 + at] for at in range(60))
    assert max(each.similarity for each in found) < 0.5
    assert (len(parts.test), len(parts.validation)) == (46, 46)


def test_rows_of_one_conversation_stay_together():
    dataset = Dataset(1.0)
    for at in range(40):
        history = (Turn(role="user", content=words(9)), Turn(role="assistant", content=words(9)))
        first, answer = history[0].content, history[1].content
        dataset.offer(Row(id=f"a{at}", prompt=first, response=answer))
        dataset.offer(Row(id=f"b{at}", history=history, prompt=words(30), response=words(5)))
    parts, _ = divide(dataset, Split(test=0.3))
    names = [dataset.rows[key].id for key in parts.test]
    assert {name[1:] for name in names if name[0] == "a"} == {name[1:] for name in names if name[0] == "b"}


def test_a_prompt_under_two_system_messages_stays_on_one_side():
    dataset = Dataset(0.7)
    for at in range(40):
        prompt = words(12)
        for system in ("pirate", "clerk"):
            dataset.offer(Row(id=f"{at} {system}", prompt=prompt, response=system, system=system))
    parts, _ = divide(dataset, Split(test=0.2))
    names = [dataset.rows[key].id.split()[0] for key in parts.test]
    assert len(names) == 16
    assert all(names.count(name) == 2 for name in names)


def test_near_copies_that_answer_otherwise_are_worth_a_warning():
    template = " ".join(f"t{number}" for number in range(30))
    dataset = dataset_of([(f"{template} {at}", str(at)) for at in range(40)], near=0.7)
    assert len(dataset.rows) == 1
    parts, _ = divide(dataset_of([(words(9), "a") for _ in range(20)]), Split())
    [remark] = remarks(dataset, parts)
    assert "39 of 40 rows" in remark
    assert "data.nearDuplicates: 1" in remark
