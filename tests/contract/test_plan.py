"""Keys: a field moves exactly the keys that depend on it, and no release moves the key of an old request."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from requests_for_tests import document

from tunesmith.plan import concerns, graph, next_stages
from tunesmith.request import Spec, parse
from tunesmith.resolve import leaves, resolve
from tunesmith.stages import ORDER


def keys(changes=None):
    return {stage.name: stage.key for stage in graph(resolve(parse(document(changes)))[0])}


def moved(changes, base=None):
    before, after = keys(base), keys({**(base or {}), **changes})
    return [name for name in ORDER if before.get(name) != after.get(name)]


ALL, FROM_TRAIN, FROM_MERGE, EVALUATE, NONE = (
    list(ORDER[:4]),
    list(ORDER[1:4]),
    list(ORDER[2:4]),
    ["evaluate"],
    [],
)
MOVES = {  # changes -> stages whose key moves
    "task": ({"task": "another"}, ALL),
    "examples": ({"data.examples": 101}, ALL),
    "seed of the split": ({"data.split": {"seed": 1}}, ALL),
    "teacher's model": ({"data.teacher": {"model": "other"}}, ALL),
    "own data": ({"data.source": {"uri": "s3://b/k"}}, ALL),
    "another run's data": ({"data.from": {"run": "x"}}, ALL),
    "teacher's endpoint": ({"data.teacher": {"baseURL": "http://localhost:1/v1"}}, NONE),
    "teacher's secret": ({"data.teacher": {"secret": {"name": "s"}}}, NONE),
    "teacher's mode": ({"data.teacher": {"mode": "batch"}}, NONE),
    "teacher's headers": ({"data.teacher": {"headers": {"X-Team": "nlp"}}}, NONE),
    "teacher's secret headers": ({"data.teacher": {"secretHeaders": {"api-key": {"name": "s"}}}}, NONE),
    "teacher's secret query": ({"data.teacher": {"secretQuery": {"sig": {"name": "s"}}}}, NONE),
    "teacher's query": ({"data.teacher": {"query": {"api-version": "2024-10-21"}}}, ALL),
    "teacher's body": ({"data.teacher": {"body": {"top_k": 20}}}, ALL),
    "budget": ({"data.budget": {"maxUSD": 5}}, NONE),
    "prices": (
        {"data.budget": {"prices": {"m": {"usdPerMillionInputTokens": 1, "usdPerMillionOutputTokens": 2}}}},
        NONE,
    ),
    "base": ({"model.base": "hf://other/model"}, FROM_TRAIN),
    "hub token": ({"model.tokenSecret": {"name": "s"}}, NONE),
    "learning rate": ({"training.learningRate": 1e-3}, FROM_TRAIN),
    "the same learning rate in other words": ({"training.learningRate": 0.0002}, NONE),
    "a preset moves by what it changes": ({"training.preset": "original"}, FROM_TRAIN),
    "device": ({"training.device": "cpu"}, NONE),
    "checkpoints": ({"training.saveSteps": 3}, NONE),
    "evaluations draw random numbers": ({"training.evalSteps": 3}, FROM_TRAIN),
    "a variant": ({"training.variants": [{"name": "hot", "overrides": {"loraR": 8}}]}, FROM_TRAIN),
    "a variant's name": ({"training.variants": [{"name": "cold"}]}, NONE),
    "merge's dtype": ({"merge.dtype": "float16"}, FROM_MERGE),
    "prompts": ({"evaluation.prompts": ["why?"]}, EVALUATE),
    "gate": ({"evaluation.gate": {"leastGain": 0.5}}, NONE),
    "output adds a stage": ({"output": "s3://b/models"}, ["deliver"]),
    "placement": ({"stages.train": {"nodeSelector": {"gpu": "h100"}, "retries": 1}}, NONE),
    "run policy": ({"suspend": True, "retry": "1", "ttlSecondsAfterFinished": 5}, NONE),
    "profile": ({"profile": "gpu"}, NONE),
    "rerun from merge": ({"rerun": {"from": "merge", "id": "1"}}, FROM_MERGE),
    "rerun from generate, then from merge": (
        {"rerun": {"from": "generate", "id": "1", "then": [{"from": "merge", "id": "2"}]}},
        ALL,
    ),
    "built-in value said aloud": ({"training.loraR": 16, "data.examples": 100, "merge.dtype": "auto"}, NONE),
}


@pytest.mark.parametrize(("changes", "stages"), MOVES.values(), ids=list(MOVES))
def test_a_change_moves_exactly_these_keys(changes, stages):
    assert moved(changes) == stages


SHA, OTHER = "a" * 64, "b" * 64
SOURCES = {  # own data, and own data after an edit -> stages whose key moves
    "another name": ({"uri": "s3://b/k"}, {"uri": "s3://b/l"}, ALL),
    "another name of the same content": (
        {"uri": "s3://b/k", "sha256": SHA},
        {"uri": "/data/rows.jsonl", "sha256": SHA},
        NONE,
    ),
    "another content of the same name": (
        {"uri": "s3://b/k", "sha256": SHA},
        {"uri": "s3://b/k", "sha256": OTHER},
        ALL,
    ),
    "the content is named from now on": ({"uri": "s3://b/k"}, {"uri": "s3://b/k", "sha256": SHA}, ALL),
    "another version": ({"uri": "s3://b/k", "version": "1"}, {"uri": "s3://b/k", "version": "2"}, ALL),
    "another version of the same content": (
        {"uri": "s3://b/k", "version": "1", "sha256": SHA},
        {"uri": "s3://b/k", "version": "2", "sha256": SHA},
        NONE,
    ),
    "other fields of the same content": (
        {"uri": "s3://b/k", "sha256": SHA},
        {"uri": "s3://b/k", "sha256": SHA, "fields": {"prompt": "question"}},
        ALL,
    ),
    "built-in values said aloud": (
        {"uri": "s3://b/k"},
        {"uri": "s3://b/k", "sha256": "", "version": "", "format": "auto"},
        NONE,
    ),
}


@pytest.mark.parametrize(("before", "after", "stages"), SOURCES.values(), ids=list(SOURCES))
def test_own_data_is_known_by_its_content_where_the_request_names_it(before, after, stages):
    assert moved({"data.source": after}, {"data.source": before}) == stages


@pytest.mark.parametrize(("before", "after", "stages"), SOURCES.values(), ids=list(SOURCES))
def test_so_are_documents(before, after, stages):
    if "fields" in after or "format" in after:
        before, after = ({**files, "encoding": "auto"} for files in (before, after))
        after.pop("fields", None), after.pop("format", None)
        stages = NONE
    assert moved({"data.documents": after}, {"data.documents": before}) == stages


def test_golden_keys_of_documents():
    assert keys({"data.documents": {"uri": "s3://b/k/"}})["generate"] == "50843b7046f41e45"
    assert keys({"data.documents": {"uri": "/d", "sha256": SHA}})["generate"] == "000c8e254a2cae42"
    assert keys({"data.documents": {"uri": "/d", "encoding": "cp1252"}})["generate"] == "8f702c95ee2be477"


def test_golden_keys_of_own_data_that_is_known_by_its_name():
    assert list(keys({"data.source": {"uri": "s3://b/k"}}).values()) == [
        "a2423f9a0bd6ce56",
        "e1077bbdf6b69c56",
        "ebbd07540a2b0727",
        "3fda9c0de9f372c0",
    ]
    read = {"uri": "s3://b/k.csv", "format": "csv", "encoding": "utf-8", "fields": {"prompt": "q"}}
    assert keys({"data.source": read})["generate"] == "34647bccc4370491"


def test_a_preset_and_the_same_values_by_hand_have_the_same_keys():
    spec, _ = resolve(parse(document({"training.preset": "original"})))
    by_hand = spec.training.model_dump(mode="json", by_alias=True, exclude={"preset", "from_"})
    assert keys({"training.preset": "original"}) == keys(
        {"training": by_hand, "merge": {"dtype": "float16", "rounding": "nearest"}}
    )


def test_a_new_rerun_id_moves_the_keys_again_and_the_old_id_brings_them_back():
    one, two = keys({"rerun": {"from": "train", "id": "1"}}), keys({"rerun": {"from": "train", "id": "2"}})
    assert one["generate"] == two["generate"] == keys()["generate"]
    assert len({one["train"], two["train"], keys()["train"]}) == 3
    assert keys({"rerun": {"from": "train", "id": "1"}}) == one


def test_a_later_rerun_moves_no_key_before_its_stage_and_a_rerun_without_one_keeps_its_keys():
    first = {"from": "generate", "id": "1"}
    once, then = keys({"rerun": first}), keys({"rerun": first | {"then": [{"from": "evaluate", "id": "2"}]}})
    assert once == GOLDEN_RERUN
    assert [stage for stage in once if once[stage] != then[stage]] == ["evaluate"]


def test_golden_keys_which_no_release_may_move():
    assert keys() == GOLDEN_LEAST
    assert (
        keys({"data.preset": "original", "training.preset": "original", "output": "s3://b/m"})
        == GOLDEN_ORIGINAL
    )
    assert {
        name: keys({"data.source": source})["generate"] for name, source in OWN_DATA.items()
    } == GOLDEN_OWN_DATA


OWN_DATA = {"a name": {"uri": "s3://b/k"}, "a column": {"uri": "s3://b/k", "fields": {"prompt": "q"}}}
GOLDEN_OWN_DATA = {"a name": "a2423f9a0bd6ce56", "a column": "2cc476921ed14d64"}
GOLDEN_LEAST = {
    "generate": "58a4394b134697a3",
    "train": "96ce00219dd4083b",
    "merge": "44599cb275e08f43",
    "evaluate": "4a4fd74da3cea0fe",
}
GOLDEN_RERUN = {
    "generate": "f0a3a2387ce291e1",
    "train": "07fff2f319a3b878",
    "merge": "b1f1451a513a5af6",
    "evaluate": "1ff1fb7822d57902",
}
GOLDEN_ORIGINAL = {
    "generate": "e0f35574f11ad4e5",
    "train": "ed7aef6ea999e19b",
    "merge": "642b83fc4a05927e",
    "evaluate": "a01c3f9381c475d6",
    "deliver": "e3919b9f7c8d9ff6",
}

PATHS = sorted(
    ".".join(path) for path, _ in leaves(resolve(parse(document()))[0].model_dump(mode="json", by_alias=True))
)
NO_STAGE = (
    "profile",
    "model.tokenSecret",
    "stages.",
    "run",
    "suspend",
    "ttlSecondsAfterFinished",
    "deleteWhenExpired",
    "queueName",
    "retry",
    "rerun",
)


def test_every_field_either_belongs_to_a_stage_or_is_known_to_change_no_result():
    assert len(PATHS) > 100
    nowhere = [path for path in PATHS if concerns(path) is None and not path.startswith(NO_STAGE)]
    assert sorted(nowhere) == sorted(
        [
            "data.budget.maxRequests",
            "data.budget.maxTokens",
            "data.budget.maxUSD",
            "data.budget.usdPerMillionInputTokens",
            "data.budget.usdPerMillionOutputTokens",
            "data.preset",
            "data.teacher.baseURL",
            "data.teacher.maxConcurrency",
            "data.teacher.mode",
            "data.teacher.requestsPerMinute",
            "data.teacher.secret",
            "data.teacher.tokensPerMinute",
            "evaluation.gate",
            "evaluation.perDeviceEvalBatchSize",
            "training.device",
            "training.loggingSteps",
            "training.preset",
            "training.reportTo",
            "training.saveSteps",
            "training.saveTotalLimit",
            "training.variants",
        ]
    )


NUMBERS = {
    "data.examples": st.integers(2, 1000),
    "data.temperature": st.floats(0, 1),
    "training.loraR": st.integers(1, 64),
    "training.learningRate": st.floats(1e-6, 1),
    "training.seed": st.integers(0, 99),
    "merge.seed": st.integers(0, 99),
    "evaluation.maxNewTokens": st.integers(1, 99),
    "training.saveSteps": st.integers(1, 99),
}


@settings(max_examples=100, deadline=None)
@given(base=st.fixed_dictionaries({}, optional=NUMBERS), data=st.data())
def test_changing_one_field_of_any_request_moves_its_stage_and_the_later_ones_and_nothing_else(base, data):
    path = data.draw(st.sampled_from(sorted(NUMBERS)))
    value = data.draw(NUMBERS[path])
    spec = {**base, path: value}
    old, new = keys(base), keys(spec)
    changed = [name for name in ORDER if old.get(name) != new.get(name)]
    same_value = resolve(parse(document(base)))[0] == resolve(parse(document(spec)))[0]
    stage = concerns(path)
    expected = [] if same_value or stage is None else list(ORDER[ORDER.index(stage) : 4])
    assert changed == expected


NEXT = {  # finished stages -> what can start
    "nothing done": ((), ["generate"]),
    "one done": (("generate",), ["train"]),
    "all done": (("generate", "train", "merge", "evaluate"), []),
    "an earlier result is missing": (("train", "merge"), ["generate"]),
}


@pytest.mark.parametrize(("finished", "expected"), NEXT.values(), ids=list(NEXT))
def test_what_is_next(finished, expected):
    stages = graph(resolve(parse(document()))[0])
    done = {(stage.name, stage.key) for stage in stages if stage.name in finished}
    assert [stage.name for stage in next_stages(stages, done)] == expected


def test_a_result_of_another_key_does_not_count_as_done():
    stages = graph(resolve(parse(document()))[0])
    assert [stage.name for stage in next_stages(stages, {("generate", "0" * 16)})] == ["generate"]


def test_the_least_spec_is_what_built_in_values_are_compared_with():
    assert Spec.model_validate({"task": "-", "model": {"base": "-"}}).data.examples == 100
