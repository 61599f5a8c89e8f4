"""`status --watch` on a cluster: a request to its end, or the list until somebody has seen enough."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ExitCode, Gone, TryAgain, Usage
from tunesmith_cli.commands.cluster_status import LEAST, code, document, is_over, line, rows, text
from tunesmith_cli.commands.options import Listing
from tunesmith_cli.commands.place import Where
from tunesmith_cli.commands.terminal import fancy, fitted, print_document, table, tell

if TYPE_CHECKING:
    from rich.live import Live

    from tunesmith_cli.cluster.api import Api

_LIST_SECONDS = 2.0  # between two looks at a list


def show(where: Where, name: str, form: Listing, *, exit_status: bool) -> int:
    """`status -w` there."""
    if form in (Listing.JSON, Listing.YAML):
        if not name:
            raise Usage("-w with -o json or yaml follows one request", remedy="give its NAME")
        return _documents(where, name, form, exit_status=exit_status)
    if name:
        return watch_one(where, where.here(), name, exit_status=exit_status)
    namespace = "" if where.everywhere else where.here()
    if fancy(sys.stdout):
        _redrawn_list(where.api(), namespace, wide=form is Listing.WIDE)
    _list(where.api(), namespace, wide=form is Listing.WIDE)
    return ExitCode.DONE


def watch_one(where: Where, namespace: str, name: str, *, exit_status: bool) -> int:
    """Follow a request to its end: redrawn on a terminal, else a line per change."""
    requests = _to_its_end(where, namespace, name)
    if fancy(sys.stdout):
        last = _redrawn(requests, where)
    else:
        said = ""
        for last in requests:
            if said != (said := line(last)):
                print(f"{datetime.now().astimezone():%H:%M:%S} {said}", flush=True)
    return code(last) if exit_status else ExitCode.DONE


def _documents(where: Where, name: str, form: Listing, *, exit_status: bool) -> int:
    """A document for each change: JSON in a line, or YAML."""
    for last in _to_its_end(where, where.here(), name):
        if form is Listing.JSON:
            print(json.dumps(document(last), ensure_ascii=False), flush=True)
        else:
            print("---")
            print_document(document(last), form)
            sys.stdout.flush()
    return code(last) if exit_status else ExitCode.DONE


def _to_its_end(where: Where, namespace: str, name: str) -> Iterator[Mapping[str, Any]]:
    """The request now and at each change, the last time when it is over. Raises Gone if it is deleted before."""
    from tunesmith_cli.cluster.requests import follow

    for request in follow(where.api(), namespace, name):
        yield request
        if is_over(request):
            return
    raise Gone(f"{name} was deleted", reason="Deleted")


def _redrawn(requests: Iterator[Mapping[str, Any]], where: Where) -> Mapping[str, Any]:
    from rich.text import Text

    with _live() as live:
        for last in requests:
            live.update(Text(text(last, where, bars=True)), refresh=True)
    return last


def _list(api: "Api", namespace: str, *, wide: bool) -> None:
    """A line for each row that is new, has changed, or is gone."""
    said: dict[tuple[str, ...], tuple[str, ...]] = {}
    key = 1 if namespace else 2
    for head, *found in _looks(api, namespace, wide=wide):
        age = head.index("AGE")
        if not said:
            print("   ".join(head), flush=True)
            said[()] = head  # also where the list is empty
        for row in found:
            state = (*row[:age], *row[age + 1 :])  # that time passes is no change
            if said.get(row[:key]) != state:
                said[row[:key]] = state
                print("   ".join(row), flush=True)
        for gone in [one for one in said if one and one not in {row[:key] for row in found}]:
            del said[gone]
            print("   ".join((*gone, "deleted")), flush=True)


def _redrawn_list(api: "Api", namespace: str, *, wide: bool) -> None:
    from rich.text import Text

    with _live() as live:
        for found in _looks(api, namespace, wide=wide):
            live.update(Text(table(found if wide else fitted(found, LEAST)), no_wrap=True), refresh=True)


def _looks(api: "Api", namespace: str, *, wide: bool) -> Iterator[list[tuple[str, ...]]]:
    """The list, again and again. Only the first look may fail: a server that is away later is waited for."""
    away = False
    yield rows(api, namespace, wide=wide)
    while True:
        time.sleep(_LIST_SECONDS)
        try:
            found = rows(api, namespace, wide=wide)
        except TryAgain as error:
            if not away:
                tell(f"{error.message}; waiting for it")
            away = True
            continue
        away = False
        yield found


def _live() -> "Live":
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop")
