"""What Kubernetes asks of `stages.<name>`: an accepted request never makes a Job that it refuses. Pure.

A structural schema bounds the values of a mapping, but not its keys, and knows no resource by its name.
"""

import re
from collections.abc import Iterator

from tunesmith.quantities import PATTERN, exact
from tunesmith.rule import Part, Rule, listed, mapping

# No \s, \w or \d, which Go's regular expressions read otherwise than Python's.
_DOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_VARIABLE = "^[A-Za-z_][-A-Za-z0-9_.]*$"
_LABEL = f"^({_DOMAIN}/)?{_NAME}$"
_HUGE_PAGES = "hugepages-"
_RESOURCE = f"^(cpu|memory|ephemeral-storage|{_HUGE_PAGES}[1-9][0-9]{{0,3}}[KMG]i|{_DOMAIN}/{_NAME})$"
_RESERVED = "requests."  # Kubernetes names quotas so
_NAME_LENGTH = 240  # Kubernetes takes 253, and puts `requests.` in front of some

_KINDS = ("requests", "limits")
_UNIT = "(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)"
_BYTES = f"^[0-9]+(([.][0-9]+)?{_UNIT})?$"
_COUNT = f"^[0-9]+{_UNIT}?$"
_IN_BYTES = ("memory", "ephemeral-storage")
# The most of each: beyond every machine, and far within the integers of schedulers and device plugins.
_MOST_CORES = "4096"
_MOST_BYTES = "1P"
_MOST_GPUS = "1024"  # train starts a process for each
_MOST_OTHERS = "2147483647"


def stage_rules(path: str) -> tuple[Rule, ...]:
    """The rules for the settings of one stage."""
    return (
        _tolerations(path),
        _keys(path, "env", _VARIABLE, _VARIABLE_WORDS),
        _keys(path, "nodeSelector", _LABEL, _LABEL_WORDS),
        _resource_names(path),
        _amounts(path),
        _requests_within_limits(path),
    )


_LABEL_WORDS = (
    "has a label that Kubernetes refuses",
    "write name or domain/name: the name with letters, digits, dashes, dots and underscores, at most 63, the "
    f"domain in small letters; at most {_NAME_LENGTH} in all",
)
_VARIABLE_WORDS = (
    "has a variable whose name cannot be used",
    "begin it with a letter or an underscore, go on with letters, digits, underscores, dashes and dots, at "
    f"most {_NAME_LENGTH} in all",
)


def _keys(path: str, field: str, pattern: str, words: tuple[str, str]) -> Rule:
    """A rule on the keys of a mapping. `words`: what is wrong, and what to do."""

    def broken(stage: Part) -> bool:
        return not all(_is_named(name, pattern) for name in mapping(stage.get(field)))

    why, remedy = words
    cel = f"!has(self.{field}) || self.{field}.all(name, {_named_in_cel(pattern)})"
    return Rule(path=path, field=field, why=why, remedy=remedy, broken=broken, cel=cel)


def _is_named(name: str, pattern: str) -> bool:
    return len(name) <= _NAME_LENGTH and re.fullmatch(pattern, name) is not None


def _named_in_cel(pattern: str) -> str:
    return f"size(name) <= {_NAME_LENGTH} && name.matches('{pattern}')"


def _tolerations(path: str) -> Rule:
    return Rule(
        path=path,
        field="tolerations",
        why="has a toleration that Kubernetes refuses",
        remedy=(
            "use tolerationSeconds only with effect NoExecute, no value with operator Exists, "
            "and no key only with operator Exists"
        ),
        broken=_has_impossible_toleration,
        cel=(
            "!has(self.tolerations) || self.tolerations.all(one,"
            " (!has(one.tolerationSeconds) || (has(one.effect) && one.effect == 'NoExecute'))"
            " && !(has(one.operator) && one.operator == 'Exists' && has(one.value) && one.value != '')"
            " && ((has(one.key) && one.key != '') || (has(one.operator) && one.operator == 'Exists')))"
        ),
    )


def _has_impossible_toleration(stage: Part) -> bool:
    return any(_is_impossible(mapping(toleration)) for toleration in listed(stage.get("tolerations")))


def _is_impossible(toleration: Part) -> bool:
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        return True
    if toleration.get("operator") == "Exists":
        return bool(toleration.get("value"))
    return not toleration.get("key")


def _resource_names(path: str) -> Rule:
    def broken(stage: Part) -> bool:
        return not all(_is_resource(name) for _, name, _ in _asked(stage))

    named = f"{_named_in_cel(_RESOURCE)} && !name.startsWith('{_RESERVED}')"
    return Rule(
        path=path,
        field="resources",
        why="asks for a resource that no container can have",
        remedy="name cpu, memory, ephemeral-storage, or a device such as nvidia.com/gpu",
        broken=broken,
        cel=_of_both(f"self.resources.KIND.all(name, {named})"),
    )


def _is_resource(name: str) -> bool:
    return _is_named(name, _RESOURCE) and not name.startswith(_RESERVED)


def _amounts(path: str) -> Rule:
    amount = "self.resources.KIND[name]"
    most = (
        f"name == 'cpu' ? '{_MOST_CORES}' : name in {list(_IN_BYTES)} || name.startsWith('{_HUGE_PAGES}')"
        f" ? '{_MOST_BYTES}' : name.endsWith('/gpu') ? '{_MOST_GPUS}' : '{_MOST_OTHERS}'"
    )
    pages = f"quantity(name.substring({len(_HUGE_PAGES)})).asInteger()"
    return Rule(
        path=path,
        field="resources",
        why="has an amount that cannot be",
        remedy=(
            f"give at most {_MOST_CORES} cores, {_MOST_BYTES} of memory or storage, {_MOST_GPUS} GPUs, "
            f"{_MOST_OTHERS} of other devices; of all but cores whole numbers, so no m, which is a thousandth"
        ),
        broken=_has_impossible_amount,
        cel=_of_both(
            f"self.resources.KIND.all(name, !{amount}.matches('{PATTERN}')"
            f" || (quantity({amount}).compareTo(quantity({most})) <= 0"
            f" && (name == 'cpu' || {amount}.matches(name in {list(_IN_BYTES)} ? '{_BYTES}' : '{_COUNT}'))"
            f" && (!name.startsWith('{_HUGE_PAGES}') || quantity({amount}).asInteger() % {pages} == 0)))"
        ),
    )


def _has_impossible_amount(stage: Part) -> bool:
    for _, name, text in _asked(stage):
        try:
            if _is_resource(name) and not _can_be(name, text):
                return True
        except ValueError:  # it is no amount, and its pattern says so
            continue
    return False


def _can_be(name: str, text: str) -> bool:
    amount = exact(text)
    if name == "cpu":
        return amount <= exact(_MOST_CORES)
    if name in _IN_BYTES:
        return amount <= exact(_MOST_BYTES) and re.fullmatch(_BYTES, text) is not None
    if re.fullmatch(_COUNT, text) is None:
        return False
    if name.startswith(_HUGE_PAGES):
        return amount <= exact(_MOST_BYTES) and amount % exact(name.removeprefix(_HUGE_PAGES)) == 0
    return amount <= exact(_MOST_GPUS if name.endswith("/gpu") else _MOST_OTHERS)


def _requests_within_limits(path: str) -> Rule:
    request, limit = "self.resources.requests[name]", "self.resources.limits[name]"
    return Rule(
        path=path,
        field="resources",
        why="requests more than its own limit",
        remedy="raise the limit, or lower the request",
        broken=_requests_more,
        cel=(
            "!has(self.resources) || !has(self.resources.requests) || !has(self.resources.limits)"
            " || self.resources.requests.all(name, !(name in self.resources.limits)"
            f" || !{request}.matches('{PATTERN}') || !{limit}.matches('{PATTERN}')"
            f" || quantity({request}).compareTo(quantity({limit})) <= 0)"
        ),
    )


def _requests_more(stage: Part) -> bool:
    limits = {name: text for kind, name, text in _asked(stage) if kind == "limits"}
    for kind, name, text in _asked(stage):
        try:
            if kind == "requests" and name in limits and exact(text) > exact(limits[name]):
                return True
        except ValueError:
            continue
    return False


def _of_both(condition: str) -> str:
    """CEL for a stage's requests and limits, where there are any; KIND in the condition stands for both."""
    parts = [f"(!has(self.resources.{kind}) || {condition.replace('KIND', kind)})" for kind in _KINDS]
    return f"!has(self.resources) || ({' && '.join(parts)})"


def _asked(stage: Part) -> Iterator[tuple[str, str, str]]:
    """Every amount that a stage asks for: of what kind, of what, and how much."""
    resources = mapping(stage.get("resources"))
    for kind in _KINDS:
        for name, text in mapping(resources.get(kind)).items():
            if isinstance(text, str):
                yield kind, name, text
