"""A request is refused with everything that is wrong with it, each with its path, its value and a way out."""

import pytest
from requests_for_tests import LEAST, document

from tunesmith.errors import BadRequest, ExitCode
from tunesmith.request import parse

BAD = {  # changes of the spec -> what the refusal must say
    "an unknown field names the nearest": (
        {"training.learning_rate": 0.1},
        "spec.training.learning_rate: unknown field; did you mean 'learningRate'",
    ),
    "an unknown part": ({"trainin": {}}, "spec.trainin: unknown field; did you mean 'training'"),
    "an unknown field far from any": (
        {"data.zzz": 1},
        "spec.data.zzz: unknown field; see docs/reference/request.md",
    ),
    "an unknown value names the nearest": ({"training.optim": "adamw"}, "did you mean 'adamw_8bit'"),
    "an unknown preset": ({"data.preset": "orignal"}, "spec.data.preset: must be one of original"),
    "a number as a string": (
        {"data.examples": "5"},
        "spec.data.examples: must be a whole number (found: '5')",
    ),
    "a fraction where a whole number must be": (
        {"training.loraR": 1.5},
        "spec.training.loraR: must be a whole number",
    ),
    "a string as a number": ({"task": 5}, "spec.task: must be a string (found: 5)"),
    "yes in quotes": ({"training.packing": "yes"}, "spec.training.packing: must be true or false"),
    "temperature above 1": (
        {"data.temperature": 1.1},
        "spec.data.temperature: must be less than or equal to 1 (found: 1.1)",
    ),
    "a single example": ({"data.examples": 1}, "spec.data.examples: must be greater than or equal to 2"),
    "no task": ({"task": ...}, "spec.task: is missing"),
    "an empty task": ({"task": ""}, "spec.task: must have at least 1 character"),
    "no model": ({"model": ...}, "spec.model: is missing"),
    "a part that is no mapping": ({"training": [1]}, "spec.training: must be a mapping"),
    "a list that is no list": (
        {"training.loraTargetModules": "q_proj"},
        "spec.training.loraTargetModules: must be a list",
    ),
    "own data and another's": (
        {"data.source": {"uri": "s3://b/k"}, "data.from": {"run": "x"}},
        "spec.data: `source` and `from` are both given; keep one",
    ),
    "a reference to two": (
        {"data.from": {"run": "x", "request": "y"}},
        "spec.data.from: must name either a request or a run",
    ),
    "a reference to none": ({"training.from": {}}, "spec.training.from: must name either a request or a run"),
    "nothing left to train on": (
        {"data.split": {"test": 0.6, "validation": 0.4}},
        "spec.data.split: test and validation leave nothing",
    ),
    "data at a place that nobody knows": (
        {"data.source": {"uri": "bogus://rows.jsonl"}},
        "spec.data.source.uri: is at a place that data are not read from",
    ),
    "the address of a call": (
        {"data.teacher": {"baseURL": "https://llm.example/v1/chat/completions", "secret": {"name": "s"}}},
        "spec.data.teacher.baseURL: is the address of a call",
    ),
    "the page of a model": (
        {"model.base": "https://huggingface.co/org/name"},
        "spec.model.base: is at a place that models are not read from",
    ),
    "an organisation of the hub, and no model": (
        {"model.base": "hf://meta-llama"},
        "spec.model.base: is no address on the hub; write hf://organisation/name",
    ),
    "a branch without its @": (
        {"model.base": "hf://org/name/main"},
        "spec.model.base: is no address on the hub",
    ),
    "data in no bucket": (
        {"data.source": {"uri": "s3:///rows.jsonl"}},
        "spec.data.source.uri: names no bucket; write s3://bucket/prefix",
    ),
    "a model in no bucket": ({"model.base": "s3://"}, "spec.model.base: names no bucket"),
    "an output in no bucket": ({"output": "s3:///models"}, "spec.output: names no bucket"),
    "the version of a file": (
        {"data.source": {"uri": "rows.jsonl", "version": "3"}},
        "spec.data.source.version: is that of an object in S3, and the uri names none",
    ),
    "a digest that is none": (
        {"data.source": {"uri": "rows.jsonl", "sha256": "AB12"}},
        "64 hexadecimal digits in small letters, as sha256sum prints them",
    ),
    "two precisions": (
        {"training.fp16": True, "training.bf16": True},
        "spec.training: `fp16` and `bf16` are both on",
    ),
    "two formats": (
        {"evaluation.format": {"regex": "a", "jsonSchema": {}}},
        "spec.evaluation.format: must have either",
    ),
    "no format": ({"evaluation.format": {}}, "spec.evaluation.format: must have either"),
    "a broken regex": (
        {"evaluation.format": {"regex": "("}},
        "spec.evaluation.format: `regex` is not a regular expression",
    ),
    "a gate on a format that is not there": (
        {"evaluation.gate": {"metric": "formatValid"}},
        "spec.evaluation: the gate's metric formatValid",
    ),
    "expiry without a time": ({"deleteWhenExpired": True}, "spec: `deleteWhenExpired` needs a time"),
    "a second variant": (
        {"training.variants": [{"name": "a"}, {"name": "b"}]},
        "spec.training.variants: must have at most 1 item",
    ),
    "an endpoint that is no URL": (
        {"data.teacher": {"baseURL": "localhost:80"}},
        "host, port if any, and path; no user",
    ),
    "a secret without a name": (
        {"data.teacher": {"secret": {"key": "k"}}},
        "spec.data.teacher.secret.name: is missing",
    ),
    "a quantity that is none": (
        {"stages.train": {"resources": {"limits": {"memory": "lots"}}}},
        "spec.stages.train.resources.limits.memory: must match pattern",
    ),
    "a Secret of another namespace": (
        {"model.tokenSecret": {"name": "team-b/hub"}},
        "spec.model.tokenSecret.name: names a Secret of another namespace; give only the name",
    ),
    "a run of another namespace": (
        {"data.from": {"run": "../team-b/x"}},
        "spec.data.from.run: must match pattern",
    ),
    "too many items": ({"data.seeds": ["x"] * 101}, "spec.data.seeds: must have at most 100 items"),
    "too much text": (
        {"data.seeds": ["x" * 4000] * 51},
        "seeds and prompts together have more than 200,000 characters; keep the task short",
    ),
    "a request larger than its snapshot can be": (
        {"evaluation.format": {"jsonSchema": {"enum": ["x" * 600_000]}}},
        "more than the 600,000 that fit into a snapshot; move long data to a file and name it in data.source",
    ),
    "a stage that is none": ({"rerun": {"from": "training", "id": "1"}}, "did you mean 'train'"),
}


@pytest.mark.parametrize(("changes", "says"), BAD.values(), ids=list(BAD))
def test_a_bad_request_says(changes, says):
    with pytest.raises(BadRequest) as caught:
        parse(document(changes))
    assert says in str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_REQUEST == 78


def test_all_problems_are_said_at_once():
    with pytest.raises(BadRequest) as caught:
        parse(
            document(
                {
                    "data.examples": "5",
                    "training.loraR": 0,
                    "task": ...,
                    "training.fp16": True,
                    "training.bf16": True,
                }
            )
        )
    assert [problem.path for problem in caught.value.problems] == [
        "spec.task",
        "spec.data.examples",
        "spec.training.loraR",
        "spec.training",
    ]
    assert caught.value.message == "request riddles cannot run: 4 problems"


@pytest.mark.parametrize(
    ("name", "why"),
    [("a" * 40, "at most 39"), ("Ab", "match pattern"), ("a.b", "match pattern"), ("-a", "match pattern")],
)
def test_a_name_that_would_not_fit_its_pods_is_refused(name, why):
    with pytest.raises(BadRequest, match=why):
        parse(document(name=name))


@pytest.mark.parametrize("thing", [None, [], "text", 5])
def test_what_is_no_mapping_is_refused(thing):
    with pytest.raises(BadRequest, match="a request is a mapping"):
        parse(thing)


def test_another_kind_is_refused():
    with pytest.raises(BadRequest, match=r"kind: must be one of TrainingRequest \(found: 'Pod'\)"):
        parse({**LEAST, "kind": "Pod"})


def test_null_means_not_set_as_the_api_server_prunes_it():
    assert parse(document({"training.loraR": None, "data": None})) == parse(LEAST)


def test_null_in_a_json_schema_is_a_value():
    schema = {"properties": {"a": {"const": None, "enum": [None, 1]}}}
    assert (
        parse(document({"evaluation.format": {"jsonSchema": schema}})).spec.evaluation.format.json_schema
        == schema
    )


def test_what_is_unset_can_be_told_from_what_is_set_to_the_built_in_value():
    assert "loraR" not in parse(LEAST).spec.model_dump(by_alias=True, exclude_unset=True)
    assert parse(document({"training.loraR": 16})).spec.model_dump(by_alias=True, exclude_unset=True)[
        "training"
    ] == {"loraR": 16}
