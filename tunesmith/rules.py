"""What must hold between the fields of a request. Pure; works on a document that may be wrong in other ways too.

Each rule stands here twice, side by side: as Python for `tunesmith validate`, as CEL for the API server (crd.py places it at `path`).
CEL needs bounds on all that it loops over; they are in the models.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import Problem
from tunesmith.stages import ORDER

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """`broken(part)` says whether the part at `path` breaks the rule; `cel` says the opposite, over `self`. Empty: CEL can't say it.

    `field`: the member of the part that the problem is about, if it is one.
    """

    path: str
    why: str
    remedy: str
    broken: Callable[[Part], bool]
    cel: str = ""
    field: str = ""

    @property
    def message(self) -> str:
        """What the API server says."""
        return f"{self.why}; {self.remedy}".replace("`", "")


def _both(first: str, second: str) -> Callable[[Part], bool]:
    return lambda part: first in part and second in part


def _not_one(first: str, second: str) -> Callable[[Part], bool]:
    return lambda part: bool(part.get(first)) == bool(part.get(second))


def _split_takes_all(split: Part) -> bool:
    shares = [split.get("test", 0.1), split.get("validation", 0.0)]
    return all(isinstance(share, int | float) for share in shares) and sum(shares) >= 1


def _no_regex(answer_format: Part) -> bool:
    regex = answer_format.get("regex")
    if not isinstance(regex, str):
        return False
    try:
        re.compile(regex)
    except re.error:
        return True
    return False


def _gate_without_format(evaluation: Part) -> bool:
    gate = evaluation.get("gate")
    return isinstance(gate, Mapping) and gate.get("metric") == "formatValid" and "format" not in evaluation


def _names_another_namespace(secret: Part) -> bool:
    return isinstance(secret.get("name"), str) and "/" in secret["name"]


def _impossible_toleration(stage: Part) -> bool:
    listed = stage.get("tolerations")
    for one in listed if isinstance(listed, list | tuple) else ():
        if not isinstance(one, Mapping):
            continue
        seconds_without_eviction = "tolerationSeconds" in one and one.get("effect") != "NoExecute"
        exists = one.get("operator") == "Exists"
        if seconds_without_eviction or (exists and one.get("value")) or not (exists or one.get("key")):
            return True
    return False


def _too_much_text(spec: Part) -> bool:
    data, evaluation = (
        part if isinstance(part := spec.get(name), Mapping) else {} for name in ("data", "evaluation")
    )
    lists = [
        part if isinstance(part, list | tuple) else []
        for part in (data.get("seeds"), evaluation.get("prompts"))
    ]
    texts = [spec.get("task"), data.get("systemMessage"), *lists[0], *lists[1]]
    return sum(len(text) for text in texts if isinstance(text, str)) > _TEXT


def _own_text(part: str, field: str) -> str:
    return f"(has(self.{part}) && has(self.{part}.{field}) ? self.{part}.{field}.map(text, size(text)).sum() : 0)"


_TEXT = 200_000  # characters; the snapshot of a request lies in a ConfigMap, which holds 1 MiB
_OWN_SECRET = (
    "names a Secret of another namespace",
    "give the name alone, of a Secret in the request's own namespace",
    _names_another_namespace,
    "!self.name.contains('/')",
    "name",
)
_TOLERATION = (
    "a toleration that Kubernetes refuses",
    "tolerationSeconds goes with effect NoExecute only, operator Exists with no value, and no key with operator Exists only",
    _impossible_toleration,
    "!has(self.tolerations) || self.tolerations.all(one,"
    " (!has(one.tolerationSeconds) || (has(one.effect) && one.effect == 'NoExecute'))"
    " && !(has(one.operator) && one.operator == 'Exists' && has(one.value) && one.value != '')"
    " && ((has(one.key) && one.key != '') || (has(one.operator) && one.operator == 'Exists')))",
    "tolerations",
)
_ONE_REFERENCE = "(has(self.request) && self.request != '') != (has(self.run) && self.run != '')"

RULES = (
    Rule(
        "data",
        "`source` and `from` are both given",
        "keep one: own data, or another run's dataset",
        _both("source", "from"),
        "!(has(self.source) && has(self.from))",
    ),
    Rule(
        "data.from",
        "must name either a request or a run",
        "give exactly one of the two",
        _not_one("request", "run"),
        _ONE_REFERENCE,
    ),
    Rule(
        "training.from",
        "must name either a request or a run",
        "give exactly one of the two",
        _not_one("request", "run"),
        _ONE_REFERENCE,
    ),
    Rule(
        "data.split",
        "test and validation leave nothing to train on",
        "let them add up to less than 1",
        _split_takes_all,
        "(has(self.test) ? self.test : 0.1) + (has(self.validation) ? self.validation : 0.0) < 1.0",
    ),
    Rule(
        "training",
        "`fp16` and `bf16` are both on",
        "keep one",
        lambda training: training.get("fp16") is True and training.get("bf16") is True,
        "!(has(self.fp16) && self.fp16 && has(self.bf16) && self.bf16)",
    ),
    Rule(
        "evaluation.format",
        "must have either a jsonSchema or a regex",
        "give exactly one of the two",
        lambda answer_format: ("jsonSchema" in answer_format) == ("regex" in answer_format),
        "has(self.jsonSchema) != has(self.regex)",
    ),
    Rule("evaluation.format", "`regex` is no regular expression", "mend it; Python's syntax", _no_regex),
    Rule(
        "evaluation",
        "the gate's metric formatValid needs a format",
        "set evaluation.format",
        _gate_without_format,
        "!(has(self.gate) && has(self.gate.metric) && self.gate.metric == 'formatValid' && !has(self.format))",
    ),
    Rule(
        "",
        "`deleteWhenExpired` needs a time",
        "set ttlSecondsAfterFinished",
        lambda spec: spec.get("deleteWhenExpired") is True and "ttlSecondsAfterFinished" not in spec,
        "!(has(self.deleteWhenExpired) && self.deleteWhenExpired && !has(self.ttlSecondsAfterFinished))",
    ),
    Rule("data.teacher.secret", *_OWN_SECRET),
    Rule("model.tokenSecret", *_OWN_SECRET),
    *(Rule(f"stages.{stage}", *_TOLERATION) for stage in ORDER),
    Rule(
        "",
        f"task, system message, seeds and prompts have more than {_TEXT:,} characters together",
        "keep the task short, and give long data by data.source",
        _too_much_text,
        "size(self.task) + (has(self.data) && has(self.data.systemMessage) ? size(self.data.systemMessage) : 0)"
        f" + {_own_text('data', 'seeds')} + {_own_text('evaluation', 'prompts')} <= {_TEXT}",
    ),
)


def broken_rules(spec: Part) -> Iterator[Problem]:
    """A problem for each rule that a spec (as read, possibly malformed) breaks."""
    for rule in RULES:
        part: Any = spec
        for step in filter(None, rule.path.split(".")):
            part = part.get(step) if isinstance(part, Mapping) else None
        if isinstance(part, Mapping) and rule.broken(part):
            yield Problem(
                ".".join(filter(None, ("spec", rule.path, rule.field))), rule.why, remedy=rule.remedy
            )
