"""URLs in their parts, and patterns for them: where the `allow` of a profile lets a request go. Pure.

A pattern has the form of the URLs that it allows. `*` stands for any text within one part. As the last part
of a path it stands for one or more parts, so `s3://data/team-a/*` is everything below `s3://data/team-a`, but
not that folder itself and not `s3://data/team-ab/x`. Without a `*` at its end a pattern allows exactly what
it says. An hf:// pattern without a revision allows every branch, tag and commit, except refs/…, where the hub
keeps what anybody proposes; `hf://*` allows everything on the hub.

Scheme, host, port and each part of the path are compared one by one. Everything that could be read in two
ways is refused first: `..`, empty parts, backslashes, percent signs, users in front of a host, queries, and
`**`, which stands for any number of parts.
"""

import re
from dataclasses import dataclass

_PORTS = {"http": "80", "https": "443"}
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_HOST = re.compile(r"([a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])\.?(:([0-9]+))?")
_PORT = re.compile(r":([0-9]+|\*)$")  # at the end of a pattern's host
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\%?#]|\*\*")


class Malformed(ValueError):
    """A URL that could be read in more than one way. The text says why."""


@dataclass(frozen=True)
class Url:
    """Where a URL leads.

    `scheme` is empty for a path, `host` and `port` for anything except http and https, and `revision` for
    anything except hf://name@revision.
    """

    scheme: str
    host: str
    port: str
    parts: tuple[str, ...]
    revision: str = ""


def parse_url(url: str) -> Url:
    """The parts of a URL or path. Raises Malformed."""
    ambiguous = _AMBIGUOUS.search(url)
    if ambiguous:
        raise Malformed(f"it has the character {ambiguous[0]!r}")
    scheme, rest = _split_scheme(url)
    if not scheme and (":" in url.partition("/")[0] or url.startswith("//")):
        raise Malformed(
            "it does not begin with a scheme; a scheme is written in lower case and followed by `://`"
        )
    host, port, revision = "", "", ""
    if scheme in _PORTS:
        authority, _, rest = rest.partition("/")
        host, port = _authority(scheme, authority)
    if scheme == "hf":
        rest, _, revision = rest.partition("@")
    return Url(
        scheme,
        host,
        port,
        _parts(rest, anchored=scheme in ("", "file")),
        "/".join(_parts(revision)) if revision else "",
    )


def _split_scheme(text: str) -> tuple[str, str]:
    match = _URL.fullmatch(text)
    return (match[1], match[2]) if match else ("", text)


def _authority(scheme: str, authority: str) -> tuple[str, str]:
    if "@" in authority:
        raise Malformed("it has a user in front of the host")
    match = _HOST.fullmatch(authority.lower())
    if not match:
        raise Malformed(f"{authority!r} is not a host")
    port = str(int(match[4])) if match[4] else _PORTS[scheme]
    return match[1], port


def _parts(path: str, *, anchored: bool = False) -> tuple[str, ...]:
    """The parts between slashes. With `anchored` a slash at the beginning is a part, since /a is not a."""
    root = ("/",) if anchored and path.startswith("/") else ()
    inner = path.removeprefix("/") if root else path
    parts = inner.removesuffix("/").split("/") if inner not in ("", "/") else []
    if any(part in ("", ".", "..") for part in parts):
        raise Malformed("its path has an empty part, `.` or `..`")
    return (*root, *parts)


def matches(url: Url, pattern: str) -> bool:
    """Whether a URL lies within a pattern."""
    scheme, rest = _split_scheme(pattern)
    if scheme != url.scheme:
        return False
    if scheme in _PORTS:
        authority, _, rest = rest.partition("/")
        if not _matches_authority(url, authority):
            return False
    revision = ""
    if scheme == "hf":
        rest, _, revision = rest.partition("@")
    root = ("/",) if scheme in ("", "file") and rest.startswith("/") else ()
    wanted = (*root, *filter(None, rest.split("/")))
    if not revision and wanted != ("*",) and url.revision.startswith("refs/"):
        return False
    return _within(url.parts, wanted) and like(url.revision, revision or "*")


def _matches_authority(url: Url, pattern: str) -> bool:
    match = _PORT.search(pattern)
    host = pattern[: match.start()] if match else pattern
    port = match[1] if match else _PORTS[url.scheme]
    return like(url.host, host.lower()) and like(url.port, port)


def _within(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if wanted and wanted[-1] == "*":
        head = wanted[:-1]
        return len(parts) > len(head) and all(map(like, parts, head))
    return len(parts) == len(wanted) and all(map(like, parts, wanted))


def like(text: str, pattern: str) -> bool:
    """Whether a text matches a pattern, in which `*` stands for any text and nothing else is special."""
    literals = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(literals), text, re.DOTALL) is not None
