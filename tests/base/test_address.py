"""Addresses of base models."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith_jobs.base.address import Address, read_address

GOOD = {
    "hf://org/name": Address("hub", "org/name", "main"),
    "hf://org/name@v1.0": Address("hub", "org/name", "v1.0"),
    "hf://org/name@refs/pr/3": Address("hub", "org/name", "refs/pr/3"),
    "hf://org/name@feature/x": Address("hub", "org/name", "feature/x"),
    "hf://org/name@main/m.Q4.gguf": Address("hub", "org/name", "main", "m.Q4.gguf"),
    "hf://org/name@refs/pr/3/sub/m.gguf": Address("hub", "org/name", "refs/pr/3", "sub/m.gguf"),
    "hf://org/name/m.gguf": Address("hub", "org/name", "main", "m.gguf"),
    "s3://bucket/a/b": Address("store", "s3://bucket/a/b"),
    "s3://bucket": Address("store", "s3://bucket"),
    "s3://bucket/a/m.gguf": Address("store", "s3://bucket/a", file="m.gguf"),
    "file:///models/tiny": Address("folder", "/models/tiny"),
    "file:///my%20models/tiny/": Address("folder", "/my models/tiny"),
    "file:///my models/tiny": Address("folder", "/my models/tiny"),
    "/models/m.gguf": Address("folder", "/models", file="m.gguf"),
}
BAD = (
    "hf://name",
    "hf://org/name/file.bin",
    "s3://",
    "https://huggingface.co/org/name",
    "file://host/models",
    "hf://",
)


@pytest.mark.parametrize("uri", GOOD)
def test_an_address_names_a_place(uri):
    assert read_address(uri) == GOOD[uri]


@pytest.mark.parametrize("uri", BAD)
def test_a_bad_address_is_refused_with_the_forms_there_are(uri):
    with pytest.raises(BadRequest, match="hf://org/name@revision") as caught:
        read_address(uri)
    assert caught.value.reason == "BadModelURI"
    assert repr(uri) in str(caught.value)
