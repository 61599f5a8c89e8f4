"""Asks the merged model of a run, and its base model too if wanted.

    python -m tunesmith_jobs.infer --request SNAPSHOT --store URL --prompt TEXT [--prompt TEXT …]
        --max-new-tokens N [--compare] [--json]

Answers are greedy, under the run's system message, and go to standard output as they come; everything else
goes to standard error.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunesmith.errors import ExitCode, Gone, Usage
from tunesmith.plain_text import indented, json_text
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith_jobs.chat import question
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.given_secrets import hub_token, strip_secrets
from tunesmith_jobs.process import collector_paused
from tunesmith_jobs.storage import URL_FORMS, Store, open_store

FORMAT = 1
ModelName = Literal["base", "merged"]
_TITLES = {"base": "Base model", "merged": "New model"}


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, and return the exit code."""
    strip_secrets()
    arguments = _arguments(argv)
    try:
        with _scratch(arguments.work) as work:
            _infer(arguments, work)
    except BrokenPipeError:  # the reader of the answer has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.DONE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: what is known has a class of its own
        known, text = explained("infer", error)
        complain(text)
        return known.exit_code
    return ExitCode.DONE


@dataclass(frozen=True)
class _Run:
    """The run that is asked. `work`: folder for downloads."""

    snapshot: Snapshot
    store: Store
    work: Path

    def finished(self, stage: str) -> Finished:
        """A stage's result. Raises Gone if there is none."""
        manifest = read_manifest(self.store, self.snapshot.run, stage, self.snapshot.key(stage))
        if manifest is None:
            raise Gone(
                f"run {self.snapshot.run} has no result of {stage} in {self.store.url}",
                reason="NoModel",
                remedy="finish the run first: `tunesmith run`",
            )
        return Finished(self.store, manifest, self.work / "inputs")

    def base(self) -> Path:
        """The folder of the base model that train used."""
        from tunesmith_jobs.base import open_base

        pin = self.finished("train").manifest.pins.get("base")
        if pin is None:
            raise Gone(
                "train's manifest does not say which base model it used",
                remedy="set `rerun: {from: train, id: <new>}`",
            )
        return open_base(pin, self.work, token=hub_token())


@dataclass(frozen=True)
class _Questions:
    """What is asked, and whether answers are printed as they come rather than as JSON at the end."""

    system: str
    prompts: Sequence[str]
    new_tokens: int
    compare: bool
    streams: bool

    @property
    def margin(self) -> str:
        """What stands before each line of an answer: something where there are headings."""
        return "  " if self.compare or len(self.prompts) > 1 else ""


def _infer(arguments: argparse.Namespace, work: Path) -> None:
    run = _Run(_snapshot(arguments.request), open_store(arguments.store), work)
    merged = run.finished("merge")
    folders: dict[ModelName, Callable[[], Path]] = {}
    if arguments.compare:
        folders["base"] = run.base
    folders["merged"] = lambda: merged.folder("model/")
    questions = _Questions(
        system="" if arguments.no_system else merged.read("model/system_message.txt").decode(),
        prompts=arguments.prompt,
        new_tokens=arguments.max_new_tokens,
        compare=arguments.compare,
        streams=not arguments.json,
    )
    device = run.snapshot.spec.training.device
    answers: list[dict[str, Any]] = []
    for name, folder in folders.items():
        answers += _ask(name, folder(), device, questions)
    if arguments.json:
        _print_json(run.snapshot, questions, answers)


def _ask(
    name: ModelName, folder: Path, device_setting: str, questions: _Questions
) -> Iterator[dict[str, Any]]:
    """One model's answers."""
    with collector_paused():
        import torch

        from tunesmith_jobs.device import find_device
        from tunesmith_jobs.infer.stream import PrintedStream
        from tunesmith_jobs.language_model import LanguageModel

    device = find_device(device_setting).kind
    with LanguageModel(folder, torch.device(device)) as model:
        for number, prompt in enumerate(questions.prompts):
            if questions.streams:
                _print_title(name, number, questions)
            messages = question(questions.system, {"prompt": prompt}, system_role=model.system_role)
            tokens = model.question_tokens(messages)
            room = model.context - len(tokens)
            if room <= 0:
                raise Usage(
                    f"the prompt has {len(tokens)} tokens with its system message, "
                    f"and the model looks at {model.context}",
                    reason="PromptTooLong",
                    remedy="shorten the prompt",
                )
            began = time.monotonic()
            stream = PrintedStream(model.tokenizer, questions.margin) if questions.streams else None
            [text] = model.answers([tokens], min(questions.new_tokens, room), streamer=stream)
            seconds = round(time.monotonic() - began, 3)
            yield {"model": name, "row": number, "text": text, "seconds": seconds}


def _print_title(name: ModelName, number: int, questions: _Questions) -> None:
    """Headings, where there is more than one answer."""
    if questions.compare and number == 0:
        gap = "" if name == "base" else "\n"
        print(f"{gap}=== {_TITLES[name]} ===", flush=True)
    if len(questions.prompts) > 1:
        gap = "\n" if number else ""
        print(f"{gap}> {indented(questions.prompts[number])}", flush=True)


def _print_json(snapshot: Snapshot, questions: _Questions, answers: Sequence[dict[str, Any]]) -> None:
    rows: list[dict[str, Any]] = [{"prompt": prompt} for prompt in questions.prompts]
    for answer in answers:
        row = rows[answer["row"]]
        row[answer["model"]] = answer["text"]
        row[f"{answer['model']}Seconds"] = answer["seconds"]
    document = {
        "format": FORMAT,
        "run": snapshot.run,
        "systemMessage": questions.system,
        "answers": rows,
    }
    print(json_text(document, indent=1))


def _snapshot(file: str) -> Snapshot:
    try:
        return read_snapshot(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Usage(f"--request {file} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _scratch(folder: str | None) -> Iterator[Path]:
    """The folder for downloads: the given one, which is kept, or a new one, which is removed."""
    path = Path(folder or tempfile.mkdtemp(prefix="tunesmith-infer-")).absolute()
    try:
        yield path
    finally:
        if folder is None:
            shutil.rmtree(path, ignore_errors=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_jobs.infer", description="Ask the merged model of a run."
    )
    parser.add_argument(
        "--request", required=True, metavar="FILE", help="the snapshot of the resolved request (JSON)"
    )
    parser.add_argument("--store", required=True, metavar="URL", help=URL_FORMS)
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
