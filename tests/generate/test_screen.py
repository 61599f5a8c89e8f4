"""What pairs are asked before they become rows: language, form, a judge, answers written apart."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest
from scripted import PATIENT, spec, teacher

from tunesmith.errors import TryAgain
from tunesmith.request import Spec
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.dataset_plan import DatasetPlan, cell_at
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.generate.judge import JUDGE, JUDGE_AGAIN
from tunesmith_jobs.generate.screen import Screen
from tunesmith_jobs.generate.usable_answers import USELESS_MOST, Unusable
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.teacher.calls import Answer

PLAN = DatasetPlan(
    language="German", response_language="German", prompts="kurze Fragen", responses="ein Satz", topics=("a",)
)
QUESTION = "Wie lange dauert die Lieferung meines neuen Wasserkochers, bitte?"
REPLY = "Die Lieferung dauert bei uns in der Regel zwei bis drei Werktage."
ENGLISH = "The delivery usually takes two or three working days with us."


def teacher_saying(pair, *, verdicts=(), answers=()):
    """An `ask` that gives one pair, then these verdicts and further answers; and what it was asked."""
    asked = Counter()

    async def ask(call):
        system = call.messages[0][1]
        kind = {JUDGE: "judge", JUDGE_AGAIN: "judge again", prompts.PAIRS: "pairs"}.get(system, "answer")
        asked[kind] += 1
        content = {
            "pairs": json.dumps({"pairs": [dict(zip(("prompt", "response"), pair, strict=True))]}),
            "judge": verdicts[2 * call.sample] if verdicts else "",
            "judge again": verdicts[-1 if len(verdicts) < 3 else 1] if verdicts else "",
            "answer": answers[call.sample - 1] if kind == "answer" else "",
        }[kind]
        return Answer(
            raw="", content=content, finish_reason="stop", refusal="", input_tokens=1, output_tokens=1
        )

    return ask, asked


def screened(ask, plan=PLAN, task="A German shop's assistant.", evaluation=None, **data):
    """What a screen finds in the one pair that is written."""
    document = {"task": task, "model": {"base": "b"}, "data": data, "evaluation": evaluation or {}}
    asked_for = Spec.model_validate(document)
    dataset = Dataset(0.7, system_message="Antworte.", plan=plan)
    with answer_check(asked_for.evaluation.format) as form:
        screen = Screen(ask, asked_for, dataset, form)
        call = prompts.cell_call(asked_for, plan or PLAN, cell_at(plan or PLAN, 42, 0))
        return asyncio.run(screen.pairs(call, 1))


def found(ask, **options):
    [pair] = screened(ask, **options).pairs
    return pair.fault[0] if pair.fault else None


def test_a_row_in_the_wanted_language_is_taken():
    ask, asked = teacher_saying((QUESTION, REPLY))
    assert found(ask) is None
    assert asked == {"pairs": 1}


@pytest.mark.parametrize(
    ("pair", "plan", "reason"),
    [
        ((QUESTION, ENGLISH), PLAN, "language"),
        (("How long does the delivery of my kettle take, please?", REPLY), PLAN, "language"),
        ((QUESTION, ENGLISH), PLAN.model_copy(update={"response_language": "English"}), None),
        ((QUESTION, REPLY), PLAN.model_copy(update={"response_language": "English"}), "language"),
        ((QUESTION, ENGLISH), PLAN.model_copy(update={"response_language": ""}), None),
        ((QUESTION, ENGLISH), PLAN.model_copy(update={"response_language": None}), "language"),
        ((QUESTION, ENGLISH), PLAN.model_copy(update={"language": "", "response_language": None}), None),
        ((QUESTION, ENGLISH), None, None),
    ],
    ids=["response", "prompt", "other wanted", "other missed", "any", "not said", "no language", "no plan"],
)
def test_a_row_in_another_language(pair, plan, reason):
    assert found(teacher_saying(pair)[0], plan=plan) == reason


def test_a_task_about_languages_may_be_answered_in_any_if_the_plan_does_not_say():
    plan = PLAN.model_copy(update={"response_language": None})
    assert found(teacher_saying((QUESTION, ENGLISH))[0], plan=plan, task="Translate into English.") is None


@pytest.mark.parametrize(
    ("wanted", "response", "reason"),
    [
        ({"regex": "(ja|nein)"}, "ja", None),
        ({"regex": "(ja|nein)"}, "vielleicht", "format"),
        ({"jsonSchema": {"type": "object", "required": ["a"]}}, '{"a": 1}', None),
        ({"jsonSchema": {"type": "object", "required": ["a"]}}, '{"b": 1}', "format"),
        ({"jsonSchema": {"type": "object"}}, "Gern: {}", "format"),
    ],
)
def test_a_row_that_its_own_request_calls_unusable_is_none(wanted, response, reason):
    assert found(teacher_saying((QUESTION, response))[0], evaluation={"format": wanted}) == reason


def test_the_teacher_is_told_the_form():
    form = {"jsonSchema": {"type": "object", "required": ["ä"]}}
    document = {"task": "t", "model": {"base": "b"}, "evaluation": {"format": form}}
    asked_for = Spec.model_validate(document)
    for call in (prompts.plan_call(asked_for, 0), prompts.cell_call(asked_for, PLAN, cell_at(PLAN, 42, 0))):
        assert '"required": ["ä"]' in call.messages[-1][1]


def verdict(score):
    return json.dumps({"reason": "so", "score": score})


@pytest.mark.parametrize(
    ("scores", "threshold", "reason", "calls"),
    [
        ((5,), 4, None, {"judge": 1}),
        ((4,), 4, None, {"judge": 1}),
        ((3, 5, 5), 4, None, {"judge": 2, "judge again": 1}),
        ((3, 5, 2), 4, "judged", {"judge": 2, "judge again": 1}),
        ((3, 2), 4, "judged", {"judge": 1, "judge again": 1}),
        ((3,), 3, None, {"judge": 1}),
        ((4, 4), 5, "judged", {"judge": 1, "judge again": 1}),
    ],
)
def test_a_judge_leaves_a_row_out_only_when_two_verdicts_are_against_it(scores, threshold, reason, calls):
    ask, asked = teacher_saying((QUESTION, REPLY), verdicts=[verdict(score) for score in scores])
    [pair] = screened(ask, judge={"threshold": threshold}).pairs
    assert (pair.fault and pair.fault[0]) == reason
    assert asked == {"pairs": 1, **calls}
    assert pair.verdict is not None
    assert pair.verdict.score == scores[-1]


def test_a_row_without_a_verdict_is_none():
    ask, asked = teacher_saying((QUESTION, REPLY), verdicts=["I cannot say."])
    assert found(ask, judge={"threshold": 4}) == "notJudged"
    assert asked["judge"] == 2, "what cannot be read is asked for once more"


def test_what_is_free_comes_before_what_is_paid_for():
    ask, asked = teacher_saying((QUESTION, ENGLISH), verdicts=[verdict(5)], answers=["x", "x"])
    assert found(ask, judge={"threshold": 4}, agreement=2) == "language"
    assert asked == {"pairs": 1}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["Also: Antwort: 42", "Antwort: 42"], None),
        (["Antwort: 42", "Antwort: 41"], None),
        (["Antwort: 41", "Antwort: 41"], "disagreement"),
        (["Antwort: 41", "Antwort: 40"], "disagreement"),
    ],
)
def test_answers_that_were_written_apart_must_agree(answers, reason):
    ask, asked = teacher_saying((QUESTION, "Zwei und vierzig sind es. Antwort: 42"), answers=answers)
    assert found(ask, agreement=2) == reason
    assert asked["answer"] == 2


def test_an_answer_that_cannot_be_read_is_no_pair():
    ask, _ = teacher_saying((QUESTION, REPLY))

    async def nothing(call):
        return replace(await ask(call), content="no")

    assert isinstance(screened(nothing), Unusable)


# With the whole stage


def test_rows_keep_their_verdict_and_the_report_shows_what_was_left_out(stage_for):
    with teacher() as server:
        stage = stage_for(spec(server.url, 20, judge={"threshold": 4}))
        manifest, _ = stage.commit(generate(stage, PATIENT))
        assert server.answered >= 42, "a verdict for each row"

    def read(name):
        return stage.store.read(f"{manifest.folder}/{name}")

    assert all(json.loads(line)["verdict"]["score"] == 5 for line in read("train.jsonl").splitlines())
    report = json.loads(read("report.json"))
    assert report["rejectedExamples"].keys() == report["rejected"].keys()


def test_rows_of_the_wrong_form_in_a_row_stop_the_spending(stage_for):
    with teacher() as server:
        document = spec(server.url, 200, teacher={"maxConcurrency": 1})
        document["evaluation"] = {"format": {"regex": "never"}}
        with pytest.raises(TryAgain, match=r"of no use: evaluation\.format: does not match") as error:
            asyncio.run(dataset_from_teacher(stage_for(document), PATIENT))
        assert error.value.reason == "TeacherUnusable"
        assert server.answered <= USELESS_MOST + 2 + 8


OWN_PLAN = {
    "language": "English",
    "prompts": "a message of a customer",
    "responses": "JSON",
    "topics": ["radios", "lamps"],
    "personas": ["a child", "a clerk"],
}


def test_the_requests_own_plan_is_followed_and_no_other_is_paid_for(stage_for):
    with teacher() as server:
        stage = stage_for(spec(server.url, 20, plan=OWN_PLAN))
        dataset = asyncio.run(dataset_from_teacher(stage, PATIENT))
        assert server.answered == 20 + 1, "a system message"
        assert not [text for text in server.asked_for if prompts.PLAN[:40] in text]
    assert dataset.coverage["topic"] == {"radios": 10, "lamps": 10}
    assert dataset.coverage["persona"] == {"a child": 10, "a clerk": 10}


def test_a_share_of_the_pairs_is_written_again(stage_for):
    with teacher() as server:
        stage = stage_for(spec(server.url, 40, plan=OWN_PLAN, evolve=0.5))
        dataset = asyncio.run(dataset_from_teacher(stage, PATIENT))
        written_again = [text for text in server.asked_for if "Write the new pair only." in text]
    assert len(dataset.rows) == 40
    assert sum(dataset.coverage["rewriting"].values()) == len(written_again)
    assert 10 <= len(written_again) <= 30
    assert dataset.coverage["rewriting"].keys() == {"deepen", "constrain", "concretise"}
