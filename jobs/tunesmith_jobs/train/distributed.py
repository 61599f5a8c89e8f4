"""Several processes of one training, one for each GPU: which one leads, and what all of them agree on.

The leader (rank 0) is the stage: it alone writes to the store, prints events and commits. Followers compute
gradients and nothing else. Every process gets `perDeviceTrainBatchSize` rows per forward pass, so an
optimizer step sees that number times the processes times `gradientAccumulationSteps`. All processes draw the
same order of rows, and each takes its share of it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from tunesmith.errors import TryAgain

T = TypeVar("T")
# For the leader, who may download a large model. The launcher notices a process that dies.
_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True)
class Processes:
    """The processes of this training, and which of them this one is."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def from_leader(self, make: Callable[[], T]) -> T:
        """What the leader makes, in every process."""
        if self.count == 1:
            return make()
        box: list[T | None] = [make() if self.leads else None]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]  # type: ignore[return-value]  # the leader has put it there

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """A block that followers enter when the leader has left it."""
        if not self.leads:
            self.wait_for_all()
        yield
        if self.leads:
            self.wait_for_all()

    def wait_for_all(self) -> None:
        """Wait until every process has come to this point."""
        self.any_of_them(flag=False)

    def any_of_them(self, *, flag: bool) -> bool:
        """Whether the flag is set in any process; all get the same answer."""
        if self.count == 1:
            return flag
        flags = torch.tensor([int(flag)])
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return bool(flags.item())


@contextmanager
def joined_processes(device_setting: str) -> Iterator[Processes]:
    """Join the other processes, if the launcher has started several.

    Raises TryAgain without a GPU for each.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    rank = int(os.environ["RANK"])
    uses_gpu = device_setting != "cpu" and torch.cuda.is_available()
    if uses_gpu:
        _take_gpu(rank, count)
    dist.init_process_group("cpu:gloo,cuda:nccl" if uses_gpu else "gloo", timeout=_TIMEOUT)
    try:
        yield Processes(rank, count)
    finally:
        dist.destroy_process_group()


def _take_gpu(rank: int, count: int) -> None:
    visible = torch.cuda.device_count()
    if visible < count:
        raise TryAgain(
            f"{count} processes were started, one for each GPU, and {visible} GPUs are visible",
            reason="NoGPU",
            remedy="run where as many GPUs are free",
        )
    torch.cuda.set_device(rank)
