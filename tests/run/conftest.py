"""Fixtures of whole runs: a scripted teacher, a tiny real model, a request over both."""

import os
import random
import subprocess
import sys

import pytest
from tiny import tiny_model
from whole_runs import TRAINING, Bench, Teacher


@pytest.fixture
def teacher():
    process = subprocess.Popen(
        [sys.executable, "-m", "tunesmith_tryout.scripted_teacher", "--port", "0", "--latency", "0.2"],
        stdout=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().split()[-1]
    yield Teacher(process, url)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny", shards=2)


@pytest.fixture
def bench(tmp_path, teacher, model):
    folder = tmp_path / "a folder with spaces 和汉字"
    folder.mkdir()
    spec = {
        "task": "Read a customer's support message and answer with one line of JSON: "
        "category, priority, product.",
        "data": {"examples": 30, "split": {"test": 0.2}, "teacher": {"model": "scripted"}},
        "model": {"base": str(model)},
        "training": dict(TRAINING),
        "evaluation": {"maxNewTokens": 8, "answers": 3},
    }
    return Bench(folder, teacher, spec, f"file://{folder}/store")


@pytest.fixture
def rng():
    return random.Random(int(os.environ.get("TUNESMITH_TEST_SEED", "7")))
