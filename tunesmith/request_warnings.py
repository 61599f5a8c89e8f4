"""What a resolved request asks for that will run, and is probably not meant. Pure.

A warning never refuses anything. What could never be of use is refused: useless_rules.py, least_cost.py.
"""

import math
from collections.abc import Callable, Collection, Iterator

from tunesmith.errors import Problem
from tunesmith.metrics import METRICS
from tunesmith.request import Spec, TrainingRequest
from tunesmith.resolve import leaves
from tunesmith.split_sizes import split_sizes

FEW_TEST_ROWS = 10  # of which one answer more or less is a tenth of the figure
SHORT_PAIR = 64  # tokens; a short question and answer as JSON
BATCH_SECONDS = 86_400  # within which endpoints promise to answer a batch
# Nats per token of a model that guesses evenly among 262,144 tokens, the largest vocabulary in wide use.
_GUESSING = math.log(2**18)


def warnings_of(request: TrainingRequest, spec: Spec) -> list[Problem]:
    """Everything that is probably not meant. `spec`: the request's, resolved."""
    given = request.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    paths = [".".join(path) for path, _ in leaves(given)]
    parts = (
        _few_rows(spec),
        _gate(spec),
        _short_pairs(spec),
        _seeds(spec),
        _deadline(spec),
        _without_effect(spec, paths),
    )
    return [problem for found in parts for problem in found]


def _few_rows(spec: Spec) -> Iterator[Problem]:
    data = spec.data
    if data.from_ is not None:
        return
    if data.split.test == 0:
        if not spec.evaluation.prompts:
            yield Problem(
                "spec.data.split.test",
                "is 0 and there are no evaluation.prompts, so nothing shows whether the model got better",
                remedy="give it a share such as 0.1",
            )
        return
    if data.source is not None:  # how many rows it has is not known yet
        return
    test, validation = split_sizes(data.examples, test=data.split.test, validation=data.split.validation)
    if test < FEW_TEST_ROWS:
        yield Problem(
            "spec.data.examples",
            f"{_rows(data.examples)} leave {_rows(test, 'test ')}, which can show little",
            remedy="ask for more examples, or give data.split.test a larger share",
        )
    if data.split.validation > 0 and validation == 0:
        yield Problem(
            "spec.data.split.validation",
            f"{_rows(data.examples)} leave no validation row",
            remedy="ask for more examples",
        )


def _rows(count: int, kind: str = "") -> str:
    return f"{count} {kind}row{'s' * (count != 1)}"


def _gate(spec: Spec) -> Iterator[Problem]:
    gate = spec.evaluation.gate
    if gate is None or METRICS[gate.metric].unit == "share" or gate.least_gain <= _GUESSING:
        return
    yield Problem(
        "spec.evaluation.gate.leastGain",
        f"is more than a base model has to lose that merely guesses ({_GUESSING:.1f} nats per token)",
        gate.least_gain,
        "a gain in loss is usually between 0.1 and 2",
    )


def _short_pairs(spec: Spec) -> Iterator[Problem]:
    data = spec.data
    if not data.asks_teacher or data.strategy == "chain" or data.pairs_per_call == 1:
        return
    each = data.max_tokens // data.pairs_per_call
    if each < SHORT_PAIR:
        yield Problem(
            "spec.data.maxTokens",
            f"leaves {each} tokens to each of the {data.pairs_per_call} pairs of a call",
            data.max_tokens,
            "raise it, or lower pairsPerCall: answers that are cut are paid for and of no use",
        )


def _seeds(spec: Spec) -> Iterator[Problem]:
    data = spec.data
    if data.asks_teacher and len(data.seeds) > data.examples:
        yield Problem(
            "spec.data.seeds",
            f"are {len(data.seeds)}, more than the {data.examples} examples asked for",
            remedy="seeds are no rows: to train on them, put them with their answers into data.source",
        )


def _deadline(spec: Spec) -> Iterator[Problem]:
    deadline = spec.stages.generate.active_deadline_seconds
    if spec.data.asks_teacher and spec.data.teacher.mode == "batch" and 0 < deadline < BATCH_SECONDS:
        yield Problem(
            "spec.stages.generate.activeDeadlineSeconds",
            "is less than a batch may take, and a run waits for several, one after another",
            deadline,
            f"leave it out, or give it {BATCH_SECONDS:,} for each; what a batch has answered is kept, and "
            "one under way is found again",
        )


_OF_TEACHER = (
    "data.examples",
    "data.temperature",
    "data.strategy",
    "data.maxTokens",
    "data.systemMessageMaxTokens",
    "data.feedback",
    "data.pairsPerCall",
    "data.seeds",
    "data.seed",
    "data.teacher",
    "data.budget",
)
_OF_ADAM = ("training.adamBeta1", "training.adamBeta2", "training.adamEpsilon")
_OF_FOUR_BITS = (
    "training.bnb4bitQuantType",
    "training.bnb4bitComputeDtype",
    "training.bnb4bitUseDoubleQuant",
)
_OF_DATA = ("data.split", "data.nearDuplicates", "data.systemMessage")

# What some fields of a request are without effect beside, and the fields.
_IDLE: tuple[tuple[Callable[[Spec], bool], str, tuple[str, ...]], ...] = (
    (lambda spec: spec.data.source is not None, "the rows come from data.source", _OF_TEACHER),
    (lambda spec: spec.data.from_ is not None, "the rows come from data.from", (*_OF_TEACHER, *_OF_DATA)),
    (lambda spec: spec.data.strategy == "chain", "data.strategy is chain", ("data.pairsPerCall",)),
    (lambda spec: spec.data.strategy == "plan", "data.strategy is plan", ("data.feedback",)),
    (
        lambda spec: spec.data.system_message is not None,
        "data.systemMessage is given",
        ("data.systemMessageMaxTokens",),
    ),
    (
        lambda spec: spec.training.lr_scheduler_type == "constant",
        "training.lrSchedulerType is constant; constant_with_warmup has one",
        ("training.warmupRatio", "training.warmupSteps"),
    ),
    (lambda spec: spec.training.warmup_steps > 0, "training.warmupSteps is set", ("training.warmupRatio",)),
    (lambda spec: spec.training.max_steps > 0, "training.maxSteps is set", ("training.numTrainEpochs",)),
    (lambda spec: "adam" not in spec.training.optim, "training.optim is not AdamW", _OF_ADAM),
    (lambda spec: not spec.training.load_in_4bit, "training.loadIn4bit is false", _OF_FOUR_BITS),
)


def _without_effect(spec: Spec, given: Collection[str]) -> Iterator[Problem]:
    """Fields that the request itself gives in vain. Those of a preset or a profile are for other requests."""
    said: set[str] = set()
    for applies, why, fields in _IDLE:
        for field in fields if applies(spec) else ():
            if field not in said and any(f"{path}.".startswith(f"{field}.") for path in given):
                said.add(field)
                yield Problem(f"spec.{field}", f"has no effect: {why}")
