"""The commands, and the one place that turns failures into text and an exit code.

Nothing heavy is imported before a command needs it: help, completion and `version` answer at once.
"""

import contextlib
import errno
import io
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.errors import ExitCode, TunesmithError
from tunesmith.secret_values import without_secrets
from tunesmith_cli.commands import (
    checks,
    cluster_changes,
    delete,
    estimate,
    events,
    help_topics,
    logs,
    preview,
    printed_documents,
    results,
    run,
    status,
    version,
    wait,
)
from tunesmith_cli.commands.target import PLUGIN
from tunesmith_cli.commands.terminal import say, tell
from tunesmith_cli.local.processes import Toolbox

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

app = typer.Typer(
    name="tunesmith",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich alone would take longer than everything else
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=(
        "A task in plain words becomes a fine-tuned, merged and tested open model. "
        "Exit codes: `tunesmith help exit-codes`."
    ),
)
data = typer.Typer(help="Check your own data, offline.", no_args_is_help=True, rich_markup_mode=None)

app.command(short_help="Run requests to a tuned, merged and tested model.")(run.run)
app.command(short_help="Check requests without running them.")(checks.validate)
app.command(short_help="Say what requests will take before anything is paid.")(estimate.estimate)
app.command(short_help="Show the first rows that a teacher writes, and keep them.")(preview.preview)
app.command(short_help="Have a dataset planned, to look at and change.")(preview.plan)
app.command(short_help="Apply requests to a cluster.")(cluster_changes.submit)
app.command(short_help="Show runs or requests, or one of them.")(status.status)
app.command(short_help="Print what the stages of a run printed.")(logs.logs)
app.command(short_help="Show what has happened to a request (cluster).")(events.events)
app.command(short_help="Wait for the end of a request (cluster).")(wait.wait)
app.command(short_help="Pause a request (cluster).")(cluster_changes.suspend)
app.command(short_help="Continue a suspended request (cluster).")(cluster_changes.resume)
app.command(short_help="Continue a run that failed or was stopped.")(run.retry)
app.command(short_help="Run a stage and all later ones again.")(run.rerun)
app.command(short_help="Delete a request, or its data too (cluster).")(delete.delete)
app.command(short_help="Show a run's figures and report.")(results.report)
app.command(short_help="Copy a run's results to a folder.")(results.fetch)
app.command(short_help="Ask the tuned model of a run.")(results.infer)
app.add_typer(data, name="data")
data.command()(checks.check)
app.command(short_help="Print a request, to be kept in Git.")(printed_documents.create)
app.command(short_help="Print the JSON Schema of a request, for editors.")(printed_documents.schema)
app.command(short_help="Print the CustomResourceDefinition.")(printed_documents.crd)
app.command(short_help="Print the versions of Tunesmith and of what it uses.")(version.version)
app.command(name="help")(help_topics.help_)


@app.callback(invoke_without_command=False)
def _root(
    *,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colour, no animation; like NO_COLOR=1.")
    ] = False,
    version_: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option("--version", is_eager=True, callback=version.print_version, help="Print the version."),
    ] = False,
) -> None:
    if no_color:
        os.environ["NO_COLOR"] = "1"


def main(arguments: Sequence[str] | None = None, toolbox: Toolbox | None = None, program: str = "") -> int:
    """Run a command; returns the exit code.

    `toolbox`: what the runner starts, for tests. `program`: how it was called.

    Called as `kubectl-tunesmith`, which is how kubectl calls a plugin, every command is about the cluster
    that can be.
    """
    _prepare_streams()
    command = typer.main.get_command(app)
    words = _with_values(sys.argv[1:] if arguments is None else arguments)
    program = program or (PLUGIN if Path(sys.argv[0]).name.startswith("kubectl") else "tunesmith")
    try:
        code = command.main(words, prog_name=program, standalone_mode=False, obj=toolbox or Toolbox())
        sys.stdout.flush()
        return int(code or 0)
    except TunesmithError as error:
        _print_error(f"tunesmith: {error}")
        return error.exit_code
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        _print_error("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # `tunesmith … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        return _system_error(error)
    except Exception as error:  # noqa: BLE001 - the last resort: every known failure has a class of its own
        return _bug(error)


def complete() -> int:
    """`kubectl_complete-tunesmith`, which kubectl asks for the words that may follow.

    The last line is cobra's directive; 4 means that no file names are to be offered.
    """
    words = shlex.join(["tunesmith", *(sys.argv[1:] or [""])])
    os.environ |= {
        f"_{PLUGIN.upper()}_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": words,
    }
    output = io.StringIO()
    with (
        contextlib.suppress(SystemExit),
        contextlib.redirect_stdout(output),
    ):  # typer exits after a completion
        main([], program=PLUGIN)
    print("\n".join([*filter(None, output.getvalue().splitlines()), ":4"]))
    return ExitCode.DONE


def _with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--dry-run` alone as `--dry-run=client`: as in kubectl, its value comes with `=` or
    not at all.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    options = ["--dry-run=client" if word == "--dry-run" else word for word in arguments[:end]]
    return [*options, *arguments[end:]]


def _prepare_streams() -> None:
    """With `2>&-` there is no standard error, and `print(file=None)` would write to standard output."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the life of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows another one instead of failing.
            stream.reconfigure(errors="replace")


def _usage(error: typer.TyperException) -> int:
    """A wrong command line; without arguments, the help."""
    text = getattr(error, "format_message", lambda: str(error))()
    text = text.replace(": Value error, ", ": ")  # pydantic's words
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(text)
        return ExitCode.USAGE
    if guess := _guess(error):
        text = f"{text} Did you mean {guess!r}?"
    usage = f"{context.get_usage()}\n" if context is not None else ""
    hint = f"\nTry '{context.command_path} --help'." if context is not None else ""
    _print_error(f"{usage}tunesmith: {text}{hint}")
    return ExitCode.USAGE


def _system_error(error: OSError) -> int:
    """A failure of this machine: its disk, its rights, its network."""
    what = error.strerror or str(error) or type(error).__name__
    where = f" ({error.filename})" if error.filename else ""
    remedy = "run the same command again"
    if error.errno in _DISK_ERRORS:
        remedy = f"free space or get rights there, then {remedy}"
    _print_error(f"tunesmith: {what}{where}\nWhat to do: {remedy}")
    return ExitCode.TRY_AGAIN


def _bug(error: Exception) -> int:
    """A bug of Tunesmith, in one line; its traceback with TUNESMITH_DEBUG=1."""
    if os.environ.get("TUNESMITH_DEBUG"):
        import traceback

        _print_error("".join(traceback.format_exception(error)))
    first_line = (str(error).strip().splitlines() or [""])[0][:300]
    what = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    _print_error(
        f"tunesmith: a bug in tunesmith: {what}; please report it, with TUNESMITH_DEBUG=1 for the traceback"
    )
    return ExitCode.BUG


def _guess(error: typer.TyperException) -> str:
    """The value that a misspelt choice probably means, or an empty string."""
    match = re.search(r"'(.+)' is not one of (.+)\.$", getattr(error, "message", ""))
    if match is None:
        return ""
    import difflib

    choices = re.findall(r"'([^']+)'", match[2])
    return next(iter(difflib.get_close_matches(match[1], choices, n=1)), "")


def _print_error(text: str) -> None:
    with contextlib.suppress(OSError):  # the reader of standard error has gone: the exit code has to do
        tell(without_secrets(text, os.environ))
