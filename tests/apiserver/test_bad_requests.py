"""The API server and `tunesmith.request.parse` refuse the same requests, at the same fields."""

import re

import pytest
from requests_for_tests import LEAST, document

from tunesmith.errors import BadRequest
from tunesmith.request import parse
from tunesmith.rules import RULES

# kind of fault -> the API server's word for it, and ours
KINDS = {
    "unknown": ("UnknownField", "unknown field"),
    "type": ("FieldValueTypeInvalid", r"must be (a|true)"),
    "choice": ("FieldValueNotSupported", "must be one of"),
    "missing": ("FieldValueRequired", "is missing"),
    "range": ("FieldValueInvalid", "must be (less|greater) than"),
    "pattern": ("FieldValueInvalid", "must match pattern"),
    "short": ("FieldValueInvalid", "must have at least"),
    "long": ("FieldValueTooLong", "must have at most"),
    "many": ("FieldValueTooMany", "must have at most"),
    "rule": ("FieldValueInvalid", ""),
}
BAD = {  # changes of the spec -> path, kind
    "no task": ({"task": ...}, "spec.task", "missing"),
    "a task that is null": ({"task": None}, "spec.task", "missing"),
    "an empty task": ({"task": ""}, "spec.task", "short"),
    "a task as a number": ({"task": 5}, "spec.task", "type"),
    "a task as a list": ({"task": ["a"]}, "spec.task", "type"),
    "a task of a hundred thousand letters and one": ({"task": "ü" * 100_001}, "spec.task", "long"),
    "no model": ({"model": ...}, "spec.model", "missing"),
    "a model without a base": ({"model": {}}, "spec.model.base", "missing"),
    "an empty base": ({"model.base": ""}, "spec.model.base", "short"),
    "a misspelt field": ({"training.learning_rate": 0.1}, "spec.training.learning_rate", "unknown"),
    "a misspelt part": ({"trainin": {}}, "spec.trainin", "unknown"),
    "a service account": (
        {"stages.train": {"serviceAccountName": "admin"}},
        "spec.stages.train.serviceAccountName",
        "unknown",
    ),
    "a secret's namespace": (
        {"model.tokenSecret": {"name": "s", "namespace": "other"}},
        "spec.model.tokenSecret.namespace",
        "unknown",
    ),
    "an unknown stage": ({"stages": {"trian": {}}}, "spec.stages.trian", "unknown"),
    "a part that is a list": ({"training": [1]}, "spec.training", "type"),
    "a list that is a string": (
        {"training.loraTargetModules": "q_proj"},
        "spec.training.loraTargetModules",
        "type",
    ),
    "a list of numbers": ({"data.seeds": [1]}, "spec.data.seeds[0]", "type"),
    "a number as a string": ({"data.examples": "5"}, "spec.data.examples", "type"),
    "a fraction of an example": ({"data.examples": 2.5}, "spec.data.examples", "type"),
    "yes as a string": ({"training.packing": "yes"}, "spec.training.packing", "type"),
    "true as a number": ({"suspend": 1}, "spec.suspend", "type"),
    "a variable that is a number": ({"stages.train": {"env": {"A": 1}}}, "spec.stages.train.env.A", "type"),
    "no examples": ({"data.examples": 0}, "spec.data.examples", "range"),
    "a million examples and one": ({"data.examples": 1_000_001}, "spec.data.examples", "range"),
    "temperature above 1": ({"data.temperature": 1.01}, "spec.data.temperature", "range"),
    "temperature below 0": ({"data.temperature": -0.01}, "spec.data.temperature", "range"),
    "a learning rate of 0, which is excluded": (
        {"training.learningRate": 0},
        "spec.training.learningRate",
        "range",
    ),
    "dropout of 1, which is excluded": ({"training.loraDropout": 1}, "spec.training.loraDropout", "range"),
    "a rank of 0": ({"training.loraR": 0}, "spec.training.loraR", "range"),
    "fewer than no steps": ({"training.maxSteps": -2}, "spec.training.maxSteps", "range"),
    "a seed that JSON loses": ({"data.seed": 2**53}, "spec.data.seed", "range"),
    "a test split of everything": ({"data.split": {"test": 0.95}}, "spec.data.split.test", "range"),
    "retries without end": ({"stages.train": {"retries": 101}}, "spec.stages.train.retries", "range"),
    "a time before the end": ({"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "range"),
    "an unknown optimizer": ({"training.optim": "adamw"}, "spec.training.optim", "choice"),
    "an unknown preset": ({"data.preset": "orignal"}, "spec.data.preset", "choice"),
    "an unknown device": ({"training.device": "gpu"}, "spec.training.device", "choice"),
    "an unknown tracker": ({"training.reportTo": ["all"]}, "spec.training.reportTo[0]", "choice"),
    "an unknown stage to rerun": (
        {"rerun": {"from": "training", "id": "1"}},
        "spec.rerun.from",
        "choice",
    ),
    "a rerun without an id": ({"rerun": {"from": "train"}}, "spec.rerun.id", "missing"),
    "a toleration's operator": (
        {"stages.merge": {"tolerations": [{"key": "spot", "operator": "In"}]}},
        "spec.stages.merge.tolerations[0].operator",
        "choice",
    ),
    "a toleration's seconds without eviction": (
        {"stages.train": {"tolerations": [{"key": "spot", "effect": "NoSchedule", "tolerationSeconds": 60}]}},
        "spec.stages.train.tolerations",
        "rule",
    ),
    "a toleration that exists and has a value": (
        {
            "stages.generate": {
                "tolerations": [{"key": "a"}, {"key": "spot", "operator": "Exists", "value": "yes"}]
            }
        },
        "spec.stages.generate.tolerations",
        "rule",
    ),
    "a toleration of nothing": (
        {"stages.evaluate": {"tolerations": [{"value": "yes"}]}},
        "spec.stages.evaluate.tolerations",
        "rule",
    ),
    "an endpoint that is not a URL": (
        {"data.teacher": {"baseURL": "localhost:80"}},
        "spec.data.teacher.baseURL",
        "pattern",
    ),
    "a user in front of an endpoint": (
        {"data.teacher": {"baseURL": "https://ok@evil.com/v1"}},
        "spec.data.teacher.baseURL",
        "pattern",
    ),
    "an endpoint with an odd blank": (
        {"data.teacher": {"baseURL": "https://ok\u00a0/v1"}},
        "spec.data.teacher.baseURL",
        "pattern",
    ),
    "an output that is not a URL": ({"output": "models/x"}, "spec.output", "pattern"),
    "a quantity that is not one": (
        {"stages.train": {"resources": {"limits": {"memory": "lots"}}}},
        "spec.stages.train.resources.limits.memory",
        "pattern",
    ),
    "a quantity with a line behind it": (
        {"stages.train": {"resources": {"limits": {"memory": "1Gi\n"}}}},
        "spec.stages.train.resources.limits.memory",
        "pattern",
    ),
    "a secret in capitals": (
        {"model.tokenSecret": {"name": "Hub"}},
        "spec.model.tokenSecret.name",
        "pattern",
    ),
    "a run elsewhere": ({"data.from": {"run": "../team-b/x"}}, "spec.data.from.run", "pattern"),
    "a run with a slash": ({"run": "a/b"}, "spec.run", "pattern"),
    "a request that cannot be": (
        {"training.from": {"request": "A"}},
        "spec.training.from.request",
        "pattern",
    ),
    "a profile that cannot be": ({"profile": "-"}, "spec.profile", "pattern"),
    "a queue that no label holds": ({"queueName": "q" * 64}, "spec.queueName", "long"),
    "a retry too long": ({"retry": "x" * 65}, "spec.retry", "long"),
    "two variants": ({"training.variants": [{"name": "a"}, {"name": "b"}]}, "spec.training.variants", "many"),
    "seeds without end": ({"data.seeds": ["x"] * 101}, "spec.data.seeds", "many"),
    "variables without end": (
        {"stages.train": {"env": {f"A{n}": "" for n in range(101)}}},
        "spec.stages.train.env",
        "many",
    ),
    "own data and another's": (
        {"data.source": {"uri": "s3://b/k"}, "data.from": {"run": "x"}},
        "spec.data",
        "rule",
    ),
    "a reference to two": ({"data.from": {"run": "x", "request": "y"}}, "spec.data.from", "rule"),
    "a reference to none": ({"training.from": {}}, "spec.training.from", "rule"),
    "a reference to nothing": ({"training.from": {"run": ""}}, "spec.training.from", "rule"),
    "nothing left to train on": ({"data.split": {"test": 0.6, "validation": 0.4}}, "spec.data.split", "rule"),
    "nothing left, with the built-in share": ({"data.split": {"validation": 0.9}}, "spec.data.split", "rule"),
    "documents beside own data": (
        {"data.documents": {"uri": "s3://b/docs/"}, "data.source": {"uri": "s3://b/k"}},
        "spec.data",
        "rule",
    ),
    "documents of a chain": (
        {"data.documents": {"uri": "s3://b/docs/"}, "data.strategy": "chain"},
        "spec.data",
        "rule",
    ),
    "documents elsewhere": (
        {"data.documents": {"uri": "https://x.org/manual.pdf"}},
        "spec.data.documents.uri",
        "rule",
    ),
    "documents in no bucket": ({"data.documents": {"uri": "s3:///docs/"}}, "spec.data.documents.uri", "rule"),
    "documents' version without a bucket": (
        {"data.documents": {"uri": "manual.pdf", "version": "3"}},
        "spec.data.documents.version",
        "rule",
    ),
    "data elsewhere": ({"data.source": {"uri": "bogus://x"}}, "spec.data.source.uri", "rule"),
    "a call's address": (
        {"data.teacher": {"baseURL": "https://x/v1/chat/completions/", "secret": {"name": "s"}}},
        "spec.data.teacher.baseURL",
        "rule",
    ),
    "a page": ({"model.base": "https://huggingface.co/org/name"}, "spec.model.base", "rule"),
    "two precisions": ({"training.fp16": True, "training.bf16": True}, "spec.training", "rule"),
    "two formats": (
        {"evaluation.format": {"regex": "a", "jsonSchema": {}}},
        "spec.evaluation.format",
        "rule",
    ),
    "no format": ({"evaluation.format": {}}, "spec.evaluation.format", "rule"),
    "a gate on a format that is not there": (
        {"evaluation.gate": {"metric": "formatValid"}},
        "spec.evaluation",
        "rule",
    ),
    "a time to live that means never": (
        {"ttlSecondsAfterFinished": 10**10},
        "spec.ttlSecondsAfterFinished",
        "range",
    ),
    "a deadline beyond every calendar": (
        {"stages.train": {"activeDeadlineSeconds": 3 * 10**11}},
        "spec.stages.train.activeDeadlineSeconds",
        "range",
    ),
    "a toleration for centuries": (
        {
            "stages.train": {
                "tolerations": [{"key": "spot", "effect": "NoExecute", "tolerationSeconds": 10**10}]
            }
        },
        "spec.stages.train.tolerations[0].tolerationSeconds",
        "range",
    ),
    "a count that no regular expression can have": (
        {"evaluation.format": {"regex": "a{4294967295}"}},
        "spec.evaluation.format.regex",
        "rule",
    ),
    "two thousand groups": (
        {"evaluation.format": {"regex": "(" * 500 + ")" * 500}},
        "spec.evaluation.format.regex",
        "pattern",
    ),
    "a variable with an equals sign": (
        {"stages.train": {"env": {"A=B": "c"}}},
        "spec.stages.train.env",
        "rule",
    ),
    "a variable with a NUL": ({"stages.train": {"env": {"A": "\x00"}}}, "spec.stages.train.env.A", "pattern"),
    "a label with two slashes": (
        {"stages.merge": {"nodeSelector": {"a/b/c": "d"}}},
        "spec.stages.merge.nodeSelector",
        "rule",
    ),
    "a taint with two slashes": (
        {"stages.merge": {"tolerations": [{"key": "a/b/c"}]}},
        "spec.stages.merge.tolerations[0].key",
        "pattern",
    ),
    "a priority class with two dots": (
        {"stages.merge": {"priorityClassName": "a..b"}},
        "spec.stages.merge.priorityClassName",
        "pattern",
    ),
    "a resource of pods, not of containers": (
        {"stages.train": {"resources": {"requests": {"pods": "1"}}}},
        "spec.stages.train.resources",
        "rule",
    ),
    "half a GPU": (
        {"stages.train": {"resources": {"limits": {"nvidia.com/gpu": "500m"}}}},
        "spec.stages.train.resources",
        "rule",
    ),
    "half a byte of memory": (
        {"stages.train": {"resources": {"limits": {"memory": "500m"}}}},
        "spec.stages.train.resources",
        "rule",
    ),
    "memory beyond a scheduler's integers": (
        {"stages.train": {"resources": {"requests": {"memory": "999999P"}}}},
        "spec.stages.train.resources",
        "rule",
    ),
    "a huge page and a half": (
        {"stages.train": {"resources": {"limits": {"hugepages-2Mi": "3Mi"}}}},
        "spec.stages.train.resources",
        "rule",
    ),
    "a request above its limit": (
        {"stages.train": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}},
        "spec.stages.train.resources",
        "rule",
    ),
    "an address with a query": (
        {"data.teacher.baseURL": "https://x.example/v1?api-version=1"},
        "spec.data.teacher.baseURL",
        "rule",
    ),
    "an organisation of the hub": ({"model.base": "hf://org"}, "spec.model.base", "rule"),
    "data in no bucket": ({"data.source": {"uri": "s3:///rows.jsonl"}}, "spec.data.source.uri", "rule"),
    "the version of a path": (
        {"data.source": {"uri": "rows.jsonl", "version": "3"}},
        "spec.data.source.version",
        "rule",
    ),
    "a model in no bucket": ({"model.base": "s3://"}, "spec.model.base", "rule"),
    "an output in no bucket": ({"output": "s3:///x"}, "spec.output", "rule"),
    "a gate that no share reaches": (
        {"evaluation.gate": {"metric": "exactMatch", "leastGain": 5}},
        "spec.evaluation.gate.leastGain",
        "rule",
    ),
    "a gate on answers, and none": (
        {"evaluation": {"answers": 0, "gate": {"metric": "exactMatch"}}},
        "spec.evaluation.answers",
        "rule",
    ),
    "a gate without test rows": (
        {"evaluation.gate": {"leastGain": 0.1}, "data.split": {"test": 0}},
        "spec.evaluation.gate",
        "rule",
    ),
    "early stopping without validation rows": (
        {"training.earlyStoppingPatience": 2, "data.split": {"validation": 0}},
        "spec.training.earlyStoppingPatience",
        "rule",
    ),
    "early stopping without evaluations": (
        {"training": {"earlyStoppingPatience": 2, "evalSteps": 0}},
        "spec.training.evalSteps",
        "rule",
    ),
    "no module to train": ({"training.loraTargetModules": []}, "spec.training.loraTargetModules", "rule"),
    "no room for the pairs of a call": (
        {"data": {"maxTokens": 64, "pairsPerCall": 5}},
        "spec.data.maxTokens",
        "rule",
    ),
    "an output onto the base model": (
        {"model.base": "s3://m/x", "output": "s3://m/x/"},
        "spec.output",
        "rule",
    ),
    "expiry without a time": ({"deleteWhenExpired": True}, "spec", "rule"),
    "too much text": ({"data.systemMessage": "ü" * 50_000, "data.seeds": ["s" * 4000] * 38}, "spec", "rule"),
}


@pytest.mark.parametrize(("changes", "path", "kind"), BAD.values(), ids=BAD)
def test_both_refuse(changes, path, kind, server):
    bad = document(changes)
    theirs, ours = server.faults(bad), problems(bad)
    word, words = KINDS[kind]
    assert [(fault.path, fault.kind) for fault in theirs] == [(path, word)], theirs
    assert [problem.path for problem in ours] == [path], ours
    assert re.match(words, ours[0].why), ours
    if kind == "rule":
        [rule] = [
            rule
            for rule in RULES
            if (rule.why, ".".join(filter(None, ("spec", rule.path, rule.field)))) == (ours[0].why, path)
        ]
        assert rule.message in theirs[0].says


SECRET = {"name": "s"}
MEMBERS = {  # of a mapping: changes -> the mapping, which the API server names, and the member, which we do
    "a key in a header": ({"data.teacher": {"headers": {"Api-Key": "x"}}}, "data.teacher.headers", "Api-Key"),
    "a key as a value": (
        {"data.teacher": {"headers": {"X-A": "sk-0123456789abcdef"}}},
        "data.teacher.headers",
        "X-A",
    ),
    "a key in the query": ({"data.teacher": {"query": {"key": "x"}}}, "data.teacher.query", "key"),
    "another host": ({"data.teacher": {"headers": {"Host": "x"}}}, "data.teacher.headers", "Host"),
    "another host, in secret": (
        {"data.teacher": {"secretHeaders": {"HOST": SECRET}}},
        "data.teacher.secretHeaders",
        "HOST",
    ),
    "no name of a header": ({"data.teacher": {"headers": {"X A": "x"}}}, "data.teacher.headers", "X A"),
    "no name in the query": (
        {"data.teacher": {"secretQuery": {"a=b": SECRET}}},
        "data.teacher.secretQuery",
        "a=b",
    ),
    "no name of a model": (
        {
            "data.budget": {
                "prices": {"m" * 254: {"usdPerMillionInputTokens": 1, "usdPerMillionOutputTokens": 1}}
            }
        },
        "data.budget.prices",
        "m" * 254,
    ),
}


@pytest.mark.parametrize(("changes", "mapping", "member"), MEMBERS.values(), ids=MEMBERS)
def test_both_refuse_a_member(changes, mapping, member, server):
    theirs, ours = server.faults(document(changes)), problems(document(changes))
    assert [fault.path for fault in theirs] == [f"spec.{mapping}"]
    assert [problem.path for problem in ours] == [f"spec.{mapping}[{member}]"]
    assert ours[0].why in theirs[0].says


NAMES = {
    "forty letters": "a" * 40,
    "capitals": "Riddles",
    "a dot": "a.b",
    "a dash in front": "-a",
    "a dash behind": "a-",
    "empty": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_both_refuse_a_name(name, server):
    bad = document(name=name)
    assert {fault.path for fault in server.faults(bad)} == {"metadata.name"}
    assert {problem.path for problem in problems(bad)} == {"metadata.name"}


@pytest.mark.parametrize("field", ["data.teacher.secret", "model.tokenSecret"])
def test_both_refuse_a_secret_of_another_namespace_in_the_same_words(field, server):
    bad = document({field: {"name": "team-b/keys"}})
    text = (
        "names a Secret of another namespace; give only the name of a Secret in the request's own namespace"
    )
    theirs, ours = server.faults(bad), problems(bad)
    assert {fault.path for fault in theirs} == {problem.path for problem in ours} == {f"spec.{field}.name"}
    assert any(text in fault.says for fault in theirs)
    assert any(text in str(problem) for problem in ours)


def test_both_say_everything_at_once(server):
    bad = document(
        {
            "data.examples": 0,
            "training.loraR": 0,
            "training.optim": "adam",
            "training.fp16": True,
            "training.bf16": True,
        }
    )
    paths = {"spec.data.examples", "spec.training.loraR", "spec.training.optim", "spec.training"}
    assert {problem.path for problem in problems(bad)} == paths
    assert {fault.path for fault in server.faults(bad)} == paths - {
        "spec.training"
    }  # it checks rules only once the fields are right


DEEP = {}
for _ in range(100):
    DEEP = {"items": DEEP}

ONLY_OURS = {  # what a schema and CEL cannot see: the controller refuses it, and so does the command line
    "a broken regular expression": ({"evaluation.format": {"regex": "("}}, "spec.evaluation.format"),
    "a member of the body that is set anyway": (
        {"data.teacher": {"body": {"model": "x"}}},
        "spec.data.teacher.body[model]",
    ),
    "a key in the body": ({"data.teacher": {"body": {"api_key": "x"}}}, "spec.data.teacher.body[api_key]"),
    "a header twice": (
        {"data.teacher": {"headers": {"X-A": "x"}, "secretHeaders": {"x-a": SECRET}}},
        "spec.data.teacher.secretHeaders[x-a]",
    ),
    "a schema nested 100 deep": (
        {"evaluation.format": {"jsonSchema": DEEP}},
        "spec.evaluation.format.jsonSchema.items",
    ),
    "a variant nested 100 deep": (
        {"training.variants": [{"name": "a", "overrides": DEEP}]},
        "spec.training.variants[0].overrides.items",
    ),
    "a schema of a megabyte": ({"evaluation.format": {"jsonSchema": {"description": "x" * 600_000}}}, "spec"),
}


@pytest.mark.parametrize(("changes", "path"), ONLY_OURS.values(), ids=ONLY_OURS)
def test_what_only_the_models_can_see(changes, path, server):
    assert server.faults(document(changes)) == []
    [problem] = problems(document(changes))
    assert problem.path.startswith(path)
    assert path != "spec" or problem.path == "spec"


FROZEN = {  # before, edit -> refused field
    "another profile": ({"profile": "a"}, {"profile": "b"}, "profile"),
    "a profile where there was none": ({}, {"profile": "b"}, "profile"),
    "no profile where there was one": ({"profile": "a"}, {"profile": None}, "profile"),
    "another queue": ({"queueName": "a"}, {"queueName": "b"}, "queueName"),
    "a queue where there was none": ({}, {"queueName": "b"}, "queueName"),
    "no queue where there was one": ({"queueName": "a"}, {"queueName": None}, "queueName"),
    "another run": ({"run": "a"}, {"run": "b"}, "run"),
    "no run where there was one": ({"run": "a"}, {"run": None}, "run"),
    "a run where there was none": ({}, {"run": "a"}, None),
    "the same again": ({"profile": "a", "queueName": "b"}, {"profile": "a", "queueName": "b"}, None),
    "anything else": ({"profile": "a"}, {"task": "another", "suspend": True}, None),
}


@pytest.mark.parametrize(("before", "edit", "field"), FROZEN.values(), ids=FROZEN)
def test_a_frozen_field_can_be_neither_set_changed_nor_removed(before, edit, field, server, request):
    name = re.sub(r"[^a-z]+", "-", request.node.callspec.id)
    server.create(document(before, name=name))
    refused = server.update_faults({"metadata": {"name": name}, "spec": edit})
    assert [fault.path for fault in refused] == (["spec"] if field else [])
    if field:
        says = f"{field} cannot be set, changed or removed later; delete the request and apply it again"
        assert ("run cannot be changed or removed later" if field == "run" else says) in refused[0].says


def problems(bad):
    with pytest.raises(BadRequest) as caught:
        parse(bad)
    return caught.value.problems


def test_the_least_request_is_good(server):
    assert server.faults(LEAST) == []
    assert parse(LEAST)
