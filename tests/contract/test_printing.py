"""The command line prints from one place, so that no command forgets what a terminal would obey."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "command" / "tunesmith_cli"
PRINTING = {  # what prints by itself, and why it may
    "__init__.py": "a sentence of its own, where the rest cannot be imported",
    "app.py": "words for the shell's completion, which are ours",
    "commands/terminal.py": "the one place",
    "commands/screen.py": "lines and bars, of indented text",
    "commands/summary.py": "a table of rich, whose cells are printable",
}


def prints(file: Path) -> bool:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                return True
            case ast.Call(
                func=ast.Attribute(attr="print" | "write", value=ast.Attribute(attr="stdout" | "stderr"))
            ):
                return True
            case ast.Call(func=ast.Attribute(attr="print")):
                return True
    return False


@pytest.mark.parametrize(
    "file", [path.relative_to(FOLDER).as_posix() for path in sorted(FOLDER.rglob("*.py"))]
)
def test_only_these_files_print(file):
    assert prints(FOLDER / file) is (file in PRINTING)
