"""No way of writing a URL leads past a pattern: what matches leads, for the clients too, where the pattern
says.
"""

import posixpath
from urllib.parse import unquote, urlsplit

import hypothesis.strategies as st
import pytest
import yarl
from hypothesis import given, settings

from tunesmith.url_patterns import Malformed, Url, matches, parse_url

PLACES = {
    "https://LLM.corp.:443/v1/": Url("https", "llm.corp", "443", ("v1",)),
    "http://[::1]:8080": Url("http", "[::1]", "8080", ()),
    "hf://org/name@refs/pr/1": Url("hf", "", "", ("org", "name"), "refs/pr/1"),
    "s3://bucket/a/b": Url("s3", "", "", ("bucket", "a", "b")),
    "file:///a/b": Url("file", "", "", ("/", "a", "b")),
    "a/b": Url("", "", "", ("a", "b")),
    "/a": Url("", "", "", ("/", "a")),
}


@pytest.mark.parametrize(("url", "place"), PLACES.items(), ids=PLACES)
def test_the_parts_of_a_url(url, place):
    assert parse_url(url) == place


MALFORMED = {  # what is refused -> why
    "https://llm.corp@evil.com/v1": "user in front",
    "https://llm.corp:x@evil.com/v1": "user in front",
    "HTTPS://llm.corp/v1": "does not begin with a scheme",
    "//evil.com/v1": "does not begin with a scheme",
    "javascript:x": "does not begin with a scheme",
    "https:///v1": "is not a host",
    "https://llm.corp:/v1": "is not a host",
    "https://llm.corp:80:90/v1": "is not a host",
    "https://llm\u3002corp/v1": "is not a host",
    "https://-llm.corp/v1": "is not a host",
    "https://llm.corp/v1?x": r"character '\?'",
    "https://llm.corp/v1#x": "character '#'",
    "https://llm.corp\\@evil.com": "character",
    "s3://a/%2e%2e/b": "character '%'",
    "s3://a/b\n": "character",
    "s3://a//b": "empty part",
    "s3:///a": "empty part",
    "s3://a/./b": "empty part",
    "s3://../a": "empty part",
    "hf://a/b@../c": "empty part",
}


@pytest.mark.parametrize(("url", "why"), MALFORMED.items(), ids=list(map(repr, MALFORMED)))
def test_what_could_be_read_in_two_ways_is_refused(url, why):
    with pytest.raises(Malformed, match=why):
        parse_url(url)


def leads_into(url, pattern):
    try:
        return matches(parse_url(url), pattern)
    except Malformed:
        return False


SEGMENTS = [
    "team-a",
    "team-b",
    "..",
    ".",
    "",
    "%2e%2e",
    "%2F",
    "a\\b",
    "x",
    "team-a ",
    "TEAM-A",
    "team-a@x",
    "*",
]
COMMON = settings(max_examples=400, deadline=None, derandomize=True, database=None)


@COMMON
@given(
    st.lists(st.sampled_from(SEGMENTS), max_size=5),
    st.sampled_from(["s3://data/", "s3://data//", "S3://data/", "s3://DATA/", "s3://"]),
)
def test_what_matches_lies_below_the_folder_however_a_client_tidies_it(segments, begins):
    url = begins + "/".join(segments)
    if leads_into(url, "s3://data/team-a/*"):
        assert posixpath.normpath(unquote(url.removeprefix("s3://"))).startswith("data/team-a/")


def test_something_matches():
    assert leads_into("s3://data/team-a/x/*", "s3://data/team-a/*")


PIECES = [
    "https:",
    "http:",
    "//",
    "/",
    "llm.corp",
    "evil.com",
    "@",
    ":",
    "443",
    "8443",
    "?",
    "#",
    "\\",
    ".",
    "v1",
    "%40",
    " ",
    "LLM.CORP",
]


@COMMON
@given(st.lists(st.sampled_from(PIECES), max_size=9), st.sampled_from(["https://llm.corp", "https://", ""]))
def test_what_matches_an_endpoint_has_its_host_for_every_client(pieces, begins):
    url = begins + "".join(pieces)
    if leads_into(url, "https://llm.corp/*"):
        assert urlsplit(url).hostname.rstrip(".") == "llm.corp"
        assert yarl.URL(url).host.rstrip(".") == "llm.corp"
        assert (yarl.URL(url).scheme, yarl.URL(url).port, yarl.URL(url).user) == ("https", 443, None)
