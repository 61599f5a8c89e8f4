"""The facts of the model card, from what the run knows."""

from collections.abc import Mapping

from pydantic import JsonValue

from tunesmith.manifest import Manifest, Pin
from tunesmith.resolve import Snapshot
from tunesmith_jobs.base import BaseFacts
from tunesmith_jobs.chat import takes_system_role, template_renderer
from tunesmith_jobs.model_card import Dataset, Facts, License, dataset_of, hub_repo

# The fields that somebody needs who wants to train a similar model. The whole request is in the report.
_TRAINING = (
    "loraR",
    "loraAlpha",
    "loraDropout",
    "loraTargetModules",
    "useRslora",
    "useDora",
    "loadIn4bit",
    "bnb4bitQuantType",
    "learningRate",
    "lrSchedulerType",
    "numTrainEpochs",
    "maxSteps",
    "perDeviceTrainBatchSize",
    "gradientAccumulationSteps",
    "optim",
    "weightDecay",
    "maxGradNorm",
    "maxLength",
    "packing",
    "seed",
)


def card_facts(
    snapshot: Snapshot, base: BaseFacts, pin: Pin, generated: Manifest, trained: Manifest, system_message: str
) -> Facts:
    """Everything that the card says. It is the same for the same run: no times, no attempts."""
    training: Mapping[str, JsonValue] = snapshot.spec.training.model_dump(mode="json", by_alias=True)
    files = tuple(name for name in base.license.files if not name.upper().startswith("README"))
    return Facts(
        name=snapshot.name,
        run=snapshot.run,
        task=snapshot.spec.task,
        system_message=system_message,
        base_uri=pin.uri,
        base_revision=pin.revision,
        license=License(name=base.license.name, link=_license_link(base, pin), files=files),
        dataset=_dataset(snapshot, generated),
        training={name: training[name] for name in _TRAINING},
        merge=snapshot.spec.merge.model_dump(mode="json", by_alias=True),
        keys={
            entry.name: entry.key for entry in snapshot.stages if entry.name in ("generate", "train", "merge")
        },
        versions=trained.versions,
        chat_template=base.chat_template or "",
        system_role=_has_system_role(base),
        end_token=base.special_tokens.get("eos_token", ""),
    )


def _license_link(base: BaseFacts, pin: Pin) -> str:
    """The link to the license; a path within a hub repository becomes a URL."""
    link = base.license.link
    repo = hub_repo(pin.uri)
    if not link or "://" in link or not repo:
        return link
    return f"https://huggingface.co/{repo}/blob/{pin.revision}/{link}"


def _has_system_role(base: BaseFacts) -> bool:
    if base.chat_template is None:
        return True
    return takes_system_role(template_renderer(base.chat_template, base.special_tokens))


def _dataset(snapshot: Snapshot, generated: Manifest) -> Dataset:
    data = snapshot.spec.data
    counts = {
        split: generated.metrics.get(f"rows{split.capitalize()}") for split in ("train", "validation", "test")
    }
    rows = {split: int(count) for split, count in counts.items() if count}
    return dataset_of(data, rows)
