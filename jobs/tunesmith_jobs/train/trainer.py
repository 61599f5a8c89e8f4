"""trl's trainer, changed in the two points where a resumable recipe needs something else."""

from typing import Any

import torch
from trl import SFTTrainer

from tunesmith.errors import BadData
from tunesmith_jobs.train.batches import GroupedByLength


class RecipeTrainer(SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """SFTTrainer that stops at a loss that is not finite, and groups rows by seed and epoch alone."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        rows = self.train_dataset if train_dataset is None else train_dataset
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return GroupedByLength([len(ids) for ids in rows["input_ids"]], batch, self.args.seed)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Raises BadData before the optimizer spreads a loss that is not finite."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise BadData(
                f"the loss at step {self.state.global_step + 1} is not a number ({float(loss)})",
                reason="LossNotFinite",
                remedy="lower learningRate, set maxGradNorm, or use bf16 instead of fp16; "
                "the last checkpoint is kept",
            )
        return loss
