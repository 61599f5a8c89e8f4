"""Which images are started: registry, tag, digest and pull Secrets, each changed by one value."""

import pytest
import yaml
from rendering import TRYOUT, config, images, objects, pod_specs

from tunesmith_controller.config import parse_config

DIGEST = "sha256:" + "0123456789abcdef" * 4


def test_one_value_moves_all_images():
    rendered = objects(
        {**TRYOUT, "global": {"imageRegistry": "mirror.example.com/ml/"}, "images": {"registry": "elsewhere"}}
    )
    assert len(images(rendered)) == 5
    assert all(image.startswith("mirror.example.com/ml/tunesmith-") for image in images(rendered))


def test_without_it_the_registry_of_the_images_counts():
    assert all(
        image.startswith("r.example.com/tunesmith-")
        for image in images(objects({"images": {"registry": "r.example.com"}}))
    )


REFERENCES = {
    "a tag": ({"tag": "v2"}, {}, "tunesmith-train:v2"),
    "everybody's tag": ({}, {"tag": "dev"}, "tunesmith-train:dev"),
    "its own tag before everybody's": ({"tag": "v2"}, {"tag": "dev"}, "tunesmith-train:v2"),
    "a digest alone": ({"digest": DIGEST}, {}, f"tunesmith-train@{DIGEST}"),
    "tag and digest": ({"tag": "v2", "digest": DIGEST}, {}, f"tunesmith-train:v2@{DIGEST}"),
    "another repository": ({"repository": "ml/tuner"}, {}, "ml/tuner:0.1.0"),
}


@pytest.mark.parametrize(("own", "all_images", "reference"), REFERENCES.values(), ids=REFERENCES)
def test_an_image_is_named_by(own, all_images, reference):
    assert yaml.safe_load(config({"images": {"train": own, **all_images}}))["images"]["train"] == reference


def test_pull_secrets_reach_the_charts_pods_and_those_of_the_stages():
    values = {**TRYOUT, "images": {"pullSecrets": ["mirror-login"]}}
    assert {str(spec["imagePullSecrets"]) for _, spec in pod_specs(objects(values))} == {
        "[{'name': 'mirror-login'}]"
    }
    assert parse_config(yaml.safe_load(config(values)), "").profiles["default"].images.pull_secrets == (
        "mirror-login",
    )


def test_without_pull_secrets_none_are_named():
    assert [name for name, spec in pod_specs(objects(TRYOUT)) if "imagePullSecrets" in spec] == []
    assert "pullSecrets" not in config()
