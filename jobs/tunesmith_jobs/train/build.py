"""Builds trl's trainer over our tokens, its adapter in float32."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.settings import Training
from tunesmith_jobs.process import collector_paused
from tunesmith_jobs.train import adapter, arguments, tokens
from tunesmith_jobs.train.splits import Splits


def build_trainer(
    model: Any,
    tokenizer: Any,
    splits: Splits,
    settings: Training,
    *,
    device: str,
    folder: Path,
    max_length: int,
) -> Any:
    """The trainer of a model with an adapter. `device`: cuda or cpu; `folder`: for checkpoints."""
    with collector_paused():
        from transformers import PrinterCallback
        from trl import SFTConfig

        from tunesmith_jobs.train.batches import LeftPadded
        from tunesmith_jobs.train.head import skip_positions_without_loss
        from tunesmith_jobs.train.trainer import RecipeTrainer

    skip_positions_without_loss()
    options = arguments.trainer(
        settings,
        device=device,
        folder=str(folder),
        max_length=max_length,
        validates=bool(splits.validation),
    )
    config = SFTConfig(**options)
    if config.n_gpu > 1:
        # With more cards visible, transformers would wrap the model in DataParallel, which trl refuses.
        config._n_gpu = 1  # noqa: SLF001 it has no public name
    pads_left = settings.padding_side == "left" and not settings.packing
    before = adapter.trainable(model)
    trainer = RecipeTrainer(
        model=model,
        args=config,
        train_dataset=_dataset(splits.train),
        eval_dataset=_dataset(splits.validation) if splits.validation else None,
        processing_class=tokenizer,
        data_collator=LeftPadded(tokenizer.pad_token_id) if pads_left else None,
    )
    trainer.remove_callback(PrinterCallback)
    adapter.restore(trainer.model, before)
    return trainer


def _dataset(rows: Sequence[tokens.Encoded]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [row.ids for row in rows], "labels": [row.labels for row in rows]})
