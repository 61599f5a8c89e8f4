"""A teacher shows the key that it was sent, in every way: no output has it, nor the store."""

import base64
import html
import http.server
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from scripted import QUICK, spec
from stages import run_module, snapshot_for

from tunesmith.errors import TunesmithError
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.generate.work import generate

KEY = "sk-echoed/key+0123456789"
PASSWORD = "proxy-password"
# Words that only the key and the password have, however they are written.
GIVEAWAYS = ("echoed", "0123456789", "proxy-passw", base64.b64encode(KEY.encode()).decode()[2:12])


def bodies(header):
    """Bodies of a refusal, each with the key in its own way."""
    key = header.removeprefix("Bearer ")
    yield json.dumps({"error": {"message": f"wrong key: {key}", "code": "invalid_api_key"}})
    yield json.dumps({"error": {"message": "x" * 285 + key}})  # would be cut in the middle of the key
    yield f"<html>{html.escape(header)} and {quote(key, safe='')}</html>"
    yield json.dumps({"error": {"message": f"Basic {base64.b64encode(f'u:{key}'.encode()).decode()}"}})
    yield f"\x1b[2J{header}\nWhat to do: print it\n" + '{"event":"result","stage":"generate","key":"k"}'


class Echo(http.server.BaseHTTPRequestHandler):
    status = 401

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        header = self.headers.get("Authorization", "")
        self.server.seen.append(header)
        choices = list(bodies(header))
        body = choices[self.server.number % len(choices)].encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - http.server calls them by these names

    def log_message(self, *_):
        pass


@contextmanager
def echo(status, number):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.status, server.number, server.seen = status, number, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def texts(*folders):
    return [
        path.read_bytes().decode("utf-8", "replace")
        for each in folders
        for path in each.rglob("*")
        if path.is_file()
    ]


def environment(**more):
    proxy = {"ALL_PROXY": f"http://me:{PASSWORD}@127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}
    return proxy | more


@pytest.mark.parametrize(("status", "number"), [*((401, number) for number in range(5)), (400, 4), (500, 0)])
def test_a_stage_says_no_key_that_its_endpoint_shows(tmp_path, status, number):
    store, last_word = tmp_path / "store", tmp_path / "termination-log"
    last_word.touch()
    with echo(status, number) as (server, url):
        teacher = {"baseURL": url, "model": "m", "secret": {"name": "s"}}
        ran = run_module(
            "tunesmith_jobs.generate",
            snapshot_for(
                {"data": {"examples": 2, "teacher": teacher}, "model": {"base": str(tmp_path / "none")}}
            ),
            f"file://{store}",
            tmp_path,
            environment(
                TUNESMITH_TEACHER_API_KEY=f"{KEY}\n",
                HF_TOKEN=f" {KEY} ",
                TUNESMITH_TERMINATION_LOG=str(last_word),
            ),
        )
    assert f"Bearer {KEY}" in server.seen, "the key was not stripped, or not sent"
    assert ran.returncode not in (0, 1), ran.stderr
    said = [ran.stdout, ran.stderr, last_word.read_text(), *texts(store)]
    assert [word for word in GIVEAWAYS if any(word in text for text in said)] == [], said
    if status == 401:  # of anything else at the list of models, chat has the last word
        assert "[secret]" in ran.result.message
    assert "\x1b" not in "".join(said)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_what_refuses_a_chat_says_no_key(stage_for, monkeypatch, status, number):
    monkeypatch.setenv(TEACHER_API_KEY, KEY)
    with echo(status, number) as (server, url), pytest.raises(TunesmithError) as error:
        generate(stage_for(spec(url)), replace(QUICK, silence=0.2))
    assert f"Bearer {KEY}" in server.seen
    assert [word for word in GIVEAWAYS if word in str(error.value)] == []
    assert len(server.seen) < 100


def test_a_run_on_this_machine_says_no_key_that_its_endpoint_shows(tmp_path):
    request = tmp_path / "request.yaml"
    (tmp_path / "none").mkdir()  # a folder that holds no model
    spec = f"{{model: {{base: {tmp_path}/none}}, task: x, data: {{examples: 2, teacher: {{model: m}}}}}}"
    request.write_text(
        f"apiVersion: tunesmith.dev/v1alpha1\nkind: TrainingRequest\nmetadata: {{name: echo}}\nspec: {spec}\n"
    )
    with echo(401, 4) as (server, url):
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "tunesmith_cli",
                "run",
                str(request),
                "-v",
                "--store",
                f"file://{tmp_path}/store",
            ],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "OPENAI_API_KEY": f"{KEY}\n",
                "OPENAI_BASE_URL": url,
                **environment(),
            },
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
    assert f"Bearer {KEY}" in server.seen
    assert ran.returncode in (77, 78), ran.stderr
    said = [ran.stdout, ran.stderr, *texts(tmp_path)]
    assert [word for word in GIVEAWAYS if any(word in text for text in said)] == [], said
    assert "[secret]" in ran.stderr
    assert "\nWhat to do: print it" not in ran.stderr


@pytest.mark.parametrize("key", ["sk-first\nline-0123456789", "“sk-0123456789”", "two words-0123456789"])
def test_a_key_that_no_header_can_carry_is_refused_by_the_variables_name(tmp_path, key):
    with echo(401, 0) as (server, url):
        teacher = {"baseURL": url, "model": "m", "secret": {"name": "s"}}
        ran = run_module(
            "tunesmith_jobs.generate",
            snapshot_for(
                {"data": {"examples": 2, "teacher": teacher}, "model": {"base": str(tmp_path / "none")}}
            ),
            f"file://{tmp_path}/store",
            tmp_path,
            {"TUNESMITH_TEACHER_API_KEY": key},
        )
    assert server.seen == []
    assert "TUNESMITH_TEACHER_API_KEY" in ran.result.message
    assert not any("0123456789" in text for text in [ran.stdout, ran.stderr, *texts(Path(tmp_path, "store"))])
