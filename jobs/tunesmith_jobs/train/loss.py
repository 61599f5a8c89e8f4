"""The loss of the model as it is, on rows that it is not trained on."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from tunesmith_jobs.train.tokens import Encoded


@torch.no_grad()
def mean_loss(trainer: Any, rows: Sequence[Encoded]) -> float:
    """Mean loss in nats per token of the answers, every token weighing the same; NaN without rows.

    It leaves no trace in the trainer.
    """
    trainer.model.eval()
    size = trainer.args.per_device_eval_batch_size
    total = 0.0
    count = 0
    ordered = sorted(rows, key=lambda row: len(row.ids))  # less padding
    for first in range(0, len(ordered), size):
        batch = [{"input_ids": row.ids, "labels": row.labels} for row in ordered[first : first + size]]
        collated = trainer.data_collator(batch)
        inputs = {
            name: value.to(trainer.args.device) for name, value in collated.items() if torch.is_tensor(value)
        }
        with trainer.compute_loss_context_manager():
            outputs = trainer.model(**inputs, fused_lm_head=True)
        total -= float(outputs.log_probs.double().sum())
        count += int(outputs.label_mask.sum())
    trainer.model.train()
    return total / count if count else math.nan
