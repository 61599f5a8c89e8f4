"""The dataset as other tools take it."""

import json

import pytest
import yaml
from scripted import PATIENT, spec, teacher

from tunesmith_jobs.generate.exports import chat_lines
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.rows import Row, Turn

HISTORY = (
    Turn(role="user", content="Sky?"),
    Turn(role="assistant", content="green"),
    Turn(role="user", content="Look."),
    Turn(role="assistant", content="blue", learnt=True),
)
ROWS = [
    Row(id="a", prompt="Grass?", response="green"),
    Row(id="b", prompt="Snow?", response="wei\u00df", history=HISTORY, system="In German."),
]


def test_rows_as_chat_messages():
    first, second = (json.loads(line)["messages"] for line in chat_lines(ROWS, "Name colours.").splitlines())
    assert first == [
        {"role": "system", "content": "Name colours."},
        {"role": "user", "content": "Grass?"},
        {"role": "assistant", "content": "green"},
    ]
    assert second[0] == {"role": "system", "content": "In German."}
    assert [message.get("weight") for message in second] == [None, None, 0, None, None, None, None]
    assert second[-1]["content"] == "weiß"


def test_without_a_system_message_there_is_none():
    [line] = chat_lines(ROWS[:1], "").splitlines()
    assert [message["role"] for message in json.loads(line)["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize("validation", [0.0, 0.1])
def test_datasets_takes_the_folder(stage_for, tmp_path, monkeypatch, validation):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with teacher() as server:
        stage = stage_for(spec(server.url, 30, split={"validation": validation}, judge={"threshold": 4}))
        manifest, _ = stage.commit(generate(stage, PATIENT))
    folder = tmp_path / "dataset"
    for file in manifest.files:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(stage.store.read(f"{manifest.folder}/{file.path}"))
    from datasets import load_dataset

    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    sizes = {"train": 24, "validation": 3, "test": 3} if validation else {"train": 27, "test": 3}
    assert {name: len(split) for name, split in loaded.items()} == sizes
    assert {"id", "prompt", "response", "verdict"} == set(loaded["train"].column_names)
    card = (folder / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["configs"][0]["config_name"] == "default"
    chat = [json.loads(line) for line in (folder / "chat" / "test.jsonl").read_text().splitlines()]
    assert [message["role"] for message in chat[0]["messages"]] == ["system", "user", "assistant"]
