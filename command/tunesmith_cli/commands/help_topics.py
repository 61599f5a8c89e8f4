"""`help`: its topics, exit codes and environment variables."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import typer

from tunesmith.errors import ExitCode, Usage
from tunesmith_cli.commands.terminal import say


class Meaning(NamedTuple):
    """What an exit code means. `retried`: whether runner and Job try a stage again that ended with it."""

    text: str
    remedy: str
    retried: str = "no"


# The only table: `tunesmith help exit-codes` and the page of the docs are made from it.
EXIT_CODES: dict[ExitCode, Meaning] = {
    ExitCode.DONE: Meaning("done", "nothing"),
    ExitCode.BUG: Meaning(
        "a bug in Tunesmith; a gate that was not passed; a request that has failed "
        "(wait, status --exit-status, submit --watch); a field that somebody else set (submit)",
        "the message says which; a gate can be lowered, nothing runs again; a field can be taken over",
        "yes, counted",
    ),
    ExitCode.USAGE: Meaning(
        "the command line is wrong, or does not apply now (retry of a request that has not failed)",
        "see --help",
    ),
    ExitCode.BAD_DATA: Meaning(
        "bad data: unreadable, too few rows, budget spent, NaN loss",
        "change data or request; what was paid for is kept",
    ),
    ExitCode.GONE: Meaning(
        "an earlier result, a run, a request or a pinned thing is gone",
        "run the stage named in the message again",
    ),
    ExitCode.TRY_AGAIN: Meaning(
        "endpoint, store, cluster, GPU or disk space not available now; wait --timeout has passed",
        "run the same command again later",
        "yes, counted",
    ),
    ExitCode.REFUSED: Meaning(
        "credentials refused or missing, quota used up", "set the variable named in the message"
    ),
    ExitCode.BAD_REQUEST: Meaning(
        "the request can never run as it is", "correct the fields named in the message"
    ),
    ExitCode.INTERRUPTED: Meaning(
        "stopped by Ctrl-C; state saved, unless it was pressed twice",
        "run the same command again to continue",
    ),
    ExitCode.STOPPED: Meaning(
        "told to stop (SIGTERM); state saved", "run the same command again to continue", "yes, not counted"
    ),
}

_ENVIRONMENT = """\
TUNESMITH_STORE                  the store, where --store is not given
TUNESMITH_SECRET_<NAME>_<KEY>    a secret that a request names (upper case, other characters as _)
OPENAI_API_KEY, OPENAI_BASE_URL  the teacher, where the request names neither endpoint nor secret
HF_TOKEN                         token for hf:// models, where the request names no secret
AWS_*                            credentials, region and endpoint of s3://, also for a cluster's runs
KUBECONFIG                       the kubeconfig, where --kubeconfig is not given
HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, AWS_CA_BUNDLE
                                 passed to every stage
XDG_DATA_HOME, XDG_STATE_HOME    where runs, and locks, logs and scratch, are kept
NO_COLOR, TERM=dumb              no colour, no animation
TUNESMITH_DEBUG=1                the traceback of a bug in tunesmith, to report it with

There are no configuration files. An option is taken from the command line, else from its variable above,
else it has its built-in value. A field of a request is taken from --set, else from the request, its
presets, the profile (on a cluster) or the environment, else it has its built-in value;
`tunesmith validate FILE --resolved` shows every value and where it comes from."""


def exit_codes() -> str:
    """The table of exit codes."""
    lines = ["CODE  MEANING, and what to do"]
    for code, meaning in EXIT_CODES.items():
        lines += [f"{code:>4}  {meaning.text}", f"      {meaning.remedy}"]
    return "\n".join(lines)


def environment() -> str:
    """The environment variables that Tunesmith reads."""
    return _ENVIRONMENT


TOPICS: dict[str, Callable[[], str]] = {"exit-codes": exit_codes, "environment": environment}


def help_(
    context: typer.Context, topic: Annotated[str, typer.Argument(help="exit-codes or environment.")] = ""
) -> None:
    """Help on a topic: exit-codes, environment."""
    if not topic:
        parent = context.parent
        assert parent is not None
        say(parent.get_help())
        say("\nTopics: tunesmith help exit-codes, tunesmith help environment")
        return
    if topic not in TOPICS:
        import difflib

        guess = difflib.get_close_matches(topic, TOPICS, n=1)
        raise Usage(
            f"there is no topic {topic!r}",
            remedy=f"did you mean {guess[0]!r}?" if guess else f"one of {', '.join(TOPICS)}",
        )
    say(TOPICS[topic]())
