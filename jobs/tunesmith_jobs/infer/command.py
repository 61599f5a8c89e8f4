"""Asks the merged model of a run, and its base model beside it if wanted.

    python -m tunesmith_jobs.infer --request SNAPSHOT --store URL --prompt TEXT [--prompt TEXT …] --max-new-tokens N [--compare] [--json]

Answers are greedy, under the run's system message, and go to standard output as they come; everything else goes to standard error.
"""

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tunesmith.errors import ExitCode, Gone, Usage
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith_jobs.chat import question
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.process import collector_paused
from tunesmith_jobs.storage import Store, open_store

FORMAT = 1
_TITLES = {"base": "Base model", "merged": "New model"}


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, and return the exit code."""
    arguments = _arguments(argv)
    try:
        with _scratch(arguments.work) as work:
            _infer(arguments, work)
    except BrokenPipeError:  # whoever read the answer has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.DONE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: what is known has a class of its own
        known, text = explained("infer", error)
        complain(text)
        return known.exit_code
    return ExitCode.DONE


def _infer(arguments: argparse.Namespace, work: Path) -> None:
    snapshot = _snapshot(arguments.request)
    store = open_store(arguments.store)
    merged = _finished(snapshot, store, "merge", work)
    opened: dict[str, Callable[[], Path]] = {"merged": lambda: merged.folder("model/")}
    if arguments.compare:
        opened = {"base": lambda: _base(snapshot, store, work), **opened}
    system = "" if arguments.no_system else merged.read("model/system_message.txt").decode()
    answers = [
        answer
        for which, folder in opened.items()
        for answer in _ask(
            which, folder(), snapshot, system, arguments.prompt, arguments.max_new_tokens, arguments
        )
    ]
    if arguments.json:
        _print_json(snapshot, system, arguments.prompt, answers)


def _ask(
    which: str,
    folder: Path,
    snapshot: Snapshot,
    system: str,
    prompts: Sequence[str],
    new_tokens: int,
    arguments: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    """One model's answers; printed as they come, unless they are wanted as JSON."""
    with collector_paused():
        import torch

        from tunesmith_jobs.device import find_device
        from tunesmith_jobs.evaluate.model import LanguageModel
        from tunesmith_jobs.infer.stream import PrintedStream

    device = find_device(snapshot.spec.training.device).kind
    with LanguageModel(folder, torch.device(device)) as model:
        for number, prompt in enumerate(prompts):
            if not arguments.json:
                _print_title(which, prompt, number, compare=arguments.compare, several=len(prompts) > 1)
            tokens = model.question_tokens(
                question(system, {"prompt": prompt}, system_role=model.system_role)
            )
            room = model.context - len(tokens)
            if room <= 0:
                raise Usage(
                    f"the prompt has {len(tokens)} tokens with its system message, and the model looks at {model.context}",
                    reason="PromptTooLong",
                    remedy="shorten the prompt",
                )
            began = time.monotonic()
            stream = None if arguments.json else PrintedStream(model.tokenizer)
            [text] = model.answers([tokens], min(new_tokens, room), streamer=stream)
            yield {"model": which, "row": number, "text": text, "seconds": round(time.monotonic() - began, 3)}


def _print_title(which: str, prompt: str, number: int, *, compare: bool, several: bool) -> None:
    """Sections, where there is more than one answer."""
    if compare and number == 0:
        print(f"{'' if which == 'base' else chr(10)}=== {_TITLES[which]} ===", flush=True)
    if several:
        print(f"{chr(10) if number else ''}> {prompt}", flush=True)


def _print_json(
    snapshot: Snapshot, system: str, prompts: Sequence[str], answers: Sequence[dict[str, Any]]
) -> None:
    rows: list[dict[str, Any]] = [{"prompt": prompt} for prompt in prompts]
    for answer in answers:
        rows[answer["row"]][answer["model"]] = answer["text"]
        rows[answer["row"]][f"{answer['model']}Seconds"] = answer["seconds"]
    print(
        json.dumps(
            {"format": FORMAT, "run": snapshot.run, "systemMessage": system, "answers": rows},
            ensure_ascii=False,
            indent=1,
        )
    )


def _finished(snapshot: Snapshot, store: Store, name: Any, work: Path) -> Finished:
    manifest = read_manifest(store, snapshot.run, name, snapshot.key(name))
    if manifest is None:
        raise Gone(
            f"run {snapshot.run} has no result of {name} in {store.url}",
            reason="NoModel",
            remedy="finish the run first: `tunesmith run`",
        )
    return Finished(store, manifest, work / "inputs")


def _base(snapshot: Snapshot, store: Store, work: Path) -> Path:
    from tunesmith_jobs.base import open_base

    pin = _finished(snapshot, store, "train", work).manifest.pins.get("base")
    if pin is None:
        raise Gone(
            "train's manifest does not say which base model it used",
            remedy="set `rerun: {from: train, id: <new>}`",
        )
    return open_base(pin, work, token=os.environ.get("HF_TOKEN"))


def _snapshot(file: str) -> Snapshot:
    try:
        return read_snapshot(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Usage(f"--request {file} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _scratch(folder: str | None) -> Iterator[Path]:
    """`folder`, kept; or a new one, removed."""
    place = Path(folder or tempfile.mkdtemp(prefix="tunesmith-infer-")).absolute()
    try:
        yield place
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_jobs.infer", description="Ask the merged model of a run."
    )
    parser.add_argument(
        "--request", required=True, metavar="FILE", help="the snapshot of the resolved request (JSON)"
    )
    parser.add_argument("--store", required=True, metavar="URL", help="s3://bucket/prefix or file:///folder")
    parser.add_argument(
        "--prompt",
        required=True,
        action="append",
        metavar="TEXT",
        help="what to ask; may be given several times",
    )
    parser.add_argument(
        "--max-new-tokens",
        type=_positive,
        default=200,
        metavar="N",
        help="new tokens of an answer at most (default: 200)",
    )
    parser.add_argument("--compare", action="store_true", help="ask the base model too")
    parser.add_argument("--no-system", action="store_true", help="without the run's system message")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument(
        "--work", metavar="DIR", help="folder for downloads, kept afterwards (default: a new one, removed)"
    )
    try:
        return parser.parse_args(argv)
    except SystemExit as error:
        raise SystemExit(ExitCode.USAGE if error.code else 0) from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
