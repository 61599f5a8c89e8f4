"""What must hold between the fields of a request. Pure. The document may be wrong in other ways too.

What Kubernetes itself asks of a stage's settings is in stage_rules.py.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tunesmith.errors import Problem
from tunesmith.rule import Part, Rule, listed, mapping
from tunesmith.stage_rules import stage_rules
from tunesmith.stages import ORDER
from tunesmith.teacher_rules import TEACHER_RULES
from tunesmith.useless_rules import USELESS
from tunesmith.wire import STORE_FORMS

_REGEX, _GROUPS = 1000, 100  # characters, opening brackets: the bounds of the field
_FAR_COUNT = "[{][0-9]*,?[0-9]{5}"  # Python fails beyond 2^32, and is slow long before
_WITHOUT_CASE = "[(][?][a-zA-Z]*i"  # [\x00-\U0010ffff] then takes 10 ms, character by character
_NO_BUCKET = "^(?i:s3)://(/|$)"
_CALL = "/(chat/completions|completions|responses|messages|embeddings)/?([?].*)?$"
# organisation/name, then a revision behind an @, or a GGUF file
_ON_HUB = "(?i:hf)://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+(@.*|/.+[.]gguf|/?)"
_TEXT = 200_000  # characters; the snapshot of a request lies in a ConfigMap, which holds 1 MiB


def _has_source_and_reference(data: Part) -> bool:
    return "source" in data and "from" in data


def _plan_for_a_chain(data: Part) -> bool:
    return data.get("strategy") == "chain" and ("plan" in data or "evolve" in data)


def _documents_without_a_plan(data: Part) -> bool:
    return "documents" in data and ("source" in data or "from" in data or data.get("strategy") == "chain")


def _asks_of_given_rows(data: Part) -> bool:
    given = "source" in data or "from" in data
    return given and any(name in data for name in ("judge", "agreement", "evolve", "plan"))


def _names_none_or_both(reference: Part) -> bool:
    return bool(reference.get("request")) == bool(reference.get("run"))


def _split_takes_all(split: Part) -> bool:
    test = split.get("test", 0.1)
    validation = split.get("validation", 0.0)
    if not isinstance(test, int | float) or not isinstance(validation, int | float):
        return False
    return test + validation >= 1


def _both_precisions(training: Part) -> bool:
    return training.get("fp16") is True and training.get("bf16") is True


def _no_format_or_both(answer_format: Part) -> bool:
    return ("jsonSchema" in answer_format) == ("regex" in answer_format)


def _counts_too_far(answer_format: Part) -> bool:
    regex = answer_format.get("regex")
    return isinstance(regex, str) and re.search(_FAR_COUNT, regex) is not None


def _malformed_regex(answer_format: Part) -> bool:
    """Whether Python refuses the expression.

    This is asked by the controller, so only of what compiles in a moment: within the bounds of the field, and
    where case counts. The others are looked at by `tunesmith validate` and before the first stage spends
    anything.
    """
    regex = answer_format.get("regex")
    if not isinstance(regex, str) or len(regex) > _REGEX or regex.count("(") > _GROUPS:
        return False
    if _counts_too_far(answer_format) or re.search(_WITHOUT_CASE, regex):
        return False
    try:
        re.compile(regex)
    except (re.error, OverflowError, RecursionError):
        return True
    return False


def _gate_without_format(evaluation: Part) -> bool:
    gate = evaluation.get("gate")
    judges_format = isinstance(gate, Mapping) and gate.get("metric") == "formatValid"
    return judges_format and "format" not in evaluation


def _deleted_at_no_time(spec: Part) -> bool:
    return spec.get("deleteWhenExpired") is True and "ttlSecondsAfterFinished" not in spec


def _names_another_namespace(secret: Part) -> bool:
    return isinstance(secret.get("name"), str) and "/" in secret["name"]


def _too_much_text(spec: Part) -> bool:
    data = mapping(spec.get("data"))
    evaluation = mapping(spec.get("evaluation"))
    texts = [
        spec.get("task"),
        data.get("systemMessage"),
        *listed(data.get("seeds")),
        *listed(evaluation.get("prompts")),
    ]
    return sum(len(text) for text in texts if isinstance(text, str)) > _TEXT


def _address_of_a_call(teacher: Part) -> bool:
    url = teacher.get("baseURL")
    return isinstance(url, str) and re.search(_CALL, url) is not None


def _malformed_hub_model(model: Part) -> bool:
    base = model.get("base")
    return isinstance(base, str) and base.lower().startswith("hf://") and re.fullmatch(_ON_HUB, base) is None


def _version_of_no_object(files: Part) -> bool:
    version, uri = files.get("version"), files.get("uri")
    return isinstance(version, str) and version != "" and isinstance(uri, str) and not uri.startswith("s3://")


def _size_of_list(part: str, field: str) -> str:
    there = f"has(self.{part}) && has(self.{part}.{field})"
    return f"({there} ? self.{part}.{field}.map(text, size(text)).sum() : 0)"


def _place(path: str, field: str, what: str, schemes: Iterable[str], remedy: str) -> Rule:
    """An address with a scheme has one of these. A path, or a name, has none."""
    known = f"^(?i:{'|'.join(schemes)})://"

    def is_elsewhere(part: Part) -> bool:
        address = part.get(field)
        return isinstance(address, str) and "://" in address and re.search(known, address) is None

    return Rule(
        path=path,
        field=field,
        why=f"is at a place that {what} not read from",
        remedy=f"{remedy} {' or '.join(STORE_FORMS.values())}",
        broken=is_elsewhere,
        cel=f"!self.{field}.contains('://') || self.{field}.matches('{known}')",
    )


def _bucket(path: str, field: str) -> Rule:
    """An address of S3 names a bucket."""

    def lacks_it(part: Part) -> bool:
        address = part.get(field)
        return isinstance(address, str) and re.search(_NO_BUCKET, address) is not None

    return Rule(
        path=path,
        field=field,
        why="names no bucket",
        remedy=f"write {STORE_FORMS['s3']}",
        broken=lacks_it,
        cel=f"!has(self.{field}) || !self.{field}.matches('{_NO_BUCKET}')",
    )


def _version(path: str) -> Rule:
    return Rule(
        path=path,
        field="version",
        why="is that of an object in S3, and the uri names none",
        remedy="leave it out; sha256 says what a file must hold",
        broken=_version_of_no_object,
        cel="!has(self.version) || self.version == '' || self.uri.startsWith('s3://')",
    )


def _reference(path: str) -> Rule:
    return Rule(
        path=path,
        why="must name either a request or a run",
        remedy="give exactly one of the two",
        broken=_names_none_or_both,
        cel="(has(self.request) && self.request != '') != (has(self.run) && self.run != '')",
    )


def _own_secret(path: str) -> Rule:
    return Rule(
        path=path,
        field="name",
        why="names a Secret of another namespace",
        remedy="give only the name of a Secret in the request's own namespace",
        broken=_names_another_namespace,
        cel="!self.name.contains('/')",
    )


RULES = (
    Rule(
        path="data",
        why="`source` and `from` are both given",
        remedy="keep one of them: your own data, or another run's dataset",
        broken=_has_source_and_reference,
        cel="!(has(self.source) && has(self.from))",
    ),
    Rule(
        path="data",
        why="`plan` and `evolve` are for the strategy plan",
        remedy="leave them out, or leave `strategy: chain` out",
        broken=_plan_for_a_chain,
        cel="!(has(self.strategy) && self.strategy == 'chain' && (has(self.plan) || has(self.evolve)))",
    ),
    Rule(
        path="data",
        why="`plan`, `judge`, `agreement` and `evolve` are for rows that a teacher writes",
        remedy="leave them out beside `source` and `from`",
        broken=_asks_of_given_rows,
        cel=(
            "!((has(self.source) || has(self.from))"
            " && (has(self.judge) || has(self.agreement) || has(self.evolve) || has(self.plan)))"
        ),
    ),
    Rule(
        path="data",
        why="`documents` are for rows that a teacher writes by a plan",
        remedy="leave them out beside `source`, `from` and `strategy: chain`",
        broken=_documents_without_a_plan,
        cel=(
            "!(has(self.documents) && (has(self.source) || has(self.from)"
            " || (has(self.strategy) && self.strategy == 'chain')))"
        ),
    ),
    _reference("data.from"),
    _reference("training.from"),
    _place(
        "data.source",
        "uri",
        "data are",
        ("hf", *STORE_FORMS),
        "a dataset on the hub is written hf://datasets/organisation/name; or give a path, or",
    ),
    _bucket("data.source", "uri"),
    _version("data.source"),
    _place("data.documents", "uri", "documents are", STORE_FORMS, "give a path, or"),
    _bucket("data.documents", "uri"),
    _version("data.documents"),
    Rule(
        path="data.teacher",
        field="baseURL",
        why="is the address of a call",
        remedy="leave the end out: the base URL ends in /v1 for most endpoints",
        broken=_address_of_a_call,
        cel=f"!has(self.baseURL) || !self.baseURL.matches('{_CALL}')",
    ),
    *TEACHER_RULES,
    _place(
        "model",
        "base",
        "models are",
        ("hf", *STORE_FORMS),
        "a model on the hub is written hf://organisation/name; or give a path, or",
    ),
    _bucket("model", "base"),
    Rule(
        path="model",
        field="base",
        why="is no address on the hub",
        remedy="write hf://organisation/name, then @revision if you want one, or /file.gguf",
        broken=_malformed_hub_model,
        cel=f"!self.base.matches('^(?i:hf)://') || self.base.matches('^{_ON_HUB}$')",
    ),
    _bucket("", "output"),
    Rule(
        path="data.split",
        why="test and validation leave nothing to train on",
        remedy="let them add up to less than 1",
        broken=_split_takes_all,
        cel="(has(self.test) ? self.test : 0.1) + (has(self.validation) ? self.validation : 0.0) < 1.0",
    ),
    Rule(
        path="training",
        why="`fp16` and `bf16` are both on",
        remedy="keep one of them",
        broken=_both_precisions,
        cel="!(has(self.fp16) && self.fp16 && has(self.bf16) && self.bf16)",
    ),
    Rule(
        path="evaluation.format",
        why="must have either a jsonSchema or a regex",
        remedy="give exactly one of the two",
        broken=_no_format_or_both,
        cel="has(self.jsonSchema) != has(self.regex)",
    ),
    Rule(
        path="evaluation.format",
        field="regex",
        why="counts further than 9999",
        remedy="give counts such as {2,5} at most four digits",
        broken=_counts_too_far,
        cel=f"!has(self.regex) || !self.regex.matches('{_FAR_COUNT}')",
    ),
    Rule(
        path="evaluation.format",
        why="`regex` is not a regular expression",
        remedy="correct it; the syntax is that of Python",
        broken=_malformed_regex,
    ),
    Rule(
        path="evaluation",
        why="the gate's metric formatValid needs a format",
        remedy="set evaluation.format",
        broken=_gate_without_format,
        cel=(
            "!(has(self.gate) && has(self.gate.metric)"
            " && self.gate.metric == 'formatValid' && !has(self.format))"
        ),
    ),
    *USELESS,
    Rule(
        path="",
        why="`deleteWhenExpired` needs a time",
        remedy="set ttlSecondsAfterFinished",
        broken=_deleted_at_no_time,
        cel=(
            "!(has(self.deleteWhenExpired) && self.deleteWhenExpired && !has(self.ttlSecondsAfterFinished))"
        ),
    ),
    _own_secret("data.teacher.secret"),
    _own_secret("model.tokenSecret"),
    *(rule for stage in ORDER for rule in stage_rules(f"stages.{stage}")),
    Rule(
        path="",
        why=f"task, system message, seeds and prompts together have more than {_TEXT:,} characters",
        remedy="keep the task short, and move long data to a file and name it in data.source",
        broken=_too_much_text,
        cel=(
            "size(self.task)"
            " + (has(self.data) && has(self.data.systemMessage) ? size(self.data.systemMessage) : 0)"
            f" + {_size_of_list('data', 'seeds')} + {_size_of_list('evaluation', 'prompts')} <= {_TEXT}"
        ),
    ),
)


def broken_rules(spec: Part) -> Iterator[Problem]:
    """A problem for each rule that a spec (as read, possibly malformed) breaks."""
    for rule in RULES:
        part = _at(spec, rule.path)
        found = rule.broken(part) if isinstance(part, Mapping) else False
        path = ".".join(filter(None, ("spec", rule.path, rule.field)))
        if found is True:
            yield Problem(path, rule.why, remedy=rule.remedy)
        elif found:
            yield from (Problem(f"{path}[{member}]", rule.why, remedy=rule.remedy) for member in found)


def _at(spec: Part, path: str) -> Any:
    part: Any = spec
    for step in filter(None, path.split(".")):
        part = part.get(step) if isinstance(part, Mapping) else None
    return part
