"""The configuration file: its mistakes are reported when the controller starts, not by each request."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith_controller.config import parse_config

STORE = {"url": "s3://bucket"}
WRONG = {
    "an unknown preset": ({"data": {"preset": "nope"}}, "profiles.default.defaults.data.preset"),
    "a part that is not a mapping": ({"training": "fast"}, "profiles.default.defaults.training"),
    "a value of another type": ({"training": {"loraR": "eight"}}, "profiles.default.defaults.training.loraR"),
    "an unknown field": ({"traning": {"loraR": 8}}, "profiles.default.defaults.traning"),
    "a model that is not a mapping": ({"model": "small"}, "profiles.default.defaults.model"),
}


@pytest.mark.parametrize(("defaults", "path"), WRONG.values(), ids=WRONG)
def test_wrong_defaults_of_a_profile_are_named(defaults: dict[str, object], path: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse_config({"profiles": {"default": {"store": STORE, "defaults": defaults}}}, "the file")
    assert [problem.path for problem in error.value.problems] == [path]


def test_defaults_may_be_any_part_of_a_spec() -> None:
    defaults = {
        "data": {"preset": "original", "budget": {"maxUSD": 20}},
        "stages": {"train": {"nodeSelector": {"gpu": "a100"}}},
    }
    read = parse_config({"profiles": {"default": {"store": STORE, "defaults": defaults}}}, "the file")
    assert read.profiles["default"].defaults == defaults
