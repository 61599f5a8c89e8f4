"""The attempt of a process that only computes: with several processes, the leader alone leaves results."""

import math
from datetime import UTC, datetime

from tunesmith.manifest import Manifest
from tunesmith_jobs.attempt import Attempt, Outcome


class Follower(Attempt):
    """An attempt that leaves nothing in the store."""

    def commit(self, outcome: Outcome) -> tuple[Manifest, bool]:
        """Return a manifest that is not stored: the leader commits."""
        metrics = {name: value for name, value in outcome.metrics.items() if math.isfinite(value)}
        manifest = Manifest(
            run=self.snapshot.run,
            stage=self.stage,
            key=self.key,
            attempt=self.id,
            created=datetime.now(UTC),
            seconds=0,
            files=(),
            metrics=metrics,
        )
        return manifest, False

    def clean_up(self, winner: Manifest) -> None:
        """Do nothing: the leader cleans up."""

    def keep_request(self) -> None:
        """Do nothing: the leader keeps it."""

    def keep_log(self) -> None:
        """Do nothing: what a follower says is on its standard error."""
