"""Calls: what is asked for a call, what is not, and how an answer becomes an error."""

import ast
import inspect
import threading
import time
from pathlib import Path

import pytest
from controller.shell.played_server import Answer, Asked, playing
from kubernetes.config import ConfigException

import tunesmith_controller
from tunesmith_controller.api import (
    Api,
    ApiError,
    Call,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    Throttled,
    Timeout,
    Unreachable,
    error_of,
)
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.rights import JOBS, PODS, REQUEST_FINALIZERS, RIGHTS, Resource

PATHS = {
    ("", ""): "/apis/batch/v1/jobs",
    ("a", ""): "/apis/batch/v1/namespaces/a/jobs",
    ("a", "x"): "/apis/batch/v1/namespaces/a/jobs/x",
}


@pytest.mark.parametrize(("where", "path"), PATHS.items())
def test_paths_of_a_group(where: tuple[str, str], path: str) -> None:
    assert JOBS.path(*where) == path


def test_paths_of_the_core_of_subresources_and_of_what_has_no_namespace() -> None:
    assert PODS.path("a", "x") == "/api/v1/namespaces/a/pods/x"
    assert (
        Resource("g", "v1", "things", subresource="status").path("a", "x")
        == "/apis/g/v1/namespaces/a/things/x/status"
    )
    assert Resource("g", "v1", "things", namespaced=False).path("a", "x") == "/apis/g/v1/things/x"


ERRORS = [
    (403, b'{"kind":"Status","reason":"Forbidden","message":"no"}', Forbidden),
    (404, b'{"kind":"Status","reason":"NotFound","message":"no"}', NotFound),
    (409, b'{"kind":"Status","reason":"Conflict","message":"no"}', Conflict),
    (410, b'{"kind":"Status","reason":"Expired","message":"no"}', Gone),
    (429, b'{"kind":"Status","reason":"TooManyRequests","message":"no"}', Throttled),
    (500, b'{"kind":"Status","reason":"InternalError","message":"no"}', ApiError),
]


@pytest.mark.parametrize(("status", "body", "kind"), ERRORS)
def test_each_answer_has_its_class(status: int, body: bytes, kind: type[ApiError]) -> None:
    error = error_of(status, body)
    assert (type(error), error.message) == (kind, "no")


def test_a_body_that_is_no_status_does_not_get_into_an_error() -> None:
    assert str(error_of(502, b"<html>secret=abc</html>")) == "502 "
    assert str(error_of(500, b'{"data":{"password":"abc"}}')) == "500 "


WAITS = {
    "seconds": ("7", b"{}", 7.0),
    "nothing": ("", b"{}", 0.0),
    "a date": ("Wed, 21 Oct 2026 07:28:00 GMT", b"{}", 0.0),
    "a digit that is none": ("²", b"{}", 0.0),
    "the body's": ("", b'{"kind":"Status","details":{"retryAfterSeconds":3}}', 3.0),
    "a text in the body": ("", b'{"kind":"Status","details":{"retryAfterSeconds":"soon"}}', 0.0),
    "no details": ("", b'{"kind":"Status","details":"text"}', 0.0),
    "a body that is nested too deep": ("", b"[" * 5000 + b"]" * 5000, 0.0),
}


@pytest.mark.parametrize(("header", "body", "seconds"), WAITS.values(), ids=WAITS)
def test_what_a_server_asks_to_wait_is_read_if_it_is_a_number(
    header: str, body: bytes, seconds: float
) -> None:
    assert error_of(429, body, header).retry_after == seconds


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"\xff\xfe", b"[" * 5000 + b"]" * 5000])
def test_an_answer_that_cannot_be_read_is_none(body: bytes) -> None:
    with (
        playing(lambda _asked, answer: answer.raw(body)) as server,
        pytest.raises(Unreachable, match="get jobs: the answer cannot be read"),
    ):
        server.api().send(Call("get", JOBS, "a", "x"))


def test_a_token_file_that_is_empty_for_a_moment_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(*_: object, **__: object) -> None:
        raise ConfigException("Token file exists but empty.")

    with playing(lambda _asked, answer: answer.json({})) as server:
        api = server.api()
        monkeypatch.setattr(api._transport, "update_params_for_auth", empty)
        with pytest.raises(Unreachable, match="get jobs: ConfigException"):
            api.send(Call("get", JOBS, "a", "x"))


def test_429_with_retry_after_is_repeated_for_any_verb_and_given_up_after_five_tries() -> None:
    def play(asked: Asked, answer: Answer) -> None:
        answer.refuse(429, "TooManyRequests", {"Retry-After": "1"})

    with playing(play) as server:
        stop = threading.Event()
        threading.Timer(1.5, stop.set).start()
        with pytest.raises(Throttled):
            server.api(stop=stop).send(Call("create", JOBS, "a", body={}))
        assert len(server.asked) == 2, "a stop ends the wait"
        with pytest.raises(Throttled):
            server.api().send(Call("get", JOBS, "a", "x"), urgent=True)
        assert len(server.asked) == 3, "the lease cannot wait"


def test_a_429_without_a_time_is_the_callers() -> None:
    with playing(lambda _asked, answer: answer.refuse(429, "TooManyRequests")) as server:
        with pytest.raises(Throttled):
            server.api().send(Call("get", JOBS, "a", "x"))
        assert len(server.asked) == 1


def test_calls_are_spread_by_the_bucket_and_urgent_ones_are_not() -> None:
    with playing(lambda _asked, answer: answer.json({})) as server:
        api = server.api(bucket=TokenBucket(4, 2))
        begun = time.monotonic()
        for _ in range(4):
            api.send(Call("get", JOBS, "a", "x"))
        assert time.monotonic() - begun >= 2 / 4 - 0.02
        begun = time.monotonic()
        api.send(Call("get", JOBS, "a", "x"), urgent=True)
        assert time.monotonic() - begun < 0.2, "a token takes 0.25 s"


def test_no_answer_in_time_is_unreachable_and_is_asked_once() -> None:
    seen: list[tuple[str, str, str]] = []
    with playing(lambda _asked, _answer: time.sleep(2)) as server:
        api = server.api(observe=lambda *call: seen.append(call))
        with pytest.raises(Unreachable, match="get jobs: ReadTimeoutError"):
            api.send(Call("get", JOBS, "a", "x"), Timeout(1, 0.2))
        assert len(server.asked) == 1, "the caller knows whether to repeat it"
    assert seen == [("get", "jobs", "none")]


def test_a_call_that_no_right_covers_is_a_mistake_of_ours() -> None:
    with (
        playing(lambda _asked, answer: answer.json({})) as server,
        pytest.raises(AssertionError, match="is not in RIGHTS"),
    ):
        server.api().send(Call("update", JOBS, "a", "x", body={}))


def test_every_right_is_used_by_a_call_in_the_code_and_says_why() -> None:
    """`finalizers` is checked by an admission plugin, not called."""
    folder = Path(inspect.getfile(tunesmith_controller)).parent
    used: set[tuple[str, str]] = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "Call"
                and isinstance(node.args[0], ast.Constant)
            ):
                resource = node.args[1]
                names = (
                    [resource.id]
                    if isinstance(resource, ast.Name) and resource.id.isupper()
                    else ["JOBS", "CONFIG_MAPS"]
                )
                used |= {(str(node.args[0].value), name) for name in names}
    used |= {
        (verb, name) for verb in ("list", "watch") for name in ("REQUESTS", "JOBS", "PODS")
    }  # the reflector's
    from tunesmith_controller import rights

    names = {id(value): name for name, value in vars(rights).items() if isinstance(value, Resource)}
    wanted = {
        (right.verb, names[id(right.resource)])
        for right in RIGHTS
        if right.resource is not REQUEST_FINALIZERS
    }
    assert wanted == used
    assert all(right.why for right in RIGHTS)


def test_a_client_of_ours_says_who_it_is(tmp_path: Path) -> None:
    from tunesmith_controller.api import connect

    with playing(lambda _asked, answer: answer.json({})) as server:
        file = tmp_path / "kubeconfig"
        file.write_text(
            "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: '" + server.url + "'}}], "
            "users: [{name: u, user: {token: t}}], contexts: [{name: c, context: {cluster: c, user: u}}], "
            "current-context: c}"
        )
        Api(connect(str(file)), TokenBucket(10, 10)).send(Call("get", JOBS, "a", "x"))
        assert server.asked[0].headers["User-Agent"].startswith("tunesmith-controller/")
        assert (
            server.asked[0].headers[
                "authorization" if "authorization" in server.asked[0].headers else "Authorization"
            ]
            == "Bearer t"
        )
