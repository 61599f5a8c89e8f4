"""Train: QLoRA with trl, peft and bitsandbytes, from top to bottom: load, prepare, train, test, save.

It leaves `adapter/`, `history.jsonl`, `samples.json`, `report.json`, and the pin `base` that merge and
evaluate read. Arithmetic and mappings are in the modules next to this one. Where trl, peft and transformers
do something other than one would expect, the code that deals with it says so.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.manifest import Pin
from tunesmith.settings import Training
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import find_base, inspect_base, open_base
from tunesmith_jobs.device import Device, check_settings, find_device, named_out_of_memory
from tunesmith_jobs.estimate import check_fits
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.given_secrets import hub_token
from tunesmith_jobs.process import collector_paused
from tunesmith_jobs.trackers import check_trackers, event_files
from tunesmith_jobs.train import adapter, arguments, history, libraries, resume, tokens
from tunesmith_jobs.train.build import build_trainer
from tunesmith_jobs.train.checkpoints import Checkpoints
from tunesmith_jobs.train.distributed import Processes, joined_processes
from tunesmith_jobs.train.history import Course
from tunesmith_jobs.train.load import add_adapter, load_model, load_tokenizer
from tunesmith_jobs.train.loss import mean_loss
from tunesmith_jobs.train.report import finite, metrics, settings_read_back
from tunesmith_jobs.train.samples import samples
from tunesmith_jobs.train.splits import Splits, read_splits
from tunesmith_jobs.train.start import adapter_to_start_from, load_start

if TYPE_CHECKING:
    from tunesmith_jobs.train.callbacks import Callbacks


def work(attempt: Attempt) -> Outcome:
    """The stage: see the module's docstring."""
    with joined_processes(attempt.spec.training.device) as processes:
        setup = set_up(attempt, processes)
        with named_out_of_memory(setup.device):
            return _work(setup)


def _work(setup: "Setup") -> Outcome:
    with collector_paused():
        libraries.quiet()
        from tunesmith_jobs.train.callbacks import Callbacks  # with transformers' trainer

    checkpoints = Checkpoints(setup.attempt, setup.settings.save_total_limit)
    patience = setup.settings.early_stopping_patience
    callbacks = Callbacks(setup.attempt, setup.device, setup.processes, checkpoints, patience)
    loaded = load(setup)
    prepared = prepare(setup, loaded, callbacks)
    trained = train(setup, prepared, callbacks, checkpoints)
    if not setup.processes.leads:
        return Outcome()
    tested = test(setup, prepared, trained)
    return save(setup, prepared, trained, tested)


# Before anything large is loaded


@dataclass(frozen=True)
class Setup:
    """What all steps share.

    `folder`: the base model's; `start`: the training that this one starts from, if any.
    """

    attempt: Attempt
    settings: Training
    device: Device
    processes: Processes
    base: Pin
    folder: Path
    start: Finished | None


def set_up(attempt: Attempt, processes: Processes) -> Setup:
    """Check that training can work here, pin the base model and fetch it."""
    settings = attempt.spec.training
    check_trackers(settings.report_to)
    device = find_device(settings.device)
    check_settings(settings, device)
    several = f"{processes.count} x " if processes.count > 1 else ""
    attempt.say(f"training on {several}{device.name}")
    token = hub_token()
    base = processes.from_leader(
        lambda: attempt.pin("base", lambda: find_base(attempt.spec.model.base, token=token))
    )
    if device.kind == "cuda":
        check_fits(inspect_base(base, token=token), settings, device.memory, device.name)
    folder = processes.from_leader(lambda: open_base(base, attempt.work, token=token))
    with processes.leader_first():
        start = adapter_to_start_from(attempt, base)
    attempt.check_stop()
    return Setup(attempt, settings, device, processes, base, folder, start)


# Load


@dataclass(frozen=True)
class Loaded:
    """The frozen base model with its tokenizer. `max_length`: tokens of a row at most."""

    tokenizer: Any
    model: Any
    max_length: int


def load(setup: Setup) -> Loaded:
    """Load the base model and its tokenizer."""
    settings = setup.settings
    libraries.repeatable(settings, setup.device)
    tokenizer = load_tokenizer(setup.folder, settings)
    model = load_model(setup.folder, settings, setup.device, setup.attempt)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    max_length = tokens.longest(settings.max_length, tokenizer.model_max_length, context)
    return Loaded(tokenizer, model, max_length)


# Prepare


@dataclass(frozen=True)
class Prepared:
    """Trainer and data. `folder`: the trainer's; `max_length`: tokens of a row at most."""

    trainer: Any
    tokenizer: Any
    splits: Splits
    folder: Path
    max_length: int


def prepare(setup: Setup, loaded: Loaded, callbacks: "Callbacks") -> Prepared:
    """Encode the data, add the adapter, and build the trainer with its callbacks."""
    attempt, settings, processes = setup.attempt, setup.settings, setup.processes
    splits = read_splits(attempt, loaded.tokenizer, loaded.max_length)
    model = add_adapter(loaded.model, settings)
    if setup.start is not None:
        load_start(model, setup.start)
    folder = processes.from_leader(lambda: _emptied(attempt.work / "trainer"))
    trainer = build_trainer(
        model,
        loaded.tokenizer,
        splits,
        settings,
        device=setup.device.kind,
        folder=folder,
        max_length=loaded.max_length,
    )
    if arguments.warmup_is_ignored(settings):
        schedule = settings.lr_scheduler_type
        attempt.say(f"lrSchedulerType {schedule} does no warmup; constant_with_warmup would")
    callbacks.add_to(trainer)
    return Prepared(trainer, loaded.tokenizer, splits, folder, loaded.max_length)


def _emptied(folder: Path) -> Path:
    """The folder without what an earlier attempt left in a kept scratch folder; the store has what counts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# Train


@dataclass(frozen=True)
class Trained:
    """The course of the training.

    `loss_before`: on the test split, before the first step.
    `best_step`: the step whose adapter is taken, if one was chosen.
    """

    course: Course
    loss_before: float
    best_step: int | None


def train(setup: Setup, prepared: Prepared, callbacks: "Callbacks", checkpoints: Checkpoints) -> Trained:
    """Train, from the newest checkpoint if there is one. Raises Stopped if told to stop."""
    attempt, processes, trainer = setup.attempt, setup.processes, prepared.trainer
    patience = setup.settings.early_stopping_patience
    checkpoint = processes.from_leader(lambda: checkpoints.restore(prepared.folder))
    course = resume.course_of(checkpoint)
    loss_before = processes.from_leader(lambda: _loss_before(prepared, checkpoint))
    if checkpoint is not None:
        attempt.say(f"resuming from the checkpoint of step {course.step}")
    if not history.patience_is_over(course.log, patience):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        course = Course(trainer.state.global_step, tuple(trainer.state.log_history))
    if callbacks.cut_short:
        attempt.check_stop()
    best_step = history.best_step(course.log) if patience else None
    if best_step is not None and processes.leads:
        adapter.load(trainer.model, prepared.folder / resume.BEST)
        attempt.say(f"taking the adapter of step {best_step}, the best on the validation split")
    return Trained(course, loss_before, best_step)


def _loss_before(prepared: Prepared, checkpoint: Path | None) -> float:
    if checkpoint is not None:
        resume.restore_extras(prepared.folder, checkpoint)
    return resume.loss_before(
        prepared.folder, checkpoint, lambda: mean_loss(prepared.trainer, prepared.splits.test)
    )


# Test


@dataclass(frozen=True)
class Tested:
    """`log`: the trainer's, to its end; `loss_after`: on the test split; `samples`: a few answers."""

    log: history.Log
    loss_after: float
    samples: list[dict[str, Any]]


def test(setup: Setup, prepared: Prepared, trained: Trained) -> Tested:
    """Measure the loss on the test split, and take a few answers. Nothing is chosen by them."""
    trainer, splits, course = prepared.trainer, prepared.splits, trained.course
    log = list(course.log)
    if splits.validation and setup.settings.eval_steps == 0:
        log.append({"step": course.step, "eval_loss": mean_loss(trainer, splits.validation)})
    loss_after = mean_loss(trainer, splits.test)
    if splits.test:
        setup.attempt.say(f"loss on the test split: {trained.loss_before:.4f} before, {loss_after:.4f} after")
    else:
        setup.attempt.say("no test split, no test loss")
    answers = samples(
        trainer.model,
        prepared.tokenizer,
        splits.system,
        splits.test_rows,
        system_role=splits.system_role,
        max_new_tokens=setup.attempt.spec.evaluation.max_new_tokens,
    )
    return Tested(log, loss_after, answers)


# Save


def save(setup: Setup, prepared: Prepared, trained: Trained, tested: Tested) -> Outcome:
    """Store the adapter, the course of the training, and the report."""
    attempt, trainer, splits = setup.attempt, prepared.trainer, prepared.splits
    course = Course(trained.course.step, tested.log)
    outcome = Outcome(
        metrics=metrics(course, trained.loss_before, tested.loss_after, trainer, splits),
        details={
            "device": setup.device.name,
            "maxLength": prepared.max_length,
            "bestStep": trained.best_step,
        },
    )
    folder = adapter.save(trainer.model, attempt.work / "adapter", setup.base)
    for name in (adapter.CONFIG, adapter.WEIGHTS):
        attempt.put_file(f"adapter/{name}", folder / name)
    lines = [json.dumps(entry) for entry in history.entries(course.log)]
    attempt.put_bytes("history.jsonl", "".join(f"{line}\n" for line in lines).encode())
    attempt.put_bytes("samples.json", _json(tested.samples))
    for name, path in event_files(prepared.folder):
        attempt.put_file(name, path)
    report = {
        "device": setup.device.name,
        "base": setup.base.model_dump(mode="json", by_alias=True),
        "tokens": splits.statistics,
        "preview": splits.preview,
        "testLossBefore": finite(trained.loss_before),
        "testLossAfter": finite(tested.loss_after),
        "steps": course.step,
        "bestStep": trained.best_step,
        "trainer": settings_read_back(trainer),
    }
    attempt.put_bytes("report.json", _json(report))
    return outcome


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
