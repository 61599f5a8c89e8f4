"""No way in which a program writes a secret leads it past the redaction, and words stay readable."""

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from tunesmith.secret_values import fits_header, is_secret, stripped, without_secrets

KEY = 'sk-"a/b+c\\<d&é'
WRITTEN = {  # how -> the secret as it is written
    "as it is": KEY,
    "JSON": json.dumps({"key": KEY}),
    "JSON with its own letters": json.dumps({"key": KEY}, ensure_ascii=False),
    "Python": repr([KEY]),
    "a page": html.escape(KEY),
    "a query": f"?key={quote_plus(KEY)}",
    "a path": f"/{quote(KEY)}/",
    "small hex digits": re.sub("%..", lambda escape: escape[0].lower(), quote(KEY, safe="")),
    **{
        f"base64 after {before} bytes": base64.b64encode(b"x" * before + KEY.encode() + after).decode()
        for before, after in ((0, b""), (1, b"\n"), (2, b":x"), (3, b"xx"))
    },
    "base64 for URLs": base64.urlsafe_b64encode(KEY.encode()).decode(),
}


@pytest.mark.parametrize("given", [KEY, f"{KEY}\n", f" {KEY}\r\n", f"first line of it\n{KEY}\n"])
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_hidden_however_it_is_written(given, written):
    shown = without_secrets(f"the endpoint says: {written}.", {"TUNESMITH_TEACHER_API_KEY": given})
    assert "[secret]" in shown
    for piece in ("sk-", "a/b", "a%2", base64.b64encode(KEY.encode())[4:-6].decode()):
        assert piece not in shown


def test_a_key_with_a_newline_is_hidden_where_an_endpoint_shows_it_without():
    shown = without_secrets("Bearer sk-line-break-0", {"X_API_KEY": "sk-line-break-0\n"})
    assert shown == "Bearer [secret]"


LOGINS = {
    "proxy http://user:pw@proxy:3128 refused": "proxy http://[secret]@proxy:3128 refused",
    "https://u:p@ss/w@host": "https://[secret]@ss/w@host",
    "https://token@git.example/x": "https://[secret]@git.example/x",
    "Authorization: Bearer hf_abcdefgh12": "Authorization: Bearer [secret]",
    # Nothing of these is a login.
    "use Bearer authentication": "use Bearer authentication",
    "hf://org/name@main, s3://bucket/a@b": "hf://org/name@main, s3://bucket/a@b",
    "http://host:8000/v1 and me@host.example": "http://host:8000/v1 and me@host.example",
}


@pytest.mark.parametrize(("said", "shown"), LOGINS.items())
def test_nobodys_login_is_shown(said, shown):
    assert without_secrets(said, {}) == shown


def test_a_password_of_a_proxy_is_hidden_on_its_own_too():
    environ = {"HTTPS_PROXY": "http://user:long%20password@proxy:3128"}
    shown = without_secrets("407: long password is wrong; dXNlcjpsb25nIHBhc3N3b3Jk", environ)
    assert shown == "407: [secret] is wrong; [secret]"


def test_a_short_value_is_a_word_and_not_a_secret():
    assert (
        without_secrets("the model is EMPTY", {"X_API_KEY": "EMPTY", "Y_TOKEN": "\n"}) == "the model is EMPTY"
    )


NAMES = {
    "HF_TOKEN": True,
    "TUNESMITH_TEACHER_API_KEY": True,
    "AWS_SECRET_ACCESS_KEY": True,
    "AWS_SESSION_TOKEN": True,
    "MLFLOW_TRACKING_PASSWORD": True,
    "TUNESMITH_SECRET_TEAM_A_CLAUDE": True,
    "TOKENIZERS_PARALLELISM": False,
    "TUNESMITH_S3_KMS_KEY": False,
    "AWS_WEB_IDENTITY_TOKEN_FILE": False,
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_which_variables_hold_a_secret(name, expected):
    assert is_secret(name) is expected


def test_secrets_are_stripped_and_other_variables_are_not():
    environ = {"HF_TOKEN": " t\n", "AWS_ACCESS_KEY_ID": "id\n", "NOTE": "x\n", "X_TOKEN": "t"}
    assert stripped(environ) == {"HF_TOKEN": "t", "AWS_ACCESS_KEY_ID": "id"}


@pytest.mark.parametrize(
    ("value", "fits"), [("sk-1", True), ("a b", False), ("a\nb", False), ("“sk-1”", False), ("", False)]
)
def test_what_a_header_can_carry(value, fits):
    assert fits_header(value) is fits
