"""How the passages of documents were used: which were asked about, and which gave nothing. Pure."""

from dataclasses import dataclass, field

from pydantic import JsonValue

_SHOWN = 20


@dataclass
class PassageUse:
    """Counts of the passages of a dataset. `rows`: accepted ones of each passage that was asked about."""

    files: int
    passages: int
    rows: dict[str, int] = field(default_factory=dict)

    def note(self, passage: str, rows: int) -> None:
        """Count the rows that a call about a passage gave."""
        self.rows[passage] = self.rows.get(passage, 0) + rows

    def figures(self) -> dict[str, JsonValue]:
        """For the report."""
        nothing = sorted(name for name, count in self.rows.items() if not count)
        return {
            "files": self.files,
            "passages": self.passages,
            "asked": len(self.rows),
            "used": len(self.rows) - len(nothing),
            "mostRowsOfOne": max(self.rows.values(), default=0),
            "gaveNothing": [*nothing[:_SHOWN]],
        }

    def in_words(self) -> str:
        """For the log."""
        figures = self.figures()
        nothing = len(self.rows) - int(str(figures["used"]))
        rest = f"; {nothing} gave no row" if nothing else ""
        return f"passages: {figures['used']} of {self.passages} used{rest}"
