"""What would be paid for and could never be of use is refused; what is probably not meant is warned of."""

import pytest
from requests_for_tests import document

from tunesmith.errors import BadRequest
from tunesmith.least_cost import least_requests
from tunesmith.request import parse
from tunesmith.request_warnings import warnings_of
from tunesmith.resolve import resolve

SHARE_GATE = {"metric": "exactMatch", "leastGain": 0.5}
PATIENT = {"training.earlyStoppingPatience": 3}
GATE = "spec.evaluation.gate"
PATIENCE = "spec.training.earlyStoppingPatience"

REFUSED = {  # changes of the spec -> the path, and a part of why
    "a share cannot gain 5": (
        {"evaluation.gate": {"metric": "exactMatch", "leastGain": 5}},
        (f"{GATE}.leastGain", "is more than a share can gain"),
    ),
    "nor 1.01, of answers in the right form": (
        {"evaluation": {"format": {"regex": "a"}, "gate": {"metric": "formatValid", "leastGain": 1.01}}},
        (f"{GATE}.leastGain", "is more than a share can gain"),
    ),
    "a gate on answers that nobody gives": (
        {"evaluation": {"answers": 0, "gate": SHARE_GATE}},
        ("spec.evaluation.answers", "is 0, and the gate judges answers"),
    ),
    "a gate on the form of answers that nobody gives": (
        {"evaluation": {"answers": 0, "format": {"regex": "a"}, "gate": {"metric": "formatValid"}}},
        ("spec.evaluation.answers", "is 0"),
    ),
    "a gate and no test row": (
        {"evaluation.gate": {"leastGain": 0.1}, "data.split": {"test": 0}},
        (GATE, "data.split.test is 0"),
    ),
    "early stopping by no row": (
        PATIENT | {"data.split": {"validation": 0}},
        (PATIENCE, "data.split.validation is 0"),
    ),
    "early stopping by rows of which none is left": (
        PATIENT | {"data.examples": 2},
        (PATIENCE, "2 examples leave none"),
    ),
    "early stopping, and nothing is evaluated on the way": (
        {"training": {"earlyStoppingPatience": 1, "evalSteps": 0}},
        ("spec.training.evalSteps", "early stopping never stops"),
    ),
    "no module": ({"training.loraTargetModules": []}, ("spec.training.loraTargetModules", "is empty")),
    "twenty pairs in 300 tokens": (
        {"data": {"maxTokens": 300, "pairsPerCall": 20}},
        ("spec.data.maxTokens", "is too little for the pairs of one call"),
    ),
    "the model over its base": (
        {"model.base": "s3://m/base", "output": "s3://m/base/"},
        ("spec.output", "is where the base model lies"),
    ),
    "fewer requests than rows": (
        {"data": {"examples": 50, "budget": {"maxRequests": 50}}},
        ("spec.data.budget.maxRequests", "50 examples take at least 52 requests"),
    ),
    "fewer tokens than one call": (
        {"data.budget": {"maxTokens": 4000}},
        ("spec.data.budget.maxTokens", "the plan may have 4,096 tokens"),
    ),
    "less money than one call": (
        {
            "data.budget": {
                "maxUSD": 0.03,
                "usdPerMillionInputTokens": 2,
                "usdPerMillionOutputTokens": 8,
            }
        },
        ("spec.data.budget.maxUSD", "4,096 tokens, 0.0328 USD"),
    ),
    "a batch for each row": (
        {"data": {"strategy": "chain", "teacher": {"mode": "batch"}}},
        ("spec.data.teacher.mode", "would wait for a batch, up to a day, for each row"),
    ),
    "less money than one call of a batch": (
        {
            "data": {
                "plan": {"prompts": "p", "responses": "r", "topics": ["t"]},
                "maxTokens": 5000,
                "teacher": {"mode": "batch"},
                "budget": {"maxUSD": 0.01, "usdPerMillionOutputTokens": 8},
            }
        },
        ("spec.data.budget.maxUSD", "5,000 tokens, 0.0200 USD"),
    ),
    "money of a teacher whose price nobody knows": (
        {"data": {"teacher": {"model": "mine"}, "budget": {"maxUSD": 5}}},
        ("spec.data.budget.maxUSD", "no price for mine"),
    ),
    "money of a planner whose price nobody knows": (
        {"data": {"teacher": {"systemMessageModel": "mine"}, "budget": {"maxUSD": 5}}},
        ("spec.data.budget.maxUSD", "no price for mine"),
    ),
}


def refusal(changes):
    with pytest.raises(BadRequest) as caught:
        resolve(parse(document(changes)))
    return caught.value


@pytest.mark.parametrize(("changes", "says"), REFUSED.values(), ids=REFUSED)
def test_what_could_never_be_of_use_is_refused(changes, says):
    [problem] = refusal(changes).problems
    path, why = says
    assert problem.path == path
    assert why in problem.why
    assert problem.remedy


TAKEN = {  # next to what is refused
    "a share of all": {"evaluation.gate": {"metric": "exactMatch", "leastGain": 1}},
    "a loss may fall by 5": {"evaluation.gate": {"metric": "loss", "leastGain": 5}},
    "a gate on the loss needs no answer": {"evaluation": {"answers": 0, "gate": {"metric": "loss"}}},
    "the split of another run is its own": {
        "evaluation.gate": {"leastGain": 0.1},
        "data": {"from": {"run": "x"}, "split": {"test": 0}},
    },
    "early stopping by a tenth, unless said otherwise": PATIENT,
    "of own data nobody knows yet how many rows there are": PATIENT
    | {"data": {"source": {"uri": "s3://b/k"}, "examples": 2}},
    "20 pairs in 320 tokens": {"data": {"maxTokens": 320, "pairsPerCall": 20}},
    "a chain writes one pair a call": {"data": {"maxTokens": 64, "pairsPerCall": 20, "strategy": "chain"}},
    "an output beside the base": {"model.base": "s3://m/base", "output": "s3://m/base2"},
    "as many requests as it takes": {"data": {"examples": 50, "budget": {"maxRequests": 52}}},
    "several pairs a call": {"data": {"examples": 50, "pairsPerCall": 10, "budget": {"maxRequests": 7}}},
    "no plan": {"data": {"examples": 50, "strategy": "chain", "budget": {"maxRequests": 51}}},
    "the request's own prices": {
        "data": {
            "teacher": {"model": "mine"},
            "budget": {"maxUSD": 5, "usdPerMillionInputTokens": 1, "usdPerMillionOutputTokens": 1},
        }
    },
    "a price that is enough in a batch": {
        "data": {
            "plan": {"prompts": "p", "responses": "r", "topics": ["t"]},
            "maxTokens": 5000,
            "teacher": {"mode": "batch"},
            "budget": {"maxUSD": 0.021, "usdPerMillionOutputTokens": 8},
        }
    },
    "a chain of own data": {
        "data": {"source": {"uri": "s3://b/k"}, "strategy": "chain", "teacher": {"mode": "batch"}}
    },
    "own data needs no price": {
        "data": {
            "source": {"uri": "s3://b/k"},
            "teacher": {"model": "mine"},
            "budget": {"maxUSD": 5},
        }
    },
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_what_can_be_of_use_is_taken(changes):
    resolve(parse(document(changes)))


def test_everything_is_said_at_once_and_a_price_alone_has_a_reason_of_its_own():
    everything = {
        **PATIENT,
        "data": {
            "examples": 2,
            "teacher": {"model": "mine"},
            "budget": {"maxUSD": 5, "maxTokens": 1, "maxRequests": 1},
        },
    }
    error = refusal(everything)
    assert [problem.path.rpartition(".")[2] for problem in error.problems] == [
        "maxUSD",
        "maxRequests",
        "maxTokens",
        "earlyStoppingPatience",
    ]
    assert error.reason == "BadRequest"
    assert refusal(REFUSED["money of a teacher whose price nobody knows"][0]).reason == "PriceUnknown"


LEAST = {  # data -> fewest requests
    "a call for each row, one for the plan, one for the system message": ({}, 102),
    "with a system message": ({"systemMessage": "s"}, 101),
    "in a chain": ({"strategy": "chain", "pairsPerCall": 5}, 101),
    "a last call that is not full": ({"examples": 11, "pairsPerCall": 5}, 5),
    "own data": ({"source": {"uri": "s3://b/k"}}, 0),
}


@pytest.mark.parametrize(("data", "expected"), LEAST.values(), ids=LEAST)
def test_the_fewest_requests(data, expected):
    assert least_requests(parse(document({"data": data})).spec.data) == expected


WARNED = {  # changes of the spec -> path and a part of why, of each warning
    "nothing unusual": ({}, []),
    "the default is ten test rows": ({"data.examples": 100}, []),
    "12 rows": ({"data.examples": 12}, [("data.examples", "12 rows leave 1 test row, which")]),
    "a few more": ({"data.examples": 94}, [("data.examples", "94 rows leave 9 test rows")]),
    "two rows, and validation": (
        {"data": {"examples": 2, "split": {"validation": 0.1}}},
        [("data.examples", "1 test row"), ("data.split.validation", "leave no validation row")],
    ),
    "no test row, and no prompt": ({"data.split": {"test": 0}}, [("data.split.test", "nothing shows")]),
    "no test row, but prompts": ({"data.split": {"test": 0}, "evaluation.prompts": ["?"]}, []),
    "own data of unknown size": ({"data.source": {"uri": "s3://b/k"}}, []),
    "a fall of the loss that cannot be": (
        {"evaluation.gate": {"leastGain": 20}},
        [("evaluation.gate.leastGain", "merely guesses (12.5 nats")],
    ),
    "pairs of 40 tokens": (
        {"data": {"maxTokens": 400, "pairsPerCall": 10}},
        [("data.maxTokens", "leaves 40 tokens to each of the 10 pairs")],
    ),
    "as many pairs as there may be, with the built-in room": ({"data.pairsPerCall": 20}, []),
    "more seeds than rows": (
        {"data": {"examples": 100, "split": {"test": 0.5}, "seeds": ["a"] * 100}},
        [],
    ),
    "seeds for rows": (
        {"data": {"examples": 20, "split": {"test": 0.5}, "seeds": ["a"] * 21}},
        [("data.seeds", "are 21, more than the 20 examples")],
    ),
    "a teacher beside own data": (
        {"data": {"source": {"uri": "s3://b/k"}, "examples": 5, "teacher": {"model": "m"}}},
        [("data.examples", "rows come from data.source"), ("data.teacher", "rows come from data.source")],
    ),
    "a split beside another run's": (
        {"data": {"from": {"run": "x"}, "split": {"test": 0.2}}},
        [("data.split", "rows come from data.from")],
    ),
    "a deadline that ends before a batch may": (
        {"data.teacher": {"mode": "batch"}, "stages.generate": {"activeDeadlineSeconds": 86_399}},
        [("stages.generate.activeDeadlineSeconds", "is less than a batch may take")],
    ),
    "a deadline of a day": (
        {"data.teacher": {"mode": "batch"}, "stages.generate": {"activeDeadlineSeconds": 86_400}},
        [],
    ),
    "a deadline for calls": ({"stages.generate": {"activeDeadlineSeconds": 3600}}, []),
    "pairs a call in a chain": (
        {"data": {"strategy": "chain", "pairsPerCall": 5}},
        [("data.pairsPerCall", "data.strategy is chain")],
    ),
    "feedback without a chain": ({"data.feedback": 3}, [("data.feedback", "data.strategy is plan")]),
    "room for a message that is given": (
        {"data": {"systemMessage": "s", "systemMessageMaxTokens": 300}},
        [("data.systemMessageMaxTokens", "data.systemMessage is given")],
    ),
    "a warmup that the schedule has not": (
        {"training": {"lrSchedulerType": "constant", "warmupRatio": 0.1}},
        [("training.warmupRatio", "constant_with_warmup has one")],
    ),
    "a preset's own is nobody's wish": ({"training.preset": "original"}, []),
    "steps and epochs": (
        {"training": {"maxSteps": 100, "numTrainEpochs": 2}},
        [("training.numTrainEpochs", "training.maxSteps is set")],
    ),
    "Adam's rates without Adam": (
        {"training": {"optim": "sgd", "adamBeta1": 0.8}},
        [("training.adamBeta1", "is not AdamW")],
    ),
    "four bits that are not": (
        {"training": {"loadIn4bit": False, "bnb4bitQuantType": "fp4"}},
        [("training.bnb4bitQuantType", "training.loadIn4bit is false")],
    ),
}


@pytest.mark.parametrize(("changes", "expected"), WARNED.values(), ids=WARNED)
def test_what_is_probably_not_meant_is_warned_of(changes, expected):
    request = parse(document(changes))
    found = warnings_of(request, resolve(request)[0])
    assert [problem.path for problem in found] == [f"spec.{path}" for path, _ in expected]
    for problem, (_, why) in zip(found, expected, strict=True):
        assert why in problem.why
