"""An answer on standard output while it is generated."""

from typing import Any

from transformers import TextStreamer


class PrintedStream(TextStreamer):  # type: ignore[misc] # transformers ships no types
    """Prints whole words as they come, and a newline at the end.

    In a script without spaces it prints whole characters.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: FBT001, FBT002 - transformers' signature
        """Print a piece that will not change any more."""
        print(text, end="\n" if stream_end else "", flush=True)
