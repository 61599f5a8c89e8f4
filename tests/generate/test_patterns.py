"""Patterns of paths."""

import pytest

from tunesmith.data_files import is_pattern
from tunesmith_jobs.own_data.patterns import matches

MATCHES = [
    ("a.jsonl", "*.jsonl", True),
    ("in/a.jsonl", "*.jsonl", False),
    ("in/a.jsonl", "*/a.*", True),
    ("a.jsonl", "**/*.jsonl", True),
    ("in/deep/a.jsonl", "**/*.jsonl", True),
    ("in/deep/a.jsonl", "in/**", True),
    ("train-00001-of-2.parquet", "train-?????-of-*.parquet", True),
    ("a1.csv", "a[0-9].csv", True),
    ("ab.csv", "a[!0-9].csv", True),
    ("a.csv", "a+csv", False),
    ("a(1).csv", "a(1).csv", True),
    ("in/a.csv", "i**.csv", False),
    ("a[z-a].csv", "a[z-a].csv", True),
    ("in/a.csv", "in[!x]a.csv", False),
    ("in/a.csv", "in[+-9]a.csv", False),
]


@pytest.mark.parametrize(("path", "pattern", "match"), MATCHES)
def test_which_paths_a_pattern_means(path, pattern, match):
    assert matches(path, pattern) is match


def test_a_path_is_no_pattern():
    assert is_pattern("rows/*.csv")
    assert not is_pattern("rows/a (1).csv")
