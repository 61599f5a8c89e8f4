"""The controller's configuration file: profiles, and the images that they fall back to. The chart mounts it.

images: {generate: …, train: …, merge: …, pullPolicy: …, pullSecrets: […]}
profiles:
  default: {store: {url: s3://…}, …}          # tunesmith/profile.py
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

import tunesmith
from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest, Problem
from tunesmith.plan import LEAST
from tunesmith.profile import Images, Profile
from tunesmith.request import Spec, dotted
from tunesmith_controller.decide.model import Config

Model = TypeVar("Model", bound=BaseModel)


def read_config(file: Path) -> Config:
    """The configuration in a YAML file. Raises BadRequest with everything that is wrong in it."""
    try:
        documents = read_documents(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise BadRequest(
            f"the configuration {file} cannot be read: {error.strerror}", remedy="give --config"
        ) from error
    return parse_config(next(iter(documents), {}), str(file))


def parse_config(document: Any, place: str) -> Config:
    """The configuration in a document: each profile with its name, and with the file's images by default."""
    if not isinstance(document, Mapping):
        raise BadRequest(
            f"{place} does not hold a configuration", problems=[Problem("", "must be a mapping", document)]
        )
    problems = [Problem(name, "unknown field") for name in document if name not in ("images", "profiles")]
    images = _read(Images, document.get("images") or {}, "images", problems)
    profiles: dict[str, Profile] = {}
    for name, values in (document.get("profiles") or {}).items():
        given = dict(values or {})
        set_images = {key: image for key, image in (given.get("images") or {}).items() if image}
        given["images"] = (document.get("images") or {}) | set_images
        profile = _read(Profile, given | {"name": name}, f"profiles.{name}", problems)
        if profile is not None:
            _read(Spec, _spec_of(profile.defaults), f"profiles.{name}.defaults", problems)
            profiles[name] = profile
    if problems or images is None:
        raise BadRequest(f"{place} cannot be used: {len(problems)} problem(s)", problems=problems)
    return Config(profiles=profiles, version=tunesmith.__version__)


def _spec_of(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with only a profile's defaults.

    Any mistake in them would make each request of the profile fail.
    """
    spec = {**LEAST, **defaults}
    if isinstance(model := spec["model"], Mapping):
        spec["model"] = {**LEAST["model"], **model}
    return spec


def _read(model: type[Model], values: Any, path: str, problems: list[Problem]) -> Model | None:
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        problems += [
            Problem(f"{path}.{dotted(detail['loc'])}", detail["msg"], detail["input"])
            for detail in error.errors(include_url=False)
        ]
        return None
