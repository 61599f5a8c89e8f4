"""Own data from the hub: which files are its rows, pinned to the commit, with the token by reference."""

import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.hub import STRANGER, TOKEN
from tunesmith.data_files import OWN_DATA
from tunesmith.errors import BadData, BadRequest, Gone, Refused
from tunesmith.settings import Source
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.own_data.fetch import fetch
from tunesmith_jobs.own_data.hub_choice import NotChosen, choose
from tunesmith_jobs.own_data.read import read_fetched
from tunesmith_jobs.own_data.spoken import as_options

CARD = {  # as cards state their configs
    "configs": [
        {"config_name": "small", "data_files": [{"split": "train", "path": "small/*.jsonl"}]},
        {
            "config_name": "large",
            "default": True,
            "data_files": [
                {"split": "train", "path": ["large/a.jsonl", "large/b*.jsonl"]},
                {"split": "test", "path": "large/test.jsonl"},
            ],
        },
    ]
}
LARGE = ["README.md", "large/a.jsonl", "large/b1.jsonl", "large/test.jsonl", "small/x.jsonl"]
ONE_CONFIG = {"configs": [{"config_name": "only", "data_dir": "here"}]}
PLAIN_PATH = {"configs": [{"config_name": "default", "data_files": "data/*.csv"}]}

SHARD = "data/train-0-of-1.parquet"
CHOICES = {  # files, card, what is asked -> files that are read
    "by their names": ([f"data/{part}-0-of-1.parquet" for part in ("train", "test")], {}, {}, [SHARD]),
    "another split": (["train.jsonl", "dev.jsonl"], {}, {"split": "validation"}, ["dev.jsonl"]),
    "by their folders": (["train/a.csv", "test/a.csv"], {}, {}, ["train/a.csv"]),
    "names that tell nothing": (["b.jsonl", "a.jsonl.gz", "LICENSE"], {}, {}, ["a.jsonl.gz", "b.jsonl"]),
    "a word within a word": (["restraint.jsonl"], {}, {}, ["restraint.jsonl"]),
    "only a test split": (["test.jsonl"], {}, {}, ["test.jsonl"]),
    "the default config": (LARGE, CARD, {}, ["large/a.jsonl", "large/b1.jsonl"]),
    "another config": (LARGE, CARD, {"config": "small"}, ["small/x.jsonl"]),
    "a split of the card": (LARGE, CARD, {"split": "test"}, ["large/test.jsonl"]),
    "the only config, a folder": (["here/train.csv", "there/train.csv"], ONE_CONFIG, {}, ["here/train.csv"]),
    "files without a split": (["data/a.csv", "b.csv"], PLAIN_PATH, {}, ["data/a.csv"]),
    "a folder as config": (["en/train.csv", "de/train.csv"], {}, {"config": "de"}, ["de/train.csv"]),
    "a file": (LARGE, CARD, {"path": "small/x.jsonl"}, ["small/x.jsonl"]),
    "a file of no known ending": (["rows.data"], {}, {"path": "rows.data"}, ["rows.data"]),
    "a folder": (LARGE, CARD, {"path": "large/"}, ["large/a.jsonl", "large/b1.jsonl", "large/test.jsonl"]),
    "a pattern": (LARGE, CARD, {"path": "*/b*.jsonl"}, ["large/b1.jsonl"]),
}  # fmt: skip


def chosen(names, card, asked):
    return choose(names, card, **{"path": "", "config": "", "split": "", **asked}, is_data=OWN_DATA.takes)


@pytest.mark.parametrize(("names", "card", "asked", "read"), CHOICES.values(), ids=CHOICES)
def test_which_files_are_the_rows(names, card, asked, read):
    assert list(chosen(names, card, asked).names) == read


MISSING = {
    "a config that is not there": (LARGE, CARD, {"config": "huge"}, "config", ("small", "large")),
    "several configs": (
        LARGE,
        {"configs": [{"config_name": "a"}, {"config_name": "b"}]},
        {},
        "config",
        ("a", "b"),
    ),
    "a split that is not there": (LARGE, CARD, {"split": "dev"}, "split", ("train", "test")),
    "no train split": (["dev.csv", "test.csv"], {}, {}, "split", ("validation", "test")),
    "no data": (["script.py", "README.md"], {}, {}, "", ()),
    "no such path": (["a.csv"], {}, {"path": "b.csv"}, "", ("a.csv",)),
}


@pytest.mark.parametrize(("names", "card", "asked", "field", "known"), MISSING.values(), ids=MISSING)
def test_what_cannot_be_chosen_names_what_there_is(names, card, asked, field, known):
    with pytest.raises(NotChosen) as caught:
        chosen(names, card, asked)
    assert (caught.value.field, caught.value.known) == (field, known)


def rows(count: int, word: str = "word") -> bytes:
    texts = [f"{word}{n} other{n} third{n} fourth{n}?" for n in range(count)]
    return "".join(json.dumps({"prompt": text, "response": "r"}) + "\n" for text in texts).encode()


def as_parquet(data: bytes) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([json.loads(line) for line in data.splitlines()]), out)
    return out.getvalue()


def read(uri, **settings):
    source = Source.model_validate({"uri": uri, **settings})
    return read_fetched(fetch(source, as_options), source, as_options)


def test_a_dataset_is_read_by_its_card_and_what_is_left_is_said(hub):
    card = (
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/rows*\n---\n"
        "# Rows\n"
    )
    files = {"README.md": card.encode(), "data/rows.parquet": as_parquet(rows(3)), "data/more.jsonl": rows(9)}
    hub.push("datasets/team/rows", files | {"test.jsonl": rows(2)})
    result = read("hf://datasets/team/rows")
    assert len(result.rows) == 3
    assert [each.form for each in result.files] == ["Parquet"]
    assert len(read("hf://datasets/team/rows@main/data/more.jsonl").rows) == 9
    assert len(read("HF://datasets/team/rows/**/*.jsonl").rows) == 11
    assert len(read("hf://datasets/team/rows/*.jsonl").rows) == 2


def test_what_the_hub_lacks_is_said_in_the_options_own_words(hub):
    hub.push("datasets/team/rows", {"dev.jsonl": rows(1), "test.jsonl": rows(1)})
    with pytest.raises(BadData, match="give --split validation, or one of the others"):
        read("hf://datasets/team/rows")
    with pytest.raises(BadRequest, match="no dataset team/none"):
        read("hf://datasets/team/none")
    with pytest.raises(BadData, match="hf://datasets/organisation/name"):
        read("hf://team/rows")


def test_a_gated_dataset_needs_the_runs_token(hub, monkeypatch):
    hub.push("datasets/team/rows", {"train.jsonl": rows(1)}, gated=True)
    with pytest.raises(BadRequest, match="is gated") as caught:
        read("hf://datasets/team/rows")
    assert caught.value.reason == "SourceGated"
    monkeypatch.setenv("HF_TOKEN", STRANGER)
    with pytest.raises(Refused):
        read("hf://datasets/team/rows")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert len(read("hf://datasets/team/rows").rows) == 1


def test_a_run_stays_with_the_commit_that_it_first_read(hub, stage_for):
    first = hub.push("datasets/team/rows", {"train.jsonl": rows(9)})
    request = {"task": "t", "data": {"source": {"uri": "hf://datasets/team/rows"}}}
    stage = stage_for(request)
    assert generate(stage).metrics["rows"] == 9
    assert stage.pins["source"].detail == {"commit": first}
    hub.push("datasets/team/rows", {"train.jsonl": rows(20)})
    assert generate(stage_for(request)).metrics["rows"] == 9
    assert generate(stage_for(request, run="another")).metrics["rows"] == 20
    del hub.repos["datasets/team/rows"].commits[first]
    with pytest.raises(Gone, match=first):
        generate(stage_for({**request, "data": {**request["data"], "split": {"seed": 42}}}, attempt="later"))
