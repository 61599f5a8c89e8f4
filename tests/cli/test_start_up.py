"""Help, version and completion answer at once and import nothing heavy."""

import json
import resource
import subprocess
import sys

import pytest

from tunesmith.stages import ORDER

HEAVY = (
    "torch",
    "boto3",
    "botocore",
    "openai",
    "kubernetes",
    "huggingface_hub",
    "transformers",
    "numpy",
    "tunesmith_jobs",
)
QUICK = {
    "help": ["--help"],
    "help of a command": ["run", "--help"],
    "version of the client": ["version", "--client"],
    "version where no kubeconfig is": ["version", "--kubeconfig", ""],
    "exit codes": ["help", "exit-codes"],
}


@pytest.mark.parametrize("arguments", QUICK.values(), ids=QUICK)
def test_answers_without_importing_what_a_stage_needs(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "tunesmith_cli", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in answer.stderr.splitlines()}
    assert "typer" in imported
    assert imported & {*HEAVY, "rich", "yaml"} == set()


def test_validate_imports_no_library_of_a_stage(cli):
    request = cli.write()
    command = [sys.executable, "-X", "importtime", "-m", "tunesmith_cli", "validate", str(request)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=cli.environment())
    assert {line.split("|")[-1].strip().split(".")[0] for line in answer.stderr.splitlines()}.isdisjoint(
        {*HEAVY, "rich"}
    )


COMPLETION = {
    "_TUNESMITH_COMPLETE": "complete_bash",
    "COMP_WORDS": "tunesmith logs x --stage ",
    "COMP_CWORD": "4",
}


def test_completion_imports_nothing_of_the_contract_or_of_a_cluster(cli):
    command = [sys.executable, "-X", "importtime", "-m", "tunesmith_cli"]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, env=cli.environment() | COMPLETION
    )
    assert tuple(answer.stdout.split()) == ORDER
    imported = {line.split("|")[-1].strip() for line in answer.stderr.splitlines()}
    assert "typer" in imported
    assert imported & {*HEAVY, "rich", "yaml", "tunesmith.request", "tunesmith.settings"} == set()


BARE = "import typer; app = typer.Typer(); app.command()(lambda flag=False: None); app()"


def seconds(*command, env=None):
    """CPU time, the best of five: what it takes on a machine that has nothing else to do."""
    best = 60.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True, check=True, env=env)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def quick(limit):
    """`limit` seconds; on a slow or busy machine as many times more as an empty typer command takes more than
    the 150 ms of a quick one.
    """
    return limit * max(1.0, seconds("-c", BARE) / 0.15)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["version", "--client"], ["version", "--client", "-o", "json"]], ids=" ".join
)
def test_answers_within_300_ms(arguments):
    assert seconds("-m", "tunesmith_cli", *arguments) < quick(0.3)


def test_completion_takes_less_than_300_ms(cli):
    assert seconds("-m", "tunesmith_cli", env=cli.environment() | COMPLETION) < quick(0.3)


def test_validate_takes_less_than_a_second(cli):
    assert seconds("-m", "tunesmith_cli", "validate", str(cli.write())) < quick(1)


def test_completion_names_the_commands(cli):
    cli.env = {"_TUNESMITH_COMPLETE": "complete_bash", "COMP_WORDS": "tunesmith va", "COMP_CWORD": "1"}
    assert cli(real=True).stdout.split() == ["validate"]


def test_completion_names_the_runs_of_the_store(cli):
    for run in ("riddles", "tickets"):
        (cli.store / run).mkdir(parents=True)
    cli.env = {"_TUNESMITH_COMPLETE": "complete_bash", "COMP_WORDS": "tunesmith report ri", "COMP_CWORD": "2"}
    assert cli(real=True).stdout.split() == ["riddles"]


def completed(cli, words):
    fish = {"_TUNESMITH_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    cli.env = fish | {"_TYPER_COMPLETE_ARGS": f"tunesmith {words}"}
    return cli(real=True).stdout.split()


def test_completion_names_presets_and_stages(cli):
    assert completed(cli, "create x --preset o") == ["original"]
    assert completed(cli, "run x --set data.preset=") == ["data.preset=original"]
    assert completed(cli, "rerun x --from e") == ["evaluate"]


def test_version_as_json_names_the_formats(cli):
    members = {
        "format",
        "tunesmith",
        "apiVersion",
        "stageFormats",
        "python",
        "platform",
        "libraries",
        "cluster",
    }
    whole = json.loads(cli("version", "-o", "json").stdout)
    assert (set(whole), whole["cluster"]) == (members, None), "there is no kubeconfig"
    assert "torch" in whole["libraries"]
    client = json.loads(cli("version", "-o", "json", "--client").stdout)
    assert client == whole | {"libraries": {}}
