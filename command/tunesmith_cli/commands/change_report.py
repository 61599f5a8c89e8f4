"""What `submit`, the acts and `delete` print: to people at once, to scripts as one document at the end."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.errors import TunesmithError
from tunesmith_cli.commands import forecast_output
from tunesmith_cli.commands.options import Changed, Dry, Listing
from tunesmith_cli.commands.target import Target
from tunesmith_cli.commands.terminal import print_document, say, say_json, tell

if TYPE_CHECKING:
    from tunesmith_cli.forecast import Forecast

FORMAT = 1
_DRY = {Dry.NONE: "", Dry.CLIENT: " (dry run)", Dry.SERVER: " (server dry run)"}


class ChangeReport:
    """What has been changed so far, one request after another."""

    def __init__(self, form: Changed, dry_run: Dry) -> None:
        self.form = form
        self.dry_run = dry_run
        self.changes: list[dict[str, Any]] = []

    def add(self, request: Mapping[str, Any], result: str, words: str = "", **more: Any) -> None:
        """Add a request that was changed.

        `words`: for people, where `result` would not do; `more`: further members.
        """
        from tunesmith_cli.cluster.requests import QUALIFIED

        metadata = request["metadata"]
        members = {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "result": result,
            "uid": metadata.get("uid", ""),
        }
        self.changes.append(members | more)
        if self.form is Changed.TEXT:
            say(f"{QUALIFIED}/{metadata['name']} {words or result}{_DRY[self.dry_run]}")
        elif self.form is Changed.NAME:
            say(f"{QUALIFIED}/{metadata['name']}")

    def add_forecast(self, forecast: "Forecast") -> None:
        """Add what the latest change would run."""
        self.add_members(**forecast_output.members(forecast))
        self.print_line(forecast_output.text(forecast))

    def print_line(self, text: str) -> None:
        """Print something more for people."""
        if self.form is Changed.TEXT:
            say(text)

    def add_members(self, **more: Any) -> None:
        """Add further members to the latest change, for scripts."""
        self.changes[-1] |= more

    def print_next_commands(self, target: Target) -> None:
        """Print what a person may want to type now; it is not part of the result."""
        if self.form is not Changed.TEXT or self.dry_run is not Dry.NONE:
            return
        for change in self.changes:
            tell("Next:")
            for words in (("status", change["name"], "-w"), ("logs", change["name"], "-f")):
                tell(f"  {target.command(*words, namespace=change['namespace'])}")


@contextlib.contextmanager
def change_report(form: Changed, dry_run: Dry) -> Iterator[ChangeReport]:
    """A report to which the block adds changes.

    Its document is printed at the end, also after a failure half-way.
    """
    report = ChangeReport(form, dry_run)
    failed = None
    try:
        yield report
    except TunesmithError as error:
        failed = {
            "exitCode": int(error.exit_code),
            "reason": error.reason,
            "message": error.message,
            "remedy": error.remedy,
        }
        raise
    finally:
        document = {"format": FORMAT, "dryRun": dry_run.value, "requests": report.changes, "failed": failed}
        if form is Changed.JSON:
            say_json(document, indent=None)
        elif form is Changed.YAML:
            print_document(document, Listing.YAML)
