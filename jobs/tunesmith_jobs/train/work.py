"""QLoRA with trl, peft and bitsandbytes, from top to bottom: load, prepare, train, test, save.

What it leaves: `adapter/`, `history.jsonl`, `samples.json`, `report.json`, and the pin `base` that merge and evaluate read.
Arithmetic and mappings are in the modules beside it; what trl, peft and transformers do otherwise than one would think, and what is
done about it, is said where it is done.
"""

import json
import logging
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tunesmith.manifest import Pin
from tunesmith.settings import Training
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import find_base, inspect_base, open_base
from tunesmith_jobs.device import Device, check_settings, find_device, out_of_memory
from tunesmith_jobs.estimate import check_fits
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.process import collector_paused
from tunesmith_jobs.trackers import check_trackers, event_files
from tunesmith_jobs.train import adapter, arguments, history, tokens
from tunesmith_jobs.train.checkpoints import Checkpoints
from tunesmith_jobs.train.load import add_adapter, load_model, load_tokenizer
from tunesmith_jobs.train.report import metrics, settings_read_back
from tunesmith_jobs.train.splits import Splits, read_splits
from tunesmith_jobs.train.start import adapter_to_start_from, load_start
from tunesmith_jobs.train.together import Together, together


def work(attempt: Attempt) -> Outcome:
    """The stage: see the module's docstring."""
    settings = attempt.spec.training
    with together(settings.device) as all_of_us:
        return _work(attempt, settings, all_of_us)


def _work(attempt: Attempt, settings: Training, us: Together) -> Outcome:
    check_trackers(settings.report_to)
    device = find_device(settings.device)
    check_settings(settings, device)
    attempt.say(f"training on {f'{us.processes} x ' if us.processes > 1 else ''}{device.name}")
    token = os.environ.get("HF_TOKEN") or None
    pin = us.share(lambda: attempt.pin("base", lambda: find_base(attempt.spec.model.base, token=token)))
    if device.kind == "cuda":
        check_fits(inspect_base(pin, token=token), settings, device.memory, device.name)
    folder = us.share(lambda: open_base(pin, attempt.work, token=token))
    with us.leader_first():
        start = adapter_to_start_from(attempt, pin)
    attempt.check_stop()
    with _out_of_memory_has_a_name(device):
        return _train(attempt, settings, device, us, pin, folder, start)


def _train(
    attempt: Attempt,
    settings: Training,
    device: Device,
    us: Together,
    pin: Pin,
    folder: Path,
    start: Finished | None,
) -> Outcome:
    with collector_paused():
        _quiet()
        from tunesmith_jobs.train.callbacks import (
            BEST,
            KeepCheckpoints,
            SameOrder,
            ShowProgress,
            StopEarly,
            StopWhenTold,
        )
        from tunesmith_jobs.train.samples import samples

    # Load
    _repeatable(settings, device)
    tokenizer = load_tokenizer(folder, settings)
    model = load_model(folder, settings, device, attempt)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    max_length = tokens.longest(settings.max_length, tokenizer.model_max_length, context)

    # Prepare
    splits = read_splits(attempt, tokenizer, max_length)
    model = add_adapter(model, settings)
    if start is not None:
        load_start(model, start)
    output = us.share(lambda: _emptied(attempt.work / "trainer"))
    trainer = build_trainer(model, tokenizer, splits, settings, device, output, max_length)
    if arguments.warmup_is_ignored(settings):
        attempt.say(
            f"lrSchedulerType {settings.lr_scheduler_type} does no warmup; constant_with_warmup would"
        )
    progress, stop, early = (
        ShowProgress(attempt, device),
        StopWhenTold(attempt, us),
        StopEarly(attempt, settings.early_stopping_patience, us),
    )
    checkpoints = Checkpoints(attempt, settings.save_total_limit)
    for callback in (SameOrder(), progress, early, stop, KeepCheckpoints(checkpoints, stop, us)):
        if callback is not early or settings.early_stopping_patience:
            trainer.add_callback(callback)

    # Train, from the newest checkpoint if there is one
    checkpoint = us.share(lambda: checkpoints.restore(output))
    done = _state(checkpoint)
    loss_before = us.share(lambda: _loss_before(trainer, splits, output, checkpoint))
    if checkpoint is not None:
        attempt.say(f"going on from the checkpoint of step {done['global_step']}")
    if not history.patience_is_over(done["log_history"], settings.early_stopping_patience):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        done = {"global_step": trainer.state.global_step, "log_history": trainer.state.log_history}
    if stop.stopped and not early.stopped:
        attempt.check_stop()
    if not us.leads:
        return Outcome()
    best = history.best_step(done["log_history"]) if settings.early_stopping_patience else None
    if best is not None:
        adapter.load(trainer.model, output / BEST)
        attempt.say(f"taking the adapter of step {best}, the best on the validation split")

    # Test
    if splits.validation and settings.eval_steps == 0:
        at_the_end = {"step": done["global_step"], "eval_loss": test_loss(trainer, splits.validation)}
        done = {**done, "log_history": [*done["log_history"], at_the_end]}
    loss_after = test_loss(trainer, splits.test)
    numbers = metrics(done, loss_before, loss_after, trainer, splits)
    attempt.say(
        f"loss on the test split: {loss_before:.4f} before, {loss_after:.4f} after"
        if splits.test
        else "no test split, no test loss"
    )
    shown = samples(
        trainer.model,
        tokenizer,
        splits.system,
        splits.test_rows,
        system_role=splits.system_role,
        max_new_tokens=attempt.spec.evaluation.max_new_tokens,
    )

    # Save
    _put_adapter(attempt, trainer.model, pin)
    lines = [json.dumps(entry) for entry in history.entries(done["log_history"])]
    attempt.put_bytes("history.jsonl", "".join(f"{line}\n" for line in lines).encode())
    attempt.put_bytes("samples.json", _json(shown))
    for name, file in event_files(output):
        attempt.put_file(name, file)
    report = {
        "device": device.name,
        "base": pin.model_dump(mode="json", by_alias=True),
        "tokens": splits.statistics,
        "preview": splits.preview,
        "testLossBefore": _finite(loss_before),
        "testLossAfter": _finite(loss_after),
        "steps": done["global_step"],
        "bestStep": best,
        "trainer": settings_read_back(trainer),
    }
    attempt.put_bytes("report.json", _json(report))
    return Outcome(
        metrics=numbers, details={"device": device.name, "maxLength": max_length, "bestStep": best}
    )


# Prepare


def build_trainer(
    model: Any,
    tokenizer: Any,
    splits: Splits,
    settings: Training,
    device: Device,
    output: Path,
    max_length: int,
) -> Any:
    """trl's trainer over our tokens, its adapter in float32."""
    with collector_paused():
        from transformers import PrinterCallback
        from trl import SFTConfig

        from tunesmith_jobs.train.batches import LeftPadded
        from tunesmith_jobs.train.head import skip_positions_without_loss
        from tunesmith_jobs.train.trainer import RecipeTrainer

    skip_positions_without_loss()
    config = SFTConfig(
        **arguments.trainer(
            settings,
            device=device.kind,
            folder=str(output),
            max_length=max_length,
            validates=bool(splits.validation),
        )
    )
    if config.n_gpu > 1:
        config._n_gpu = 1  # noqa: SLF001 with more cards visible, transformers would wrap the model in DataParallel, which trl refuses
    before = adapter.trainable(model)
    trainer = RecipeTrainer(
        model=model,
        args=config,
        train_dataset=_dataset(splits.train),
        eval_dataset=_dataset(splits.validation) if splits.validation else None,
        processing_class=tokenizer,
        data_collator=LeftPadded(tokenizer.pad_token_id)
        if settings.padding_side == "left" and not settings.packing
        else None,
    )
    trainer.remove_callback(PrinterCallback)
    adapter.restore(trainer.model, before)
    return trainer


def _emptied(folder: Path) -> Path:
    """The folder without what an earlier attempt left in a kept scratch folder; what counts is in the store."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _dataset(rows: Sequence[tokens.Encoded]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [row.ids for row in rows], "labels": [row.labels for row in rows]})


# Train


def _state(checkpoint: Path | None) -> dict[str, Any]:
    """The part of a checkpoint's trainer state that is read here."""
    if checkpoint is None:
        return {"global_step": 0, "log_history": []}
    found: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text())
    return found


def _loss_before(trainer: Any, splits: Splits, output: Path, checkpoint: Path | None) -> float:
    """The test loss before the first step: computed once, then taken from the checkpoint. Puts the checkpoint's extras in place."""
    from tunesmith_jobs.train.callbacks import BEST, NOTES

    for name in (BEST, NOTES):
        if checkpoint is not None and (checkpoint / name).exists():
            (output / name).write_bytes((checkpoint / name).read_bytes())
    notes = output / NOTES
    if not notes.exists() or checkpoint is None:
        notes.write_text(json.dumps({"testLossBefore": test_loss(trainer, splits.test)}))
    return float(json.loads(notes.read_text())["testLossBefore"])


# Test


@torch.no_grad()
def test_loss(trainer: Any, rows: Sequence[tokens.Encoded]) -> float:
    """Mean loss in nats per token of the answers, over all rows alike; NaN without rows. Leaves no trace in the trainer."""
    trainer.model.eval()
    size = trainer.args.per_device_eval_batch_size
    total, count = 0.0, 0
    ordered = sorted(rows, key=lambda row: len(row.ids))  # less padding
    for first in range(0, len(ordered), size):
        batch = [{"input_ids": row.ids, "labels": row.labels} for row in ordered[first : first + size]]
        inputs = {
            name: value.to(trainer.args.device)
            for name, value in trainer.data_collator(batch).items()
            if torch.is_tensor(value)
        }
        with trainer.compute_loss_context_manager():
            outputs = trainer.model(**inputs, fused_lm_head=True)
        total -= float(outputs.log_probs.double().sum())
        count += int(outputs.label_mask.sum())
    trainer.model.train()
    return total / count if count else math.nan


# Save


def _put_adapter(attempt: Attempt, model: Any, pin: Pin) -> None:
    folder = adapter.save(model, attempt.work / "adapter", pin)
    for name in (adapter.CONFIG, adapter.WEIGHTS):
        attempt.put_file(f"adapter/{name}", folder / name)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


# Around it


def _quiet() -> None:
    """The libraries' own bars and notices off: what matters is said by the stage."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(
        logging.ERROR
    )  # it offers kernels from the hub, which would be remote code
    warnings.filterwarnings("ignore", category=FutureWarning)  # for authors of libraries; versions are pinned
    warnings.filterwarnings("ignore", message=".*[Pp]aged optimizers are not supported on CPU.*")


def _repeatable(settings: Training, device: Device) -> None:
    if settings.deterministic and device.kind == "cuda":
        torch.use_deterministic_algorithms(
            mode=True, warn_only=True
        )  # an operation that has no such kernel is named on stderr
        torch.backends.cudnn.benchmark = False


@contextmanager
def _out_of_memory_has_a_name(device: Device) -> Iterator[None]:
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise out_of_memory(device, error) from error
