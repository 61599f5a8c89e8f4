"""The commands, and the one place that turns what went wrong into text and an exit code.

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
from tunesmith_cli.commands import (
    about,
    changing,
    checking,
    deleting,
    logs,
    reading,
    running,
    status,
    version,
    waiting,
    writing,
)
from tunesmith_cli.commands.place import PLUGIN
from tunesmith_cli.local.processes import Toolbox

_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

app = typer.Typer(
    name="tunesmith",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich alone would take longer than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="A task in plain words becomes a fine-tuned, merged and tested open model. Exit codes: `tunesmith help exit-codes`.",
)
data = typer.Typer(help="Look at own data, offline.", no_args_is_help=True, rich_markup_mode=None)

app.command(short_help="Run requests to a tuned, merged and tested model.")(running.run)
app.command(short_help="Check requests; runs nothing.")(checking.validate)
app.command(short_help="Apply requests to a cluster.")(changing.submit)
app.command(short_help="Show runs or requests, or one of them.")(status.status)
app.command(short_help="Print what the stages of a run said.")(logs.logs)
app.command(short_help="Show what has happened to a request (cluster).")(waiting.events)
app.command(short_help="Wait for the end of a request (cluster).")(waiting.wait)
app.command(short_help="Stop a request for now (cluster).")(changing.suspend)
app.command(short_help="Go on with a suspended request (cluster).")(changing.resume)
app.command(short_help="Go on with a run that failed or was stopped.")(running.retry)
app.command(short_help="Run a stage and all later ones again.")(running.rerun)
app.command(short_help="Delete a request, or its data too (cluster).")(deleting.delete)
app.command(short_help="Show a run's figures and report.")(reading.report)
app.command(short_help="Copy a run's results to a folder.")(reading.fetch)
app.command(short_help="Ask the tuned model of a run.")(reading.infer)
app.add_typer(data, name="data")
data.command()(checking.check)
app.command(short_help="Print a request, to be kept in Git.")(writing.create)
app.command(short_help="Print the JSON Schema of a request, for editors.")(writing.schema)
app.command(short_help="Print the CustomResourceDefinition.")(writing.crd)
app.command(short_help="Versions of Tunesmith and what it uses.")(version.version)
app.command(name="help")(about.help_)


@app.callback(invoke_without_command=False)
def _root(
    *,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colour, no animation; as NO_COLOR=1.")
    ] = False,
    version_: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option("--version", is_eager=True, callback=version.print_version, help="Print the version."),
    ] = False,
) -> None:
    if no_color:
        os.environ["NO_COLOR"] = "1"


def main(arguments: Sequence[str] | None = None, toolbox: Toolbox | None = None, program: str = "") -> int:
    """Run a command; returns the exit code. `toolbox`: what the runner starts, for tests. `program`: how it was called.

    As `kubectl-tunesmith`, which is how kubectl calls a plugin, every command that knows both places means the cluster.
    """
    _prepare_streams()
    command = typer.main.get_command(app)
    given = _with_values(sys.argv[1:] if arguments is None else arguments)
    program = program or (PLUGIN if Path(sys.argv[0]).name.startswith("kubectl") else "tunesmith")
    try:
        code = command.main(given, prog_name=program, standalone_mode=False, obj=toolbox or Toolbox())
        sys.stdout.flush()
        return int(code or 0)
    except TunesmithError as error:
        _say(f"tunesmith: {error}")
        return error.exit_code
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # `tunesmith … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        remedy = (
            "free space or rights there, then run the same command again"
            if error.errno in _OF_A_DISK
            else "run the same command again"
        )
        _say(
            f"tunesmith: {error.strerror or str(error) or type(error).__name__}{where}\nWhat to do: {remedy}"
        )
        return ExitCode.TRY_AGAIN
    except Exception as error:  # noqa: BLE001 - the last resort: what is known has a class of its own
        return _bug(error)


def complete() -> int:
    """`kubectl_complete-tunesmith`: kubectl asks it for the words that may follow; the last line is cobra's directive (4: no files)."""
    words = shlex.join(["tunesmith", *(sys.argv[1:] or [""])])
    os.environ |= {
        f"_{PLUGIN.upper()}_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": words,
    }
    found = io.StringIO()
    with (
        contextlib.suppress(SystemExit),
        contextlib.redirect_stdout(found),
    ):  # typer ends a completion with it
        main([], program=PLUGIN)
    print("\n".join([*filter(None, found.getvalue().splitlines()), ":4"]))
    return ExitCode.DONE


def _with_values(arguments: Sequence[str]) -> list[str]:
    """`--dry-run` alone as `--dry-run=client`: as in kubectl, its value comes with `=` or not at all."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [
        f"{one}=client" if one == "--dry-run" and number < end else one
        for number, one in enumerate(arguments)
    ]


def _prepare_streams() -> None:
    """With `2>&-` there is no standard error, and `print(file=None)` would go to standard output."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the life of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal that lacks a character gets another one, not an error


def _usage(error: typer.TyperException) -> int:
    """A wrong command line; without arguments, the help."""
    text = getattr(error, "format_message", lambda: str(error))().replace(
        ": Value error, ", ": "
    )  # pydantic's words
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(text)
        return ExitCode.USAGE
    if guess := _guess(error):
        text = f"{text} Did you mean {guess!r}?"
    usage = f"{context.get_usage()}\n" if context is not None else ""
    hint = f"\nTry '{context.command_path} --help'." if context is not None else ""
    _say(f"{usage}tunesmith: {text}{hint}")
    return ExitCode.USAGE


def _bug(error: Exception) -> int:
    """A fault of ours, in a line; its traceback for whoever asks."""
    if os.environ.get("TUNESMITH_DEBUG"):
        import traceback

        _say("".join(traceback.format_exception(error)))
    said = (str(error).strip().splitlines() or [""])[0][:300]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    _say(f"tunesmith: a bug in tunesmith: {what}; please report it, with TUNESMITH_DEBUG=1 for the traceback")
    return ExitCode.BUG


def _guess(error: typer.TyperException) -> str:
    """What a misspelt value of a list was meant to be, perhaps."""
    found = re.search(r"'(.+)' is not one of (.+)\.$", getattr(error, "message", ""))
    if found is None:
        return ""
    import difflib

    return next(iter(difflib.get_close_matches(found[1], re.findall(r"'([^']+)'", found[2]), n=1)), "")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever listened has gone: the exit code has to do
        print(text, file=sys.stderr, flush=True)
