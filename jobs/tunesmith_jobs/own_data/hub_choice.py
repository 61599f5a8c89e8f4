"""Which files of a dataset on the hub are its rows. Pure.

As the `datasets` library does: what the card says under `configs`, else what the files' names say. A path in
the address names files by itself.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data_files import is_pattern
from tunesmith_jobs.own_data.patterns import matches

# Words that mark a split in a file's or folder's name, as the `datasets` library has them
_SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_WORD = re.compile(r"[a-z]+")
FIRST = "train"
"""The split that is read unless another is named."""


@dataclass(frozen=True)
class Choice:
    """Files in their order, what is left aside, in words, and which config and split they are."""

    names: tuple[str, ...]
    aside: tuple[str, ...] = ()


class NotChosen(ValueError):
    """What is asked for is not there, or cannot be told.

    `field`: config or split, or empty; `known`: the values that it can have.
    """

    def __init__(self, why: str, field: str = "", known: Sequence[str] = ()) -> None:
        super().__init__(why)
        self.field = field
        self.known = tuple(known)


def choose(
    names: Collection[str],
    card: Mapping[str, Any],
    *,
    path: str,
    config: str,
    split: str,
    is_data: Callable[[str], bool],
) -> Choice:
    """The files of one split of one config. `path`: a file, a folder or a pattern. Raises NotChosen."""
    data = sorted(name for name in names if is_data(name))
    if path:
        return _by_path(sorted(names), data, path)
    configs = [
        each for each in card.get("configs") or () if isinstance(each, Mapping) and "config_name" in each
    ]
    splits: Mapping[str, Sequence[str]]
    aside: list[str] = []
    if configs:
        chosen = _config(configs, config)
        splits = _splits_of_card(chosen, data)
        others = [str(each["config_name"]) for each in configs if each is not chosen]
        aside = [f"config {name!r}" for name in others]
    elif config:
        inside = [name for name in data if config in name.split("/")[:-1]]
        folders = sorted({name.split("/")[0] for name in data if "/" in name})
        if not inside:
            raise NotChosen(f"there is no config {config!r}", "config", folders)
        splits = _splits_by_name(inside)
    else:
        splits = _splits_by_name(data)
    files = _split(splits, split)
    aside += [f"split {name!r}" for name, those in splits.items() if those is not files]
    return Choice(tuple(files), tuple(aside))


def _by_path(names: Sequence[str], data: Sequence[str], path: str) -> Choice:
    path = path.strip("/")
    if path in names:
        return Choice((path,))
    found = [name for name in data if name.startswith(f"{path}/")] or [
        name for name in data if is_pattern(path) and matches(name, path)
    ]
    if not found:
        raise NotChosen(f"there is no file of a known form at {path!r}", "", data)
    return Choice(tuple(found))


def _config(configs: Sequence[Mapping[str, Any]], config: str) -> Mapping[str, Any]:
    names = [str(each["config_name"]) for each in configs]
    if config:
        chosen = [each for each in configs if each["config_name"] == config]
    else:
        chosen = [each for each in configs if each.get("default") is True or each["config_name"] == "default"]
        chosen = chosen or (list(configs) if len(configs) == 1 else [])
    if not chosen:
        why = f"there is no config {config!r}" if config else "the dataset has several configs"
        raise NotChosen(why, "config", names)
    return chosen[0]


def _splits_of_card(config: Mapping[str, Any], data: Sequence[str]) -> Mapping[str, Sequence[str]]:
    folder = str(config.get("data_dir") or "").strip("/")
    inside = [name for name in data if not folder or name.startswith(f"{folder}/")]
    files = config.get("data_files")
    if files is None:
        return _splits_by_name(inside)
    if isinstance(files, Mapping):
        files = [{"split": split, "path": path} for split, path in files.items()]
    entries = files if isinstance(files, list) else [files]
    splits: dict[str, list[str]] = {}
    for entry in entries:
        name, paths = (
            (entry.get("split", FIRST), entry.get("path")) if isinstance(entry, Mapping) else (FIRST, entry)
        )
        for pattern in paths if isinstance(paths, list) else [paths]:
            whole = f"{folder}/{pattern}" if folder else str(pattern)
            matched = [file for file in data if matches(file, whole.removeprefix("./"))]
            splits.setdefault(str(name), []).extend(
                file for file in matched if file not in splits.get(name, ())
            )
    return splits


def _splits_by_name(data: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Files by the split that their names, else their folders, tell; all are `train` if none tells any."""
    splits: dict[str, list[str]] = {}
    for name in data:
        splits.setdefault(_split_word(name), []).append(name)
    if set(splits) == {""}:
        return {FIRST: splits[""]}
    return {split: files for split, files in splits.items() if split} | (
        {"files of no split": splits[""]} if "" in splits else {}
    )


def _split_word(name: str) -> str:
    for part in reversed(name.lower().split("/")):
        words = _WORD.findall(part)
        for split, marks in _SPLIT_WORDS.items():
            if any(word in marks for word in words):
                return split
    return ""


def _split(splits: Mapping[str, Sequence[str]], split: str) -> Sequence[str]:
    filled = {name: files for name, files in splits.items() if files}
    if not filled:
        raise NotChosen("it has no file of a known form")
    if split:
        if split not in filled:
            raise NotChosen(f"there is no split {split!r}", "split", list(filled))
        return filled[split]
    if FIRST in filled:
        return filled[FIRST]
    if len(filled) == 1:
        return next(iter(filled.values()))
    raise NotChosen("it has several splits, and none of them is train", "split", list(filled))
