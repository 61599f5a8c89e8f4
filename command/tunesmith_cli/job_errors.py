"""Errors of the jobs' processes, as they come back: an exit code, and a text that ends with what to do."""

from collections.abc import Mapping

from tunesmith.errors import BadData, BadRequest, Gone, Refused, TryAgain, TunesmithError, Usage

_CLASSES: Mapping[int, type[TunesmithError]] = {
    kind.exit_code: kind for kind in (Usage, BadData, Gone, TryAgain, Refused, BadRequest)
}


def error_class(exit_code: int) -> type[TunesmithError]:
    """The class of the error that a process ended with."""
    return _CLASSES.get(exit_code, TunesmithError)


def message_and_remedy(text: str) -> tuple[str, str]:
    """The two parts of an error that was printed; the remedy is empty if the text has none."""
    message, _, remedy = text.strip().partition("\nWhat to do: ")
    return message, remedy
