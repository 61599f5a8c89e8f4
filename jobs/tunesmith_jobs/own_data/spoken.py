"""How a message says which setting would help: as a request has it, or as an option of `data check`. Pure."""

from collections.abc import Callable, Mapping

from tunesmith.settings import Fields

Speak = Callable[[Mapping[str, str]], str]
"""Settings of a source with their values -> what to do, beginning with a verb."""


def in_request(settings: Mapping[str, str]) -> str:
    """`set data.source.fields.prompt: question`."""
    named = [f"data.source.{'fields.' if name in Fields.model_fields else ''}{name}" for name in settings]
    return "set " + " and ".join(
        f"{name}: {value}" for name, value in zip(named, settings.values(), strict=True)
    )


def as_options(settings: Mapping[str, str]) -> str:
    """`give --prompt question`, with quotes as a shell needs them."""
    from shlex import quote

    return "give " + " ".join(f"--{name} {quote(value)}" for name, value in settings.items())
