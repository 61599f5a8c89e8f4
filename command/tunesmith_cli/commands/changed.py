"""What `submit` and the acts say they have changed: to people at once, to scripts as one document at the end."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.errors import TunesmithError
from tunesmith_cli.commands.options import Changed, Dry, Listing
from tunesmith_cli.commands.place import Where
from tunesmith_cli.commands.terminal import print_document, table

if TYPE_CHECKING:
    from tunesmith_cli.cluster.foretell import Foretold

FORMAT = 1
_DRY = {Dry.NONE: "", Dry.CLIENT: " (dry run)", Dry.SERVER: " (server dry run)"}


class Saying:
    """What has been changed so far, one request after another."""

    def __init__(self, form: Changed, dry_run: Dry) -> None:
        self.form, self.dry_run = form, dry_run
        self.done: list[dict[str, Any]] = []

    def add(self, request: Mapping[str, Any], result: str, words: str = "", **more: Any) -> None:
        """A request that was changed. `words`: for people, where `result` would not do; `more`: further members."""
        from tunesmith_cli.cluster.requests import QUALIFIED

        metadata = request["metadata"]
        self.done.append(
            {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "result": result,
                "uid": metadata.get("uid", ""),
            }
            | more
        )
        if self.form is Changed.TEXT:
            print(f"{QUALIFIED}/{metadata['name']} {words or result}{_DRY[self.dry_run]}", flush=True)
        elif self.form is Changed.NAME:
            print(f"{QUALIFIED}/{metadata['name']}", flush=True)

    def foretell(self, foretold: "Foretold") -> None:
        """What the change added last would run."""
        self.done[-1] |= {
            "stages": [{"name": name, "key": key, "would": would} for name, key, would in foretold.stages],
            "changes": [
                {"path": one.path, "before": one.before, "after": one.after, "stage": one.stage}
                for one in foretold.edits
            ],
        }
        if self.form is Changed.TEXT:
            rows = ((name, key or "<by the controller>", would) for name, key, would in foretold.stages)
            print(
                "".join(f"changed: {edit}\n" for edit in foretold.edits)
                + table([("STAGE", "KEY", "WOULD"), *rows])
            )

    def line(self, text: str) -> None:
        """More for people."""
        if self.form is Changed.TEXT:
            print(text, flush=True)

    def member(self, **more: Any) -> None:
        """More about what was added last, for scripts."""
        self.done[-1] |= more

    def next_commands(self, where: Where) -> None:
        """What a person may want to type now; not part of the result."""
        if self.form is not Changed.TEXT or self.dry_run is not Dry.NONE:
            return
        for one in self.done:
            print("Next:", file=sys.stderr)
            for words in (("status", one["name"], "-w"), ("logs", one["name"], "-f")):
                print(f"  {where.command(*words, namespace=one['namespace'])}", file=sys.stderr)


@contextlib.contextmanager
def saying(form: Changed, dry_run: Dry) -> Iterator[Saying]:
    """Within, changes are added; at the end the document is printed, also where a failure ended it half-way."""
    said = Saying(form, dry_run)
    failed = None
    try:
        yield said
    except TunesmithError as error:
        failed = {
            "exitCode": int(error.exit_code),
            "reason": error.reason,
            "message": error.message,
            "remedy": error.remedy,
        }
        raise
    finally:
        document = {"format": FORMAT, "dryRun": dry_run.value, "requests": said.done, "failed": failed}
        if form is Changed.JSON:
            print(json.dumps(document, ensure_ascii=False), flush=True)
        elif form is Changed.YAML:
            print_document(document, Listing.YAML)
