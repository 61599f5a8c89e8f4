"""Help topics: one table of exit codes for topic and page, and where a value is taken from."""

from pathlib import Path

import pytest

from tunesmith.errors import ExitCode, TryAgain
from tunesmith_cli.cluster.faults import Conflict
from tunesmith_cli.commands.help_topics import EXIT_CODES

PAGE = Path(__file__).parents[2] / "docs/reference/exit-codes.md"


@pytest.mark.parametrize("code", list(ExitCode))
def test_topic_and_page_say_the_same_of_an_exit_code(cli, code):
    topic, page = cli.inline("help", "exit-codes").stdout, PAGE.read_text(encoding="utf-8")
    assert f"{int(code):>4}  {EXIT_CODES[code].text}\n      {EXIT_CODES[code].remedy}\n" in topic + "\n"
    meaning = EXIT_CODES[code]
    row = f'<a id="exit-{int(code)}"></a>{int(code)} | {code.name} | {meaning.text} | {meaning.remedy} |'
    assert row in page


def test_the_table_names_what_ends_so():
    words = {Conflict: "somebody else set", TryAgain: "wait --timeout"}
    assert all(text in EXIT_CODES[ExitCode(kind.exit_code)].text for kind, text in words.items())
    assert all(words in EXIT_CODES[ExitCode.BUG].text for words in ("gate", "wait", "status --exit-status"))


def test_there_is_no_configuration_file_and_the_precedence_is_said(cli):
    topic = cli.inline("help", "environment").stdout
    assert "There are no configuration files." in topic
    assert "from the command line, else from its variable above" in topic
