"""Several processes of one training, one for each GPU: who leads, and what all of them have to agree on.

The leader (rank 0) is the stage: it alone writes to the store, prints events and commits. Followers compute gradients and nothing else.
Every process gets `perDeviceTrainBatchSize` rows a forward pass, so an optimizer step sees that times the number of processes times
`gradientAccumulationSteps`; all processes draw the same order of rows, and each takes its share of it.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from tunesmith.errors import TryAgain
from tunesmith.manifest import Manifest
from tunesmith_jobs.attempt import Attempt, Outcome

T = TypeVar("T")
_TIMEOUT = timedelta(
    hours=24
)  # of waiting for the leader, who may download a large model; a process that dies is the launcher's to see


class Follower(Attempt):
    """An attempt that leaves nothing."""

    def commit(self, outcome: Outcome) -> tuple[Manifest, bool]:
        """Nothing: the leader commits."""
        metrics = {name: value for name, value in outcome.metrics.items() if math.isfinite(value)}
        done = datetime.now(UTC)
        manifest = Manifest(
            run=self.snapshot.run,
            stage=self.stage,
            key=self.key,
            attempt=self.id,
            created=done,
            seconds=0,
            files=(),
            metrics=metrics,
        )
        return manifest, False

    def clean_up(self, winner: Manifest) -> None:
        """Nothing."""

    def keep_request(self) -> None:
        """Nothing."""

    def keep_log(self) -> None:
        """Nothing: what a follower says is on its standard error."""


@dataclass(frozen=True)
class Together:
    """This process among all of them."""

    rank: int = 0
    processes: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, make: Callable[[], T]) -> T:
        """What the leader makes, in every process."""
        if self.processes == 1:
            return make()
        box: list[T | None] = [make() if self.leads else None]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]  # type: ignore[return-value]  # the leader has put it there

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """A block that followers enter when the leader has left it."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Until all processes are here."""
        self.any(wish=False)

    def any(self, *, wish: bool) -> bool:
        """Whether any process wishes so; all get the same answer."""
        if self.processes == 1:
            return wish
        votes = torch.tensor([int(wish)])
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return bool(votes.item())


@contextmanager
def together(device: str) -> Iterator[Together]:
    """Join the other processes, if the launcher has started several. `device`: training.device. Raises TryAgain without a GPU for each."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        yield Together()
        return
    rank = int(os.environ["RANK"])
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        if torch.cuda.device_count() < processes:
            raise TryAgain(
                f"{processes} processes were started, one for each GPU, and {torch.cuda.device_count()} GPUs are visible",
                reason="NoGPU",
                remedy="run where as many GPUs are free",
            )
        torch.cuda.set_device(rank)
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=_TIMEOUT)
    try:
        yield Together(rank, processes)
    finally:
        dist.destroy_process_group()
