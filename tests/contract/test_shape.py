"""Functions that one can hold, and tests that leave private names alone: no new line may undo this."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("tunesmith", "command", "jobs", "controller", "tryout", "scripts", "benchmarks")
POSITIONAL = 6
LINES = 60

OF_LIBRARIES = {"_use_triton"}  # trl's, which train/head.py replaces


def functions():
    for path in (path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path.relative_to(ROOT).as_posix(), node


def positional(function):
    arguments = [*function.args.posonlyargs, *function.args.args]
    return len(arguments) - (bool(arguments) and arguments[0].arg in ("self", "cls"))


def length(function):
    return function.end_lineno - function.lineno + 1


def test_no_function_takes_more_than_six_arguments_by_position():
    seen = [(f"{path}:{node.name}", positional(node)) for path, node in functions()]
    assert len(seen) > 1000
    assert [(name, count) for name, count in seen if count > POSITIONAL] == []


def test_no_function_is_longer_than_sixty_lines():
    seen = [(f"{path}:{node.name}", length(node)) for path, node in functions()]
    assert [(name, count) for name, count in seen if count > LINES] == []


PATCHED = re.compile(r"setattr\(\s*(?:\"[\w.]+\.|[\w.]+,\s*\")(_[a-z]\w*|_[A-Z]\w*)\"")


def test_no_test_patches_a_private_name():
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 150
    patched = {
        (path.relative_to(ROOT).as_posix(), match[1])
        for path in files
        for match in PATCHED.finditer(path.read_text(encoding="utf-8"))
    }
    assert {(path, name) for path, name in patched if name not in OF_LIBRARIES} == set()
