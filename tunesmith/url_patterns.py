"""URLs in their parts, and patterns over them: what an `allow` of a profile says about where a request may
lead.

Pure.

A pattern has the form of the URLs it allows. `*` stands for any text within one part; as the last part of a
path, for one or more parts, so `s3://data/team-a/*` is everything below `s3://data/team-a`, and neither that
itself nor `s3://data/team-ab/x`. Without a `*` at its end a pattern allows exactly what it says. An hf://
pattern that names no revision is for each branch, tag and commit, but not for refs/…, under which the hub
keeps what anybody proposes; `hf://*` is for all.

Scheme, host, port and each part of the path are compared one by one. Whatever could be read in two ways is
refused before: `..`, empty parts, backslashes, percent signs, users in front of a host, queries.
"""

import re
from dataclasses import dataclass

_PORTS = {"http": "80", "https": "443"}
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_HOST = re.compile(r"([a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])\.?(:([0-9]+))?")
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\%?#]")


class Malformed(ValueError):
    """A URL that could be read in more than one way; the text says why."""


@dataclass(frozen=True)
class Url:
    """Where a URL leads.

    `scheme` is empty for a path; `host` for anything but http and https; `revision` but for
    hf://name@revision.
    """

    scheme: str
    host: str
    port: str
    parts: tuple[str, ...]
    revision: str = ""


def parse_url(url: str) -> Url:
    """The parts of a URL or path. Raises Malformed."""
    if found := _AMBIGUOUS.search(url):
        raise Malformed(f"it has the character {found[0]!r}")
    scheme, rest = match.groups() if (match := _URL.fullmatch(url)) else ("", url)
    if not scheme and (":" in url.partition("/")[0] or url.startswith("//")):
        raise Malformed("its scheme is none; a scheme is written in small letters, with `://`")
    host, port = "", ""
    if scheme in _PORTS:
        authority, _, rest = rest.partition("/")
        host, port = _authority(scheme, authority)
    rest, _, revision = rest.partition("@") if scheme == "hf" else (rest, "", "")
    return Url(
        scheme,
        host,
        port,
        _parts(rest, anchored=scheme in ("", "file")),
        "/".join(_parts(revision)) if revision else "",
    )


def _authority(scheme: str, authority: str) -> tuple[str, str]:
    if "@" in authority:
        raise Malformed("it has a user in front of the host")
    match = _HOST.fullmatch(authority.lower())
    if not match:
        raise Malformed(f"{authority!r} is no host")
    return match[1], str(int(match[4])) if match[4] else _PORTS[scheme]


def _parts(path: str, *, anchored: bool = False) -> tuple[str, ...]:
    """The parts between slashes. `anchored`: a first slash counts, since /a is not a."""
    root = ("/",) if anchored and path.startswith("/") else ()
    inner = path.removeprefix("/") if root else path
    parts = inner.removesuffix("/").split("/") if inner not in ("", "/") else []
    if any(part in ("", ".", "..") for part in parts):
        raise Malformed("its path has an empty part, `.` or `..`")
    return (*root, *parts)


def matches(place: Url, pattern: str) -> bool:
    """Whether a place lies within a pattern."""
    scheme, rest = match.groups() if (match := _URL.fullmatch(pattern)) else ("", pattern)
    if scheme != place.scheme:
        return False
    if scheme in _PORTS:
        authority, _, rest = rest.partition("/")
        host, colon, port = (
            authority.rpartition(":") if re.search(r":([0-9]+|\*)$", authority) else (authority, "", "")
        )
        if not (like(place.host, host.lower()) and like(place.port, port if colon else _PORTS[scheme])):
            return False
    revision = ""
    if scheme == "hf":
        rest, _, revision = rest.partition("@")
    root = ("/",) if scheme in ("", "file") and rest.startswith("/") else ()
    wanted = (*root, *filter(None, rest.split("/")))
    if not revision and wanted != ("*",) and place.revision.startswith("refs/"):
        return False
    return _within(place.parts, wanted) and like(place.revision, revision or "*")


def _within(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if wanted and wanted[-1] == "*":
        head = wanted[:-1]
        return len(parts) > len(head) and all(map(like, parts, head))
    return len(parts) == len(wanted) and all(map(like, parts, wanted))


def like(text: str, pattern: str) -> bool:
    """Whether a text is what a pattern says, in which `*` is any text and nothing else is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
