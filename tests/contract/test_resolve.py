"""Every value of a resolved request is there, and is known to come from request, preset, profile or the
built-in values.
"""

import json

import pytest
from requests_for_tests import document

from tunesmith.errors import BadRequest
from tunesmith.plan import references, snapshot
from tunesmith.profile import Profile
from tunesmith.pruning import pruned
from tunesmith.request import parse
from tunesmith.resolve import leaves, read_snapshot, resolve, too_new
from tunesmith.settings import Reference

PRECEDENCE = {  # request, profile defaults -> (learningRate, where from)
    "built-in": ({}, None, (2e-4, "built-in")),
    "profile over built-in": ({}, {"training": {"learningRate": 1e-5}}, (1e-5, "profile gpu")),
    "preset over profile": (
        {"training.preset": "original"},
        {"training": {"learningRate": 1e-5}},
        (2e-4, "preset original"),
    ),
    "a profile's preset, under the profile's request": (
        {},
        {"training": {"preset": "original"}},
        (2e-4, "preset original"),
    ),
    "request over preset": (
        {"training.preset": "original", "training.learningRate": 3e-4},
        None,
        (3e-4, "request"),
    ),
    "request over all": (
        {"training.learningRate": 3e-4},
        {"training": {"learningRate": 1e-5}},
        (3e-4, "request"),
    ),
    "a variant over the request": (
        {
            "training.learningRate": 3e-4,
            "training.variants": [{"name": "hot", "overrides": {"learningRate": 1e-3}}],
        },
        None,
        (1e-3, "variant hot"),
    ),
}


@pytest.mark.parametrize(("wish", "defaults", "expected"), PRECEDENCE.values(), ids=list(PRECEDENCE))
def test_precedence(wish, defaults, expected):
    spec, provenance = resolve(
        parse(document(wish)), Profile(name="gpu", defaults=defaults) if defaults else None
    )
    assert (spec.training.learning_rate, provenance["training.learningRate"]) == expected


def test_every_leaf_has_a_source():
    spec, provenance = resolve(parse(document({"data.preset": "original"})))
    paths = {".".join(path) for path, _ in leaves(spec.model_dump(mode="json", by_alias=True))}
    assert len(paths) > 100
    assert set(provenance) == paths


def test_the_original_preset_gives_what_the_notebook_had():
    spec, _ = resolve(parse(document({"data.preset": "original", "training.preset": "original"})))
    assert (spec.data.teacher.model, spec.data.temperature, spec.data.examples, spec.data.max_tokens) == (
        "gpt-4",
        0.4,
        100,
        1354,
    )
    assert (spec.data.strategy, spec.data.feedback, spec.data.system_message_max_tokens) == ("chain", 10, 500)
    assert (spec.data.split.test, spec.data.split.seed) == (0.1, 42)
    training = spec.training
    assert (training.lora_r, training.lora_alpha, training.lora_dropout, training.lora_bias) == (
        64,
        16,
        0.1,
        "none",
    )
    assert (
        training.bnb_4bit_quant_type,
        training.bnb_4bit_compute_dtype,
        training.bnb_4bit_use_double_quant,
    ) == ("nf4", "float16", False)
    assert (training.num_train_epochs, training.max_steps, training.fp16, training.bf16) == (
        1,
        -1,
        False,
        False,
    )
    assert (
        training.per_device_train_batch_size,
        training.per_device_eval_batch_size,
        training.gradient_accumulation_steps,
    ) == (4, 4, 1)
    assert (training.gradient_checkpointing, training.max_grad_norm, training.learning_rate) == (
        True,
        0.3,
        2e-4,
    )
    assert (training.weight_decay, training.optim, training.lr_scheduler_type) == (
        0.001,
        "paged_adamw_32bit",
        "constant",
    )
    assert (training.warmup_ratio, training.group_by_length, training.packing, training.max_length) == (
        0.03,
        True,
        False,
        0,
    )
    assert (training.save_steps, training.logging_steps, training.eval_steps) == (25, 5, 5)
    assert (training.pad_token, training.padding_side, training.report_to) == ("eos", "right", ())
    assert (spec.merge.dtype, spec.merge.rounding) == ("float16", "nearest")


def test_whoever_chooses_gets_a_validation_split_unless_the_request_says_otherwise():
    assert resolve(parse(document({"training.earlyStoppingPatience": 2})))[0].data.split.validation == 0.1
    wish = {"training.earlyStoppingPatience": 2, "data.split": {"validation": 0.3}}
    assert resolve(parse(document(wish)))[0].data.split.validation == 0.3


def test_a_profile_with_a_value_that_cannot_be_is_named():
    with pytest.raises(BadRequest, match=r"learningRate"):
        resolve(parse(document()), Profile(name="gpu", defaults={"training": {"learningRate": "fast"}}))


def test_a_variant_with_an_unknown_field_is_refused():
    with pytest.raises(BadRequest, match=r"learningrate"):
        resolve(
            parse(document({"training.variants": [{"name": "hot", "overrides": {"learningrate": 1e-3}}]}))
        )


def test_a_snapshot_reads_back_as_it_was_written():
    wish = {
        "data.source": {"uri": "s3://b/k"},
        "evaluation.format": {"jsonSchema": {"enum": [None, 1], "const": {"a": [1]}}},
    }
    written = snapshot(parse(document(wish)), run="riddles")
    assert read_snapshot(written.to_json()) == written


def by_a_newer_release(wish=None, **provenance):
    """A snapshot as a release would write it that has a field more in many places."""
    document_ = json.loads(snapshot(parse(document(wish)), run="riddles", cluster=True).to_json())
    spec = document_["spec"]
    for part in (
        document_,
        spec,
        spec["data"],
        spec["data"]["split"],
        spec["training"],
        spec["stages"]["train"],
        document_["stages"][0],
    ):
        part["later"] = {"deep": 1}
    spec["training"]["variants"] = [{"name": "a", "overrides": {"loraR": 8}, "later": True}]
    spec["stages"]["select"] = spec["stages"]["train"]
    built_in = {"later.deep": "built-in", "data.later.deep": "built-in", "training.later.deep": "built-in"}
    document_["provenance"] |= built_in | provenance
    return json.dumps(document_)


def test_a_snapshot_of_a_newer_release_is_read_without_what_is_new_in_it():
    wish = {"evaluation.format": {"jsonSchema": {"later": {"kept": None}}}, "training.loraR": 8}
    read = read_snapshot(by_a_newer_release(wish))
    assert (read.spec.training.lora_r, read.spec.training.variants[0].overrides) == (8, {"loraR": 8})
    assert read.spec.evaluation.format.json_schema == {"later": {"kept": None}}, "a value is not a field"
    assert too_new(by_a_newer_release(wish)) == []


def test_what_somebody_has_set_and_this_release_cannot_do_is_named():
    provenance = {"training.later.deep": "request", "later.deep": "request"}
    assert too_new(by_a_newer_release(**provenance)) == ["spec.training.later"]


def test_people_s_documents_stay_strict():
    with pytest.raises(BadRequest, match="unknown field"):
        parse(document({"training.later": 1}))


def test_a_mapping_keeps_its_keys_when_its_values_are_models():
    profile = {
        "name": "gpu",
        "trackerSecrets": {"WANDB_API_KEY": {"name": "w", "later": 1}},
        "defaults": {"later": 1},
        "later": {},
    }
    read, unknown = pruned(Profile, profile)
    assert read == {
        "name": "gpu",
        "trackerSecrets": {"WANDB_API_KEY": {"name": "w"}},
        "defaults": {"later": 1},
    }
    assert unknown.fields == ["trackerSecrets.WANDB_API_KEY.later", "later"]


LARGE = {  # whatever a request is large by
    "letters of four bytes": {"task": "🎏" * 100_000, "data.systemMessage": "🎏" * 45_000},
    "line ends, which JSON escapes": {"task": "\n" * 100_000, "data.seeds": ["\n" * 4000] * 25},
    "numbers, each on a line of its own": {
        "evaluation.format": {"jsonSchema": {"enum": [{"enum": list(range(10))}] * 3_800}}
    },
}


@pytest.mark.parametrize("wish", LARGE.values(), ids=LARGE)
def test_the_snapshot_of_a_request_that_is_just_small_enough_fits_into_a_configmap_with_a_profile_beside_it(
    wish,
):
    text = snapshot(parse(document(wish)), run="riddles", cluster=True).to_json()
    assert 350_000 < len(text.encode()) < 2**20 - 250_000


@pytest.mark.parametrize("text", ["{}", "", "[" * 100_000], ids=["empty", "nothing", "deep"])
def test_what_is_no_snapshot_is_refused(text):
    with pytest.raises(BadRequest, match="does not hold a snapshot"):
        read_snapshot(text)


@pytest.mark.parametrize("part", ["stages.train.tolerations", "data.preset", "merge.dtype"])
def test_a_value_that_only_a_newer_release_knows_is_named_wherever_a_snapshot_is_read(part):
    newer = json.loads(snapshot(parse(document()), run="r").to_json())
    *before, last = part.split(".")
    place = newer["spec"]
    for step in before:
        place = place.setdefault(step, {})
    place[last] = [{"effect": "Later"}] if last == "tolerations" else "later"
    with pytest.raises(BadRequest) as caught:
        read_snapshot(json.dumps(newer))
    assert caught.value.reason == "ImageTooOld"
    assert caught.value.problems[0].path.startswith(f"spec.{part}")


ODD_OVERRIDES = {  # override, what the request itself says, the path in the problem
    "a mapping for a list": (
        {"reportTo": {"a": "b"}},
        {"reportTo": ["tensorboard"]},
        "spec.training.reportTo",
    ),
    "a mapping for a number": ({"loraR": {"a": "b"}}, {"loraR": 8}, "spec.training.loraR"),
    "a mapping for a word": ({"optim": {"a": "b"}}, {"optim": "sgd"}, "spec.training.optim"),
    "out of its range": ({"loraR": 0}, {}, "spec.training.loraR"),
    "an unknown field": ({"later": 1}, {}, "spec.training.later"),
}


@pytest.mark.parametrize(("overrides", "given", "path"), ODD_OVERRIDES.values(), ids=ODD_OVERRIDES)
def test_what_an_override_cannot_be_is_named_with_its_variant(overrides, given, path):
    request = parse(document({"training": {**given, "variants": [{"name": "one", "overrides": overrides}]}}))
    with pytest.raises(BadRequest) as caught:
        resolve(request)
    [problem] = caught.value.problems
    assert problem.path.startswith(path)
    assert "given by variant one" in problem.why
    assert "pydantic" not in str(problem)


MODELS = Profile(name="gpu", models={"small": "s3://models/small"})


def test_a_model_of_the_profile_stands_for_its_url():
    spec, provenance = resolve(parse(document({"model.base": "small"})), MODELS)
    assert (spec.model.base, provenance["model.base"]) == ("s3://models/small", "profile gpu")
    other, provenance = resolve(parse(document({"model.base": "hf://a/small"})), MODELS)
    assert (other.model.base, provenance["model.base"]) == ("hf://a/small", "request")
    by_url = snapshot(parse(document({"model.base": "s3://models/small"})), run="r", profile=MODELS)
    assert snapshot(parse(document({"model.base": "small"})), run="r", profile=MODELS).stages == by_url.stages


DEVICES = {  # request, profile's defaults -> device on a cluster, and where from
    "built-in": ({}, {}, ("cuda", "built-in")),
    "profile": ({}, {"training": {"device": "cpu"}}, ("cpu", "profile gpu")),
    "request": ({"training.device": "auto"}, {"training": {"device": "cpu"}}, ("auto", "request")),
    "preset says none": ({"training.preset": "original"}, {}, ("cuda", "built-in")),
}


@pytest.mark.parametrize(("wish", "defaults", "expected"), DEVICES.values(), ids=DEVICES)
def test_training_asks_for_a_gpu_on_a_cluster_unless_somebody_says_otherwise(wish, defaults, expected):
    spec, provenance = resolve(parse(document(wish)), Profile(name="gpu", defaults=defaults), cluster=True)
    assert (spec.training.device, provenance["training.device"]) == expected


def test_a_cluster_moves_no_key():
    request = parse(document())
    assert snapshot(request, run="r", cluster=True).stages == snapshot(request, run="r").stages
    assert resolve(request)[0].training.device == "auto"


def test_a_reference_to_a_request_becomes_its_run_and_counts_in_the_key():
    request = parse(document({"data.from": {"request": "first"}, "training.from": {"request": "second"}}))
    made = snapshot(request, run="r", runs={"first": "first-1a2b", "second": "second-3c4d"})
    assert (made.spec.data.from_, made.spec.training.from_) == (
        Reference(run="first-1a2b"),
        Reference(run="second-3c4d"),
    )
    assert references(made.spec) == ()
    by_run = parse(document({"data.from": {"run": "first-1a2b"}, "training.from": {"run": "second-3c4d"}}))
    assert made.stages == snapshot(by_run, run="r").stages
    first, second = ({"first": run, "second": "second-3c4d"} for run in ("first-1a2b", "first-5e6f"))
    assert snapshot(request, run="r", runs=first).key("generate") != snapshot(
        request, run="r", runs=second
    ).key("generate")
    other = {"first": "first-1a2b", "second": "second-9999"}
    assert snapshot(request, run="r", runs=other).key("generate") == made.key("generate")
    assert snapshot(request, run="r", runs=other).key("train") != made.key("train")


WAITS = {  # changes -> what it waits for
    "nobody": ({}, ()),
    "a run, which is there": ({"data.from": {"run": "x"}}, ()),
    "a dataset": ({"data.from": {"request": "x"}}, (("x", "generate"),)),
    "an adapter": ({"training.from": {"request": "x"}}, (("x", "train"),)),
    "both of one": (
        {"data.from": {"request": "x"}, "training.from": {"request": "x"}},
        (("x", "generate"), ("x", "train")),
    ),
    "a variant's adapter": (
        {"training.variants": [{"name": "a", "overrides": {"from": {"request": "x"}}}]},
        (("x", "train"),),
    ),
}


@pytest.mark.parametrize(("wish", "expected"), WAITS.values(), ids=WAITS)
def test_what_a_request_waits_for(wish, expected):
    spec, _ = resolve(parse(document(wish)))
    assert references(spec) == expected
    runs = {name: f"{name}-run" for name, _ in expected}
    assert references(resolve(parse(document(wish)), runs=runs)[0]) == ()


def test_a_profile_that_contradicts_the_request_is_named():
    with pytest.raises(BadRequest, match=r"spec\.training: `fp16` and `bf16` are both on"):
        resolve(
            parse(document({"training.fp16": True})),
            Profile(name="gpu", defaults={"training": {"bf16": True}}),
        )
