"""An answer on standard output while it is generated."""

from typing import Any

from transformers import TextStreamer

from tunesmith.plain_text import indented


class PrintedStream(TextStreamer):  # type: ignore[misc] # transformers ships no types
    """Prints whole words as they come, and a newline at the end.

    In a script without spaces it prints whole characters. `margin`: stands before each line, where the answer
    is one of several with headings, which it must not be able to imitate.
    """

    def __init__(self, tokenizer: Any, margin: str = "") -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._margin = margin
        self._begun = False

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: FBT001, FBT002 - transformers' signature
        """Print a piece that will not change any more."""
        first = "" if self._begun else self._margin
        self._begun = True
        print(first + indented(text, by=self._margin), end="\n" if stream_end else "", flush=True)
