"""The whole request, checked before anything is spent."""

import json
import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stages import snapshot_for
from tiny import tiny_model

from tunesmith.errors import BadData, BadRequest, ExitCode, Gone, Problem, Refused, TryAgain, TunesmithError
from tunesmith.manifest import MANIFEST, Manifest, Pin, stage_folder
from tunesmith_jobs import trackers
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.base import find_base
from tunesmith_jobs.generate import meaning
from tunesmith_jobs.generate.preflight import preflight
from tunesmith_jobs.generate.preflight.run import combined
from tunesmith_jobs.storage import open_store

ROWS = "".join(
    json.dumps({"prompt": f"question {number}", "response": f"answer {number}"}) + "\n"
    for number in range(10)
)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> str:
    return f"file://{tiny_model(tmp_path_factory.mktemp('base') / 'tiny')}"


@pytest.fixture
def own_data(tmp_path: Path) -> dict:
    path = tmp_path / "rows.jsonl"
    path.write_text(ROWS)
    return {"source": {"uri": f"file://{path}"}}


@pytest.fixture
def stage_of(tmp_path: Path):
    """A stage generate with this spec, on a store of its own."""

    def make(store: str = "", **spec: object) -> Attempt:
        snapshot = snapshot_for(spec, run="own")
        return Attempt(
            "generate", snapshot, open_store(store or f"file://{tmp_path / 'store'}"), tmp_path / "work", "a"
        )

    return make


@pytest.fixture
def endpoint():
    """A loopback teacher's endpoint: lists one model, and answers every key but `sk-good` with 401."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.headers.get("Authorization") == "Bearer sk-good"
            body = json.dumps(
                {"object": "list", "data": [{"id": "big", "object": "model"}]}
                if good
                else {"error": {"message": "no"}}
            ).encode()
            self.send_response(200 if good else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def trained(attempt: Attempt, run: str, pin: Pin) -> None:
    """Leave the manifest of a finished training in the store."""
    manifest = Manifest(
        run=run,
        stage="train",
        key="k",
        attempt="a",
        created=datetime.now(UTC),
        seconds=1.0,
        files=(),
        pins={"base": pin},
    )
    attempt.store.create(f"{stage_folder(run, 'train', 'k')}/{MANIFEST}", manifest.to_bytes())


def test_a_good_request_passes_says_what_it_will_need_and_leaves_nothing(
    stage_of, base, endpoint, monkeypatch, capsys
):
    monkeypatch.setenv("TUNESMITH_TEACHER_API_KEY", "sk-good")
    attempt = stage_of(model={"base": base}, data={"teacher": {"model": "big", "baseURL": endpoint}})
    facts = preflight(attempt)
    assert facts.disk_bytes == facts.total_bytes > sum(tensor.bytes for tensor in facts.tensors.values()), (
        "weights and what goes with them"
    )
    output = capsys.readouterr().out
    assert "102 calls" in output
    assert "GPU memory" in output
    assert list(attempt.store.list("")) == []


def test_a_budget_below_the_estimate_is_a_warning_and_one_that_cannot_be_kept_an_error(
    stage_of, base, endpoint, monkeypatch, capsys
):
    monkeypatch.setenv("TUNESMITH_TEACHER_API_KEY", "sk-good")
    teacher = {"model": "big", "baseURL": endpoint}
    prices = {"usdPerMillionInputTokens": 30.0, "usdPerMillionOutputTokens": 60.0}
    between = {"maxUSD": 2.5, "maxTokens": 60_000, **prices}
    preflight(stage_of(model={"base": base}, data={"teacher": teacher, "budget": between}))
    output = capsys.readouterr().out
    assert "over spec.data.budget.maxUSD" in output
    assert "over spec.data.budget.maxTokens" in output
    assert "budget: maxTokens 60,000: may not fit" in output
    with pytest.raises(BadRequest) as caught:
        preflight(stage_of(model={"base": base}, data={"teacher": teacher, "budget": {"maxUSD": 0.5}}))
    assert caught.value.reason == "PriceUnknown"


TOO_SMALL = {"maxTokens": 9000}  # the 14 rows for 9,000 tokens of users' reports


def test_a_budget_that_cannot_be_enough_is_refused_before_the_first_call_with_the_numbers(
    stage_of, base, endpoint, monkeypatch, capsys
):
    monkeypatch.setenv("TUNESMITH_TEACHER_API_KEY", "sk-good")
    attempt = stage_of(
        model={"base": base}, data={"teacher": {"model": "big", "baseURL": endpoint}, "budget": TOO_SMALL}
    )
    with pytest.raises(BadRequest) as caught:
        preflight(attempt)
    assert caught.value.reason == "BudgetTooSmall"
    assert caught.value.exit_code.final
    [problem] = caught.value.problems
    assert (problem.path, problem.value) == ("spec.data.budget.maxTokens", 9000)
    assert re.search(r"at least \d\d,\d00 is needed", problem.why)
    monkeypatch.setenv("TUNESMITH_OVER_BUDGET", "1")
    preflight(attempt)
    assert "warning: the estimate" in capsys.readouterr().out


def test_a_run_that_has_paid_for_answers_goes_on_as_long_as_its_budget_lasts(
    stage_of, base, endpoint, monkeypatch
):
    monkeypatch.setenv("TUNESMITH_TEACHER_API_KEY", "sk-good")
    attempt = stage_of(
        model={"base": base}, data={"teacher": {"model": "big", "baseURL": endpoint}, "budget": TOO_SMALL}
    )
    attempt.store.create("own/generate/journal/a-000000.jsonl", b"")
    preflight(attempt)


def test_own_data_needs_no_teacher(stage_of, base, own_data, monkeypatch, capsys):
    monkeypatch.delenv("TUNESMITH_TEACHER_API_KEY", raising=False)
    preflight(stage_of(model={"base": base}, data=own_data))
    assert "teacher" not in capsys.readouterr().out


def test_everything_that_is_wrong_is_said_at_once(stage_of, base, endpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("TUNESMITH_TEACHER_API_KEY", "sk-bad")
    (tmp_path / "file").write_text("not a folder")
    attempt = stage_of(
        model={"base": base},
        data={"teacher": {"model": "big", "baseURL": endpoint}, "budget": {"maxRequests": 7}},
        training={"loraTargetModules": ["q_prj"], "from": {"run": "nowhere"}, "maxLength": 4096},
        evaluation={"format": {"jsonSchema": {"type": "objekt"}}},
        output=f"file://{tmp_path / 'file' / 'out'}",
    )
    with pytest.raises(BadRequest) as caught:
        preflight(attempt)
    message = str(caught.value)
    assert (caught.value.exit_code, caught.value.reason) == (ExitCode.BAD_REQUEST, "PreflightFailed")
    for part in (
        "refuses the key",
        "'q_prj'",
        "'q_proj'",
        "nowhere",
        "4096",
        "objekt",
        str(tmp_path / "file"),
        "maxRequests",
    ):
        assert part in message
    assert len(caught.value.problems) == 7
    assert list(attempt.store.list("")) == []


FORMS = {  # what answers must look like -> reason
    "a reference to itself": ({"jsonSchema": {"$ref": "#"}}, "BadSchema"),
    "a reference to the network": ({"jsonSchema": {"$ref": "http://127.0.0.1:9/x"}}, "BadSchema"),
    "a broken regular expression without case": ({"regex": "(?i)("}, "BadRegex"),
}


@pytest.mark.parametrize(("form", "reason"), FORMS.values(), ids=FORMS)
def test_what_answers_cannot_be_checked_against_is_found_before_anything_is_spent(
    form, reason, stage_of, base, own_data
):
    with pytest.raises(BadRequest) as caught:
        preflight(stage_of(model={"base": base}, data=own_data, evaluation={"format": form}))
    assert (caught.value.exit_code, caught.value.reason) == (ExitCode.BAD_REQUEST, reason)


def test_a_single_fault_keeps_its_own_reason(stage_of, own_data):
    with pytest.raises(BadRequest) as caught:
        preflight(stage_of(model={"base": "file:///nowhere/tiny"}, data=own_data))
    assert caught.value.reason == "ModelNotFound"


def test_a_store_that_cannot_be_written_is_named(stage_of, base, own_data, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TunesmithError, match=str(tmp_path / "file")):
        preflight(stage_of(f"file://{tmp_path / 'file' / 'store'}", model={"base": base}, data=own_data))


def test_unreadable_own_data_is_bad_data(stage_of, base, tmp_path):
    with pytest.raises((BadData, BadRequest), match=r"missing\.jsonl"):
        preflight(
            stage_of(model={"base": base}, data={"source": {"uri": f"file://{tmp_path / 'missing.jsonl'}"}})
        )


def test_a_dataset_of_a_run_that_is_not_there_is_a_bad_request(stage_of, base):
    with pytest.raises(BadRequest, match="nowhere") as caught:
        preflight(stage_of(model={"base": base}, data={"from": {"run": "nowhere"}}))
    assert caught.value.reason == "FromNotFound"


@pytest.mark.parametrize(("revision", "fits"), [("", True), ("0" * 64, False)])
def test_an_adapter_must_be_for_this_very_model(stage_of, base, own_data, revision, fits):
    attempt = stage_of(model={"base": base}, data=own_data, training={"from": {"run": "earlier"}})
    pin = find_base(base)
    trained(attempt, "earlier", pin.model_copy(update={"revision": revision}) if revision else pin)
    if fits:
        preflight(attempt)
        return
    with pytest.raises(BadRequest, match="earlier") as caught:
        preflight(attempt)
    assert caught.value.reason == "AdapterForOtherModel"


def test_a_gated_model_is_found_before_the_teacher_is_paid(hub, stage_of, base, own_data):
    hub.push("org/gated", Path(base.removeprefix("file://")), gated=True)
    attempt = stage_of(model={"base": "hf://org/gated"}, data=own_data)
    with pytest.raises(BadRequest, match="HF_TOKEN") as caught:
        preflight(attempt)
    assert caught.value.reason == "ModelGated"


def test_the_token_of_the_environment_opens_a_gated_model(hub, stage_of, base, own_data, monkeypatch):
    from hub import TOKEN

    hub.push("org/gated", Path(base.removeprefix("file://")), gated=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    preflight(stage_of(model={"base": "hf://org/gated"}, data=own_data))


WEIGHTS = [
    ((BadRequest, Refused, TryAgain), ExitCode.BAD_REQUEST),
    ((TryAgain, BadData, Refused), ExitCode.REFUSED),
    ((TryAgain, BadData), ExitCode.BAD_DATA),
    ((TryAgain, Gone), ExitCode.GONE),
    ((TryAgain, TryAgain), ExitCode.TRY_AGAIN),
]


@pytest.mark.parametrize(("kinds", "code"), WEIGHTS)
def test_of_several_faults_the_one_that_needs_a_hand_gives_the_exit_code(kinds, code):
    errors = [kind(f"fault {number}", remedy=f"way {number}") for number, kind in enumerate(kinds)]
    error = combined(errors)
    assert error.exit_code == code
    for number in range(len(kinds)):
        assert f"fault {number}" in str(error)
        assert f"way {number}" in str(error)


def test_a_fault_that_two_checks_see_is_said_once():
    same = [BadRequest("gone", problems=[Problem("spec.x", "why")]) for _ in range(2)]
    assert str(combined(same)) == str(same[0])


def test_a_tracker_that_is_not_installed_is_refused_where_this_environment_would_train(
    stage_of, base, own_data, monkeypatch
):
    attempt = stage_of(model={"base": base}, data=own_data, training={"reportTo": ["tensorboard", "mlflow"]})
    with pytest.raises(BadRequest) as caught:
        preflight(attempt)
    [problem] = caught.value.problems
    assert (caught.value.reason, problem.path, problem.value) == (
        "TrackerMissing",
        "spec.training.reportTo",
        "mlflow",
    )
    assert "use tensorboard" in problem.remedy
    there = trackers.find_spec
    monkeypatch.setattr(
        trackers, "find_spec", lambda name: None if name in ("transformers", "tensorboard") else there(name)
    )
    assert preflight(attempt) is not None, "generate's image cannot know what train's has"


def test_meanings_that_cannot_be_compared_here_are_refused_by_name(stage_of, base, own_data, monkeypatch):
    monkeypatch.setattr(meaning, "find_spec", lambda name: None)
    assert preflight(stage_of(model={"base": base}, data=own_data)) is not None
    with pytest.raises(BadRequest) as caught:
        preflight(stage_of(model={"base": base}, data={**own_data, "semanticDuplicates": 0.8}))
    [problem] = caught.value.problems
    assert (caught.value.reason, problem.path) == ("NotInstalled", "spec.data.semanticDuplicates")
