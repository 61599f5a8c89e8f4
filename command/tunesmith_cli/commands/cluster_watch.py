"""`status --watch` on a cluster: a request until it ends, or the list until it is interrupted."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ExitCode, Gone, TryAgain, Usage
from tunesmith.plain_text import printable
from tunesmith_cli.commands.cluster_status import LEAST, code, document, is_over, line, rows, text
from tunesmith_cli.commands.options import Listing
from tunesmith_cli.commands.target import Target
from tunesmith_cli.commands.terminal import fancy, fitted, print_document, say, say_json, table, tell

if TYPE_CHECKING:
    from rich.live import Live


LIST_SECONDS = 2.0  # between two looks at a list
Row = tuple[str, ...]


def show(target: Target, name: str, form: Listing, *, exit_status: bool) -> int:
    """`status -w` there."""
    if form in (Listing.JSON, Listing.YAML):
        if not name:
            raise Usage("-w with -o json or yaml follows one request", remedy="give its NAME")
        return _documents(target, name, form, exit_status=exit_status)
    if name:
        return watch_one(target, target.namespace(), name, exit_status=exit_status)
    namespace = "" if target.all_namespaces else target.namespace()
    api, wide = target.api(), form is Listing.WIDE
    tables = _tables(lambda: rows(api, namespace, wide=wide))
    if fancy(sys.stdout):
        _redraw_list(tables, wide=wide)
    else:
        _print_list(tables, key_columns=1 if namespace else 2)
    return ExitCode.DONE


def watch_one(target: Target, namespace: str, name: str, *, exit_status: bool) -> int:
    """Follow a request until it ends: redrawn on a terminal, else a line for each change."""
    requests = _until_it_ends(target, namespace, name)
    if fancy(sys.stdout):
        last = _redraw(requests, target)
    else:
        printed = ""
        for last in requests:
            if line(last) != printed:
                printed = line(last)
                say(f"{datetime.now().astimezone():%H:%M:%S} {printed}")
    return code(last) if exit_status else ExitCode.DONE


def _documents(target: Target, name: str, form: Listing, *, exit_status: bool) -> int:
    """A document for each change: JSON in a line, or YAML."""
    for last in _until_it_ends(target, target.namespace(), name):
        if form is Listing.JSON:
            say_json(document(last), indent=None)
        else:
            say("---")
            print_document(document(last), form)
            sys.stdout.flush()
    return code(last) if exit_status else ExitCode.DONE


def _until_it_ends(target: Target, namespace: str, name: str) -> Iterator[Mapping[str, Any]]:
    """The request now and at each change, until it has ended. Raises Gone if it is deleted before."""
    from tunesmith_cli.cluster.requests import follow

    for request in follow(target.api(), namespace, name):
        yield request
        if is_over(request):
            return
    raise Gone(f"{name} was deleted", reason="Deleted")


def _redraw(requests: Iterator[Mapping[str, Any]], target: Target) -> Mapping[str, Any]:
    """Draw a request again at each change; the last one."""
    from rich.text import Text

    with _live() as live:
        for last in requests:
            live.update(Text(printable(text(last, target, bars=True))), refresh=True)
    return last


def _print_list(tables: Iterator[list[Row]], *, key_columns: int) -> None:
    """Print a line for each row that is new, has changed, or is gone.

    `key_columns`: those that name a request.
    """
    printed: dict[Row, Row] = {}  # key -> what was last printed of it, but for its age
    headed = False
    for head, *requests in tables:
        if not headed:
            say("   ".join(head))
            headed = True
        age = head.index("AGE")
        for row in requests:
            state = (*row[:age], *row[age + 1 :])  # that time passes is not a change
            if printed.get(row[:key_columns]) != state:
                printed[row[:key_columns]] = state
                say("   ".join(row))
        gone = printed.keys() - {row[:key_columns] for row in requests}
        for key in [key for key in printed if key in gone]:
            del printed[key]
            say("   ".join((*key, "deleted")))


def _redraw_list(tables: Iterator[list[Row]], *, wide: bool) -> None:
    from rich.text import Text

    with _live() as live:
        for requests in tables:
            shown = table(requests if wide else fitted(requests, LEAST))
            live.update(Text(shown, no_wrap=True), refresh=True)


def _tables(look: Callable[[], list[Row]]) -> Iterator[list[Row]]:
    """The list, again and again. Only the first look may fail: a server that is away later is waited for."""
    away = False
    yield look()
    while True:
        time.sleep(LIST_SECONDS)
        try:
            requests = look()
        except TryAgain as error:
            if not away:
                tell(f"{error.message}; waiting for it")
            away = True
            continue
        away = False
        yield requests


def _live() -> "Live":
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop")
