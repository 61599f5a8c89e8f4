"""Combinations of a request's own fields that would be paid for and could never be of use. Pure.

Only what the request itself says counts here: a preset or a profile may still set the rest. What can be told
only once every value is known is in least_cost.py.
"""

from tunesmith.metrics import METRICS
from tunesmith.rule import Part, Rule, mapping

LEAST_PAIR = 16  # tokens of the shortest pair: its frame as JSON alone has about ten
SHARES = tuple(metric.name for metric in METRICS.values() if metric.unit == "share")
_OF_ANSWERS = str(list(SHARES))  # in CEL; both are measured on answers to test rows


def _number(part: Part, field: str) -> float | None:
    """A number that a part gives; None if it gives none. True and False are none."""
    value = part.get(field)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _judges_a_share(gate: Part) -> bool:
    return gate.get("metric") in SHARES


def _beyond_a_share(gate: Part) -> bool:
    least = _number(gate, "leastGain")
    return _judges_a_share(gate) and least is not None and least > 1


def _gate_without_answers(evaluation: Part) -> bool:
    return _judges_a_share(mapping(evaluation.get("gate"))) and _number(evaluation, "answers") == 0


def _split(spec: Part) -> Part:
    """The request's own split; of another run's data the split is kept, whatever this one says."""
    data = mapping(spec.get("data"))
    return {} if "from" in data else mapping(data.get("split"))


def _gate_without_test_rows(spec: Part) -> bool:
    gated = "gate" in mapping(spec.get("evaluation"))
    return gated and _number(_split(spec), "test") == 0


def _stops_early(training: Part) -> bool:
    patience = _number(training, "earlyStoppingPatience")
    return patience is not None and patience > 0


def _stops_early_without_validation(spec: Part) -> bool:
    return _stops_early(mapping(spec.get("training"))) and _number(_split(spec), "validation") == 0


def _stops_early_without_evaluations(training: Part) -> bool:
    return _stops_early(training) and _number(training, "evalSteps") == 0


def _trains_nothing(training: Part) -> bool:
    return training.get("loraTargetModules") in ([], ())


def _pairs_do_not_fit(data: Part) -> bool:
    tokens, pairs = _number(data, "maxTokens"), _number(data, "pairsPerCall")
    if tokens is None or pairs is None or data.get("strategy") == "chain":
        return False
    return tokens < LEAST_PAIR * pairs


def _delivers_onto_its_base(spec: Part) -> bool:
    output, base = spec.get("output"), mapping(spec.get("model")).get("base")
    if not isinstance(output, str) or not isinstance(base, str) or not output:
        return False
    return output in (base, f"{base}/") or f"{output}/" == base


_OWN_SPLIT = "has(self.data) && !has(self.data.from) && has(self.data.split)"
_PATIENT = "has(self.training) && has(self.training.earlyStoppingPatience)"

USELESS = (
    Rule(
        path="evaluation.gate",
        field="leastGain",
        why="is more than a share can gain",
        remedy="shares are between 0 and 1, so 0.5 asks for half of the answers more",
        broken=_beyond_a_share,
        cel=(
            f"!(has(self.metric) && self.metric in {_OF_ANSWERS} && has(self.leastGain) &&"
            " self.leastGain > 1.0)"
        ),
    ),
    Rule(
        path="evaluation",
        field="answers",
        why="is 0, and the gate judges answers",
        remedy="let models answer test rows, or set the gate's metric to loss",
        broken=_gate_without_answers,
        cel=(
            f"!(has(self.gate) && has(self.gate.metric) && self.gate.metric in {_OF_ANSWERS}"
            " && has(self.answers) && self.answers == 0)"
        ),
    ),
    Rule(
        path="",
        field="evaluation.gate",
        why="judges test rows, and data.split.test is 0",
        remedy="give the test split a share such as 0.1, or leave the gate out",
        broken=_gate_without_test_rows,
        cel=(
            f"!(has(self.evaluation) && has(self.evaluation.gate) && {_OWN_SPLIT}"
            " && has(self.data.split.test) && self.data.split.test == 0.0)"
        ),
    ),
    Rule(
        path="",
        field="training.earlyStoppingPatience",
        why="stops by validation rows, and data.split.validation is 0",
        remedy="leave that out, which gives 0.1, or set another share; or set the patience to 0",
        broken=_stops_early_without_validation,
        cel=(
            f"!({_PATIENT} && self.training.earlyStoppingPatience > 0 && {_OWN_SPLIT}"
            " && has(self.data.split.validation) && self.data.split.validation == 0.0)"
        ),
    ),
    Rule(
        path="training",
        field="evalSteps",
        why="is 0, so nothing is evaluated before the end, and early stopping never stops",
        remedy="leave it out, or set earlyStoppingPatience to 0",
        broken=_stops_early_without_evaluations,
        cel=(
            "!(has(self.earlyStoppingPatience) && self.earlyStoppingPatience > 0"
            " && has(self.evalSteps) && self.evalSteps == 0.0)"
        ),
    ),
    Rule(
        path="training",
        field="loraTargetModules",
        why="is empty, so nothing is trained",
        remedy="leave it out for every linear layer, or name modules",
        broken=_trains_nothing,
        cel="!has(self.loraTargetModules) || size(self.loraTargetModules) > 0",
    ),
    Rule(
        path="data",
        field="maxTokens",
        why="is too little for the pairs of one call",
        remedy=f"a pair takes {LEAST_PAIR} tokens at the least: raise it, or lower pairsPerCall",
        broken=_pairs_do_not_fit,
        cel=(
            "!(has(self.maxTokens) && has(self.pairsPerCall)"
            " && !(has(self.strategy) && self.strategy == 'chain')"
            f" && self.maxTokens < {LEAST_PAIR} * self.pairsPerCall)"
        ),
    ),
    Rule(
        path="",
        field="output",
        why="is where the base model lies, which would be overwritten",
        remedy="name another place",
        broken=_delivers_onto_its_base,
        cel=(
            "!has(self.output) || self.output == '' || (self.output != self.model.base"
            " && self.output != self.model.base + '/' && self.output + '/' != self.model.base)"
        ),
    ),
)
