"""Every command and every YAML block of the pages is valid: its own program parses it, and nothing is run.

tests/e2e/test_docs.py runs those that need a cluster. A command is a line of a `sh` or `bash` block, of an
indented block, or a piece of inline code that begins with one of our programs. A line that begins with a
program that nobody here knows fails, so a typing error does.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from chart.rendering import CHART, helm, helm_binary, template
from cluster.programs import program
from requests_for_tests import document

from tunesmith.crd import schema_of
from tunesmith.documents import read_documents
from tunesmith.plan import snapshot
from tunesmith.profile import Profile
from tunesmith.request import Spec, parse
from tunesmith_cli.app import _with_values, app

ROOT = Path(__file__).parents[2]
PAGES = {
    str(page.relative_to(ROOT)): page
    for page in sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("helm/**/*.md")])
}
GENERATED = {"docs/reference/commands.md"}  # what the programs themselves print
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}[^\n]*(?:\n|\Z))+")
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OURS = ("tunesmith", "kubectl tunesmith", "kubectl", "helm", "make")
# Programs of a reader that are not tried: shell words, and what builds or copies images
KNOWN = {
    "export",
    "for",
    "done",
    "wait",
    "kill",
    "docker",
    "skopeo",
    "kind",
    "vllm",
    "images/build.sh",
    "python3",
    "scripts/parts.sh",
    "jq",
}
# These blocks describe objects of other projects
FOREIGN = {"configs": "values of the chart argo-cd"}


def blocks(text: str, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(text) if language in languages]


def lines(page: str) -> Iterator[str]:
    """Shell lines of a page, continued ones joined."""
    text = PAGES[page].read_text(encoding="utf-8")
    bodies = blocks(text, "sh", "bash")
    rest = FENCE.sub("", text)
    if not rest.startswith("<!-- Written"):
        for block in INDENTED.findall("\n\n" + rest):
            body = "\n".join(line[4:] for line in block.splitlines())
            if re.match(
                r"(?:\w+=\S* )*(?:" + "|".join(map(re.escape, (*OURS, *KNOWN))) + r"|\.venv/bin/\w+)\b", body
            ):
                bodies.append(body)
    for block in bodies:
        yield from re.sub(r"\\\n\s*", "", block).splitlines()


def commands(line: str) -> Iterator[list[str]]:
    """Simple commands of a line, as words; variables in front and shell words are left out."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, "#"
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";|&()"):
            if command:
                yield command
            command = []
        elif command or not (word == "do" or re.match(r"\w+=", word)):
            command.append(word)


def all_commands() -> list[tuple[str, tuple[str, ...]]]:
    return [(page, tuple(command)) for page in PAGES for line in lines(page) for command in commands(line)]


def inline() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Inline code that begins with one of our programs. It may name files, so only options are checked."""
    for page, path in PAGES.items():
        if page in GENERATED:
            continue
        for code in INLINE.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
            text = " ".join(code.split())
            if any(text.startswith(f"{name} ") for name in OURS):
                yield from (
                    (page, tuple(command))
                    for command in commands(text)
                    if command[-1] != "…" or len(command) > 2
                )


COMMANDS, INLINES = all_commands(), list(inline())


def own(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """The arguments, if it is our command line."""
    if words[:2] == ("kubectl", "tunesmith"):
        return words[2:]
    return words[1:] if Path(words[0]).name in ("tunesmith", "kubectl-tunesmith") else None


def ids(cases):
    return [f"{page}: {' '.join(words)[:70]}" for page, words in cases]


OWN = [(page, words) for page, words in COMMANDS if own(words) is not None]
OWN_INLINE = [(page, words) for page, words in INLINES if own(words) not in (None, (), ("…",))]
FOREIGNS = [
    (page, words) for page, words in COMMANDS if words[0] in ("kubectl", "helm") and own(words) is None
]
FOREIGNS_INLINE = [
    (page, words) for page, words in INLINES if words[0] in ("kubectl", "helm") and own(words) is None
]


def test_commands_are_found():
    assert len(COMMANDS) > 60
    assert len(OWN) > 20
    assert len(FOREIGNS) > 15
    assert len(INLINES) > 40


def test_every_line_begins_with_a_program_that_is_known():
    known = KNOWN | {"tunesmith", "kubectl", "helm", "make", ".venv/bin/tunesmith", ".venv/bin/python"}
    assert [(page, words) for page, words in COMMANDS if words[0] not in known] == []


def resolve(arguments: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The command of our command line that is meant, and what is given to it."""
    command, left = typer.main.get_command(app), _with_values(list(arguments))
    while getattr(command, "commands", None) is not None and left and not left[0].startswith("-"):
        assert left[0] in command.commands, f"there is no command {left[0]}"
        command = command.commands[left.pop(0)]
    return command, left


def unknown_options(arguments: tuple[str, ...]) -> list[str]:
    command, left = resolve(arguments)
    options = {
        name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help", "-h"}
    return [
        word
        for word in left
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in options
    ]


@pytest.mark.parametrize(("page", "words"), OWN, ids=ids(OWN))
def test_our_command_line_takes_it(page, words):
    """A command with all that it needs, and values that each option takes."""
    command, left = resolve(own(words))
    assert unknown_options(own(words)) == []
    if left and left[0] not in ("--help", "--version"):
        command.make_context(command.name, [word for word in left if word != "…"])


@pytest.mark.parametrize(("page", "words"), OWN_INLINE, ids=ids(OWN_INLINE))
def test_what_the_text_says_of_our_command_line_exists(page, words):
    assert unknown_options(own(words)) == []


def test_an_unknown_command_or_option_is_found():
    assert unknown_options(("report", "NAME", "--paper")) == ["--paper"]
    with pytest.raises(AssertionError, match="no command reprot"):
        resolve(("reprot", "NAME"))
    command, left = resolve(("fetch", "NAME", "--to", "x", "--only", "moddel"))
    with pytest.raises(Exception, match="moddel"):
        command.make_context(command.name, left)


@cache
def kubectl_binary() -> str:
    kubectl = str(program("kubectl")) if program("kubectl").exists() else shutil.which("kubectl")
    if kubectl is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no kubectl; tests/cluster/build.sh builds it (needs Go)"
        )
    return kubectl


def parsed_only(words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """The command with --help: kubectl and helm parse their words and options first, and then run nothing."""
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[1:end] if word != "…"]
    if words[0] == "helm":
        return helm(*rest, "--help")
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"}
    return subprocess.run(
        [kubectl_binary(), *rest, "--help"], capture_output=True, text=True, env=env, check=False, timeout=60
    )


@pytest.mark.parametrize(("page", "words"), FOREIGNS, ids=ids(FOREIGNS))
def test_kubectl_and_helm_know_the_command_and_its_options(page, words):
    done = parsed_only(words)
    assert done.returncode == 0, done.stderr


def test_what_the_text_says_of_kubectl_and_helm_is_known_to_them():
    wrong = {
        " ".join(words): page
        for page, words in FOREIGNS_INLINE
        if len(words) > 1 and parsed_only(words).returncode
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "words",
    [("kubectl", "gte", "treq"), ("kubectl", "get", "--al-namespaces"), ("helm", "upgrade", "--reset")],
)
def test_a_mistyped_one_is_found(words):
    assert parsed_only(words).returncode != 0


def targets() -> set[str]:
    return set(
        re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_targets_of_make_exist():
    named = {
        (page, word)
        for page, words in [*COMMANDS, *INLINES]
        if words[0] == "make"
        for word in words[1:]
        if re.fullmatch(r"[a-z-]+", word)
    }
    assert len(named) > 8
    assert [one for one in named if one[1] not in targets()] == []


def sets() -> list[tuple[str, tuple[str, ...]]]:
    """What `helm install` and `helm upgrade` get by --set. A digest that the page leaves out is filled in."""
    calls = []
    for page, words in [*COMMANDS, *INLINES]:
        if words[0] == "helm" and "--set" in words:
            given = [words[number + 1] for number, word in enumerate(words) if word == "--set"]
            calls.append((page, tuple(one.replace("…", "0" * 64) for one in given)))
    return calls


@pytest.mark.parametrize(
    ("page", "given"), sets(), ids=[f"{page}: {' '.join(given)[:60]}" for page, given in sets()]
)
def test_values_that_a_command_sets_are_values_of_the_chart(page, given):
    store = (
        []
        if any(one.startswith(("tryout.", "profiles.")) for one in given)
        else ["--set", "profiles.default.store.url=s3://bucket/x"]
    )
    options = [part for one in given for part in ("--set", one)]
    done = helm("template", "tunesmith", str(CHART), "--kube-version", "1.36.0", *options, *store)
    assert done.returncode == 0, done.stderr


def yaml_blocks() -> list[tuple[str, str]]:
    return [
        (page, body)
        for page in PAGES
        for body in blocks(PAGES[page].read_text(encoding="utf-8"), "yaml", "yml")
    ]


VALUES = set(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
FIELDS = set(schema_of(Spec)["properties"])


@pytest.mark.parametrize(
    ("page", "body"), yaml_blocks(), ids=[f"{page}: {body[:40]!r}" for page, body in yaml_blocks()]
)
def test_a_yaml_block_is_a_request_values_of_the_chart_or_a_part_of_a_spec(page, body):
    for thing in read_documents(body, page):
        assert isinstance(thing, dict)
        names = set(thing)
        if thing.get("kind") == "TrainingRequest":
            request = parse(thing)
            assert snapshot(request, run=request.metadata.name).stages
        elif "kind" in names:
            assert {"apiVersion", "kind", "metadata"} <= names
        elif names <= VALUES:
            done = template(thing)
            assert done.returncode == 0, done.stderr
        elif names <= FIELDS:
            parse(document(thing))
        else:
            assert names <= set(FOREIGN), f"what is {', '.join(sorted(names))}?"


def paths_of(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}".lstrip(".")
            yield here
            yield from paths_of(inner, here)


def schema_paths(schema: dict, path: str = "") -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        yield here
        yield from schema_paths(inner, here)


@pytest.mark.parametrize("page", PAGES)
def test_values_of_the_chart_that_the_text_names_exist(page):
    known = set(paths_of(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))))
    tops = "|".join(
        sorted(
            name
            for name in VALUES
            if name not in ("profiles", "nameOverride", "fullnameOverride", "extraObjects", "tests")
        )
    )
    text = FENCE.sub("", PAGES[page].read_text(encoding="utf-8"))
    named = [
        code.partition("=")[0].partition(":")[0]
        for code in INLINE.findall(text)
        if re.match(rf"(?:{tops})\.[a-zA-Z]", code)
    ]
    assert [
        name
        for name in named
        if name.removesuffix(".*") not in known and not name.endswith((".md", ".py", ".yaml"))
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_fields_of_a_profile_that_the_text_names_exist(page):
    known = set(schema_paths(schema_of(Profile)))
    text = FENCE.sub("", PAGES[page].read_text(encoding="utf-8"))
    named = [
        code
        for code in INLINE.findall(text)
        if re.fullmatch(r"(?:allow|limits|store|pods\.<name>)\.[a-zA-Z.]+", code)
    ]
    assert [name for name in named if name.replace("<name>", "train") not in known] == []


def test_helm_is_there_where_it_must_be():
    assert helm_binary()


def test_every_block_that_is_marked_to_be_run_is_run():
    marked = {page for page, path in PAGES.items() if "<!-- run -->" in path.read_text(encoding="utf-8")}
    tests = (ROOT / "tests/e2e/test_docs.py").read_text(encoding="utf-8")
    assert len(marked) >= 3
    assert [page for page in marked if f'"{page}"' not in tests] == []
    for page in marked:
        text = PAGES[page].read_text(encoding="utf-8")
        assert text.count("<!-- run -->") == text.count("<!-- run -->\n```sh\n"), page
