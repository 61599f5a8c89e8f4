"""Batches: which rows are trained on together, in which order, and how they are padded."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl.trainer.utils import pad

from tunesmith_jobs.train.tokens import IGNORED


class GroupedByLength(Sampler[int]):
    """Rows of similar length together, shuffled anew each epoch from seed and epoch alone.

    transformers' own sampler draws from the process's global generator. After a restart in a later epoch,
    that is in another state, and the rows would come in another order.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.batch = batch  # rows of one optimizer step
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch; the data loader calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch, generator=generator))


class LeftPadded:
    """Batches padded on the left; trl's own collator pads on the right only."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, list[int]]]) -> dict[str, torch.Tensor]:
        """The batch as int64 tensors of shape (rows, longest row)."""
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        labels = [torch.tensor(row["labels"]) for row in rows]
        return {
            "input_ids": pad(ids, padding_value=self.pad_token_id, padding_side="left"),
            "attention_mask": pad(
                [torch.ones_like(row) for row in ids], padding_value=0, padding_side="left"
            ),
            "labels": pad(labels, padding_value=IGNORED, padding_side="left"),
        }
