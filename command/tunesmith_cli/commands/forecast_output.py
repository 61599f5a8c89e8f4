"""A dry run's result, for people and for scripts."""

from typing import TYPE_CHECKING, Any

from tunesmith_cli.commands.terminal import table

if TYPE_CHECKING:
    from tunesmith_cli.forecast import Forecast


def members(forecast: "Forecast") -> dict[str, Any]:
    """`stages` and `changes` of a document."""
    return {
        "stages": [{"name": stage.name, "key": stage.key, "would": stage.would} for stage in forecast.stages],
        "changes": [
            {"path": edit.path, "before": edit.before, "after": edit.after, "stage": edit.stage}
            for edit in forecast.edits
        ],
    }


def text(forecast: "Forecast") -> str:
    """A line for each edited field, and a table of the stages."""
    edits = [f"changed: {edit}" for edit in forecast.edits]
    rows = [(stage.name, stage.key or "<by the controller>", stage.would) for stage in forecast.stages]
    return "\n".join([*edits, table([("STAGE", "KEY", "WOULD"), *rows])])
