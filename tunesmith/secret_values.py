"""The secrets in a process's environment, and texts without them. Pure.

An endpoint may answer with the key that it was sent, a library may print it, and each may write it in another
way. So a value is looked for as it is given, stripped, line by line, and as JSON, Python, HTML, URLs and
base64 write it. A value of fewer than `SHORTEST` characters is not a secret (EMPTY, ollama) and might be a
word of the message. A password in a URL is hidden whatever its length, and whoever it belongs to.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache

from tunesmith.wire import SECRET_PREFIX

SHORTEST = 8
HIDDEN = "[secret]"
_NAMES = re.compile(
    rf"(.*_)?(API_?KEY|TOKEN|PASSWORD|PASSWD|SECRET|SECRET_ACCESS_KEY|CREDENTIALS?)|{SECRET_PREFIX}.*",
    re.IGNORECASE,
)
# Not of hf://name@revision, where no user stands.
_USER_IN_URL = re.compile(r"(?<=://)([^\s/?#]+)(?=@)")
_LOGIN = re.compile(r"((?:https?|ftp|socks[45]h?|wss?)://)[^\s/?#]+@", re.IGNORECASE)
# A word of a sentence about `Bearer tokens` has no digit.
_BEARER = re.compile(r"(\bbearer\s+)(?=\S*[0-9])[\w.~+/=-]{8,}", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z-]*[ ]+(\S+)")  # a header's value: `Bearer`, and the token itself
_PERCENT = re.compile(r"(%[0-9A-Fa-f]{2})+")
_PLAIN_IN_URL = re.compile(r"[A-Za-z0-9_.~-]")
# What a header can carry. A client that refuses another value says so with the value.
_HEADER = re.compile(r"[!-~]+")


def is_secret(name: str) -> bool:
    """Whether a variable with this name holds a secret."""
    return _NAMES.fullmatch(name) is not None


def fits_header(value: str) -> bool:
    """Whether a key can be sent: printable ASCII without blanks and line breaks."""
    return _HEADER.fullmatch(value) is not None


def stripped(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that have blanks or line breaks around them, without these.

    A Secret made from a file ends in a newline, which no client can send.
    """
    return {
        name: value.strip()
        for name, value in environ.items()
        if (is_secret(name) or name == "AWS_ACCESS_KEY_ID") and value != value.strip()
    }


def without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """The text without the secrets of an environment, without logins in URLs, and without bearer tokens."""
    text = without_own_secrets(text, environ)
    return _BEARER.sub(rf"\g<1>{HIDDEN}", _LOGIN.sub(rf"\g<1>{HIDDEN}@", text))


def without_own_secrets(text: str, environ: Mapping[str, str]) -> str:
    """The text without the secrets of an environment: for data, whose own examples of logins stay."""
    pattern = _pattern(frozenset(_values(environ)))
    return text if pattern is None else pattern.sub(HIDDEN, text)


def _values(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if is_secret(name):
            yield value
        if "://" in value and (login := _USER_IN_URL.search(value)):  # a proxy's
            yield login[1]
            yield _unquoted(login[1])
            yield _unquoted(login[1].partition(":")[2])


@lru_cache(maxsize=8)
def _pattern(values: frozenset[str]) -> re.Pattern[str] | None:
    lines = (line.strip() for value in values for line in value.split("\n"))
    tokens = (match[1] for value in values if (match := _SCHEME.fullmatch(value.strip())))
    pieces = {*values, *map(str.strip, values), *lines, *tokens}
    forms = {form for piece in pieces if len(piece) >= SHORTEST for form in _forms(piece)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


def _forms(value: str) -> Iterator[str]:
    """How programs write a value."""
    yield value
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    yield html.escape(value)
    for kept, blank in (("/", "%20"), ("", "%20"), ("", "+")):  # of a path, of a part, of a form
        in_url = _quoted(value, kept).replace("%20", blank)
        yield in_url
        yield _PERCENT.sub(lambda escapes: escapes[0].lower(), in_url)
    for encoded in _base64(value.encode("utf-8", "surrogateescape")):
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")


def _quoted(value: str, kept: str) -> str:
    """A text with percent signs, as a URL has it. `kept`: what stays beside letters, digits and `_.~-`."""
    characters = (chr(byte) for byte in value.encode("utf-8", "surrogateescape"))
    return "".join(
        character if character in kept or _PLAIN_IN_URL.fullmatch(character) else f"%{ord(character):02X}"
        for character in characters
    )


def _unquoted(text: str) -> str:
    """A text of a URL without percent signs."""
    return _PERCENT.sub(
        lambda escapes: bytes.fromhex(escapes[0].replace("%", "")).decode("utf-8", "replace"), text
    )


def _base64(data: bytes) -> Iterator[str]:
    """The characters of base64 that the value alone decides, whatever stands before and after it."""
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode()
        first = (before * 8 + 5) // 6
        yield encoded[first : (before + len(data)) * 8 // 6]
