"""Own data instead of a teacher: JSONL or CSV -> rows. Every bad line is named with its number and what is wrong.

A row has a prompt and a response (and may have `system` and `history`, as our own datasets do), or chat messages as OpenAI's fine-tuning
takes them: an optional system message, then user and assistant in turn; the last answer is what is learnt.
"""

import codecs
import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import BadData, Gone, Problem, TryAgain, TunesmithError
from tunesmith.manifest import Pin
from tunesmith.settings import Fields, Source
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate.dataset import Dataset, turns
from tunesmith_jobs.rows import Row
from tunesmith_jobs.storage import NotFound, open_store

SHOWN = 20  # bad lines named in a message
_PATH = "spec.data.source"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_TURNS = ("user", "assistant")


class _BadLine(ValueError):
    """`kind`: one of a few words, for counting."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True)
class Read:
    """Rows of a source, and what is wrong with it; `bad`: (line, kind, why)."""

    rows: list[Row]
    bad: list[tuple[int, str, str]]

    def problems(self, name: str) -> list[Problem]:
        """The bad lines: a count of each kind, then the first of them."""
        if not self.bad:
            return [] if self.rows else [Problem(name, "has no rows")]
        kinds = ", ".join(
            f"{count} x {kind}" for kind, count in Counter(kind for _, kind, _ in self.bad).most_common()
        )
        named = [Problem(f"{name}, line {line}", why) for line, _, why in self.bad[:SHOWN]]
        rest = len(self.bad) - len(named)
        return [
            Problem(
                name, f"{len(self.bad)} of {len(self.bad) + len(self.rows)} rows cannot be used: {kinds}"
            ),
            *named,
        ] + ([Problem(name, f"and {rest} more")] if rest else [])


def own_rows(attempt: Attempt) -> Dataset:
    """The dataset of `data.source`. Raises BadData with all bad lines, Gone if the source is not what was pinned."""
    source = _source(attempt)
    data = fetch(source.uri)
    digest = hashlib.sha256(data).hexdigest()
    pin = attempt.pin("source", lambda: Pin(uri=source.uri, revision=digest, size=len(data)))
    if pin.revision != digest:
        raise Gone(
            f"{source.uri} has changed since this run first read it (sha256 {pin.revision[:12]}… then, {digest[:12]}… now)",
            reason="SourceChanged",
            remedy="put the old file back, or set `rerun: {from: generate, id: <new>}` to take the new one",
        )
    read = parse_source(data, source)
    if problems := read.problems(source.uri):
        raise BadData(
            f"{source.uri} cannot be used as it is",
            reason="BadRows",
            problems=problems,
            remedy="correct the file and run again",
        )
    dataset = Dataset(attempt.spec.data.near_duplicates)
    dataset.system_message, rows = _system_message(attempt, read.rows)
    for row in rows:
        dataset.offer(row)
    return dataset


def check_source(attempt: Attempt) -> list[Problem]:
    """What is wrong with `data.source`, for the preflight; nothing where there is none."""
    if attempt.spec.data.source is None:
        return []
    source = _source(attempt)
    try:
        return parse_source(fetch(source.uri), source).problems(source.uri)
    except TryAgain:
        raise
    except TunesmithError as error:
        return [*error.problems] or [Problem(f"{_PATH}.uri", error.message, source.uri, error.remedy)]


def fetch(uri: str) -> bytes:
    """All bytes of a source. Raises BadData if it is not there, and what the store raises."""
    missing = BadData(
        f"{uri} is not there",
        reason="SourceNotFound",
        problems=[Problem(f"{_PATH}.uri", "no such file or object", uri)],
    )
    if uri.startswith("s3://"):
        folder, _, name = uri.rpartition("/")
        try:
            return open_store(folder).read(name)
        except NotFound:
            raise missing from None
    path = Path(uri.removeprefix("file://"))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise missing from None
    except OSError as error:
        problem = Problem(f"{_PATH}.uri", f"cannot be read: {error.strerror}", uri)
        raise BadData(f"{uri} cannot be read", reason="SourceNotFound", problems=[problem]) from error


def parse_source(data: bytes, source: Source) -> Read:
    """The rows in a file's bytes. Raises BadData where the file as a whole cannot be read."""
    text = decode(data, source.encoding, source.uri)
    is_csv = source.format == "csv" or (
        source.format == "auto" and source.uri.lower().endswith((".csv", ".tsv"))
    )
    rows: list[Row] = []
    bad: list[tuple[int, str, str]] = []
    for line, value in _csv_lines(text, source) if is_csv else _json_lines(text):
        try:
            rows.append(
                _row(f"l{line:06d}", value if isinstance(value, dict) else _json(value), source.fields)
            )
        except _BadLine as error:
            bad.append((line, error.kind, str(error)))
    return Read(rows, bad)


def decode(data: bytes, encoding: str, name: str) -> str:
    """Bytes as text; `auto`: by a mark, else UTF-8, else Windows-1252. Raises BadData."""
    if encoding == "auto":
        marked = next((found for mark, found in _MARKS if data.startswith(mark)), None)
        candidates = [marked] if marked else ["utf-8", "cp1252"]
    else:
        candidates = [encoding]
    why = ""
    for candidate in candidates:
        try:
            return data.decode(candidate).removeprefix("\ufeff")
        except LookupError:
            why = f"there is no encoding {candidate!r}"
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            why = f"is not {candidate}: byte {error.start}, line {line}, {error.reason}"
    problem = Problem(
        f"{_PATH}.encoding", why, encoding, "name the file's encoding, such as utf-8, utf-16, cp1252, gb18030"
    )
    raise BadData(f"{name} cannot be decoded", reason="BadEncoding", problems=[problem])


def _source(attempt: Attempt) -> Source:
    source = attempt.spec.data.source
    assert source is not None
    return source


def _json_lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _json(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _BadLine("no JSON", f"is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _BadLine("no object", "is no JSON object")
    return value


def _csv_lines(text: str, source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = list(reader.fieldnames or ())
    wanted = [source.fields.prompt, source.fields.response]
    if lacking := [name for name in wanted if name not in names]:
        problem = Problem(
            f"{_PATH}.fields",
            f"no column {' and no column '.join(map(repr, lacking))}",
            names,
            "set data.source.fields",
        )
        raise BadData(f"{source.uri} lacks columns", reason="BadColumns", problems=[problem])
    line = 1
    try:
        for row in reader:
            line, begin = reader.line_num, line + 1
            yield begin, {name: value for name, value in row.items() if name is not None}
    except csv.Error as error:
        problem = Problem(f"{source.uri}, line {reader.line_num}", f"is no CSV: {error}")
        raise BadData(f"{source.uri} cannot be read", reason="BadRows", problems=[problem]) from error


def _row(name: str, value: dict[str, Any], fields: Fields) -> Row:
    if value.get(fields.messages):
        return _of_messages(name, value[fields.messages], fields.messages)
    system, history = value.get("system"), value.get("history") or []
    return Row(
        id=name,
        prompt=_text(value, fields.prompt),
        response=_text(value, fields.response),
        system=system if isinstance(system, str) and system else None,
        history=turns(_alternating(_messages(history, "history"), "history")),
    )


def _text(value: dict[str, Any], field: str) -> str:
    if field not in value:
        raise _BadLine(
            f"no {field}",
            f"has no field {field!r} (it has {', '.join(map(repr, list(value)[:6])) or 'none'})",
        )
    text = value[field]
    if not isinstance(text, str):
        raise _BadLine(f"{field} is no text", f"{field!r} is no text but {type(text).__name__}")
    if not text.strip():
        raise _BadLine(f"empty {field}", f"{field!r} is empty")
    return text


def _of_messages(name: str, value: Any, field: str) -> Row:
    messages = _messages(value, field)
    system = None
    if messages and messages[0][0] in ("system", "developer"):
        system = messages.pop(0)[1]
    _alternating(messages, field)
    if len(messages) < 2:
        raise _BadLine("no answer", f"{field!r} must have a user's message and the assistant's answer")
    (_, prompt), (_, response) = messages[-2:]
    if not prompt.strip() or not response.strip():
        raise _BadLine("empty message", f"the last two of {field!r} must not be empty")
    return Row(id=name, prompt=prompt, response=response, system=system or None, history=turns(messages[:-2]))


def _messages(value: Any, field: str) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        raise _BadLine(f"{field} is no list", f"{field!r} is no list of messages")
    found = []
    for number, message in enumerate(value, start=1):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str):
            raise _BadLine("bad message", f"message {number} of {field!r} has no role")
        found.append((role, _content(message.get("content"), number, field)))
    return found


def _content(content: Any, number: int, field: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    raise _BadLine("bad message", f"message {number} of {field!r} has no text as content")


def _alternating(messages: list[tuple[str, str]], field: str) -> list[tuple[str, str]]:
    for number, (role, _) in enumerate(messages):
        if role != _TURNS[number % 2]:
            raise _BadLine(
                "roles",
                f"{field!r} must be user and assistant in turn, ending with assistant; found {role!r}",
            )
    if len(messages) % 2:
        raise _BadLine("no answer", f"{field!r} must end with the assistant's answer")
    return messages


def _system_message(attempt: Attempt, rows: list[Row]) -> tuple[str, list[Row]]:
    """The dataset's system message: the request's, else the one that all rows share, else the task. Others stay with their rows."""
    if (given := attempt.spec.data.system_message) is not None:
        return given, [row.model_copy(update={"system": None}) for row in rows]
    own = {row.system for row in rows}
    if len(own) == 1 and (shared := own.pop()) is not None:
        return shared, [row.model_copy(update={"system": None}) for row in rows]
    return attempt.spec.task, rows
