"""What a request will need, held against what was measured."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Data, Training
from tunesmith_jobs.base import BaseFacts, find_base, inspect_base
from tunesmith_jobs.estimate import (
    GIB,
    check_fits,
    store_bytes,
    trained_elements,
    training_bytes,
)
from tunesmith_tryout.demo_model import packaged


@pytest.fixture(scope="session")
def smol() -> BaseFacts:
    """SmolLM2-135M, by the head of the packaged file."""
    return inspect_base(find_base(str(packaged())))


def training(**values: object) -> Training:
    return Training.model_validate(values)


def test_trained_values_are_those_that_peft_counts(smol):
    assert (
        trained_elements(smol, training(loraR=64)) == 19_537_920
    )  # what peft's get_nb_trainable_parameters says for all-linear


def test_four_bit_weights_take_what_bitsandbytes_reports(smol):
    measured = 109.8e6  # get_memory_footprint of the NF4 model with double quantisation
    assert training_bytes(smol, training()).weights == pytest.approx(measured, rel=0.02)
    assert training_bytes(smol, training(loadIn4bit=False)).weights == 2 * smol.parameters


def test_each_setting_moves_the_estimate_its_own_way(smol):
    plain = training_bytes(smol, training())
    assert training_bytes(smol, training(gradientCheckpointing=False)).activations > 5 * plain.activations / 2
    assert training_bytes(smol, training(perDeviceTrainBatchSize=8)).activations > plain.activations
    assert training_bytes(smol, training(optim="adamw_8bit")).optimizer == plain.optimizer // 4
    assert training_bytes(smol, training(optim="paged_adamw_32bit")).least < plain.least
    assert (
        training_bytes(smol, training(loraModulesToSave=("embed_tokens",))).adapter
        == plain.adapter + 4 * 49152 * 576
    )
    assert training_bytes(smol, training(bnb4bitUseDoubleQuant=False)).weights > plain.weights
    assert training_bytes(smol, training(), gpu=False).overhead == 0
    assert plain.least < plain.total


def test_what_cannot_fit_is_refused_by_name_with_what_would_help(smol):
    whole = training(loadIn4bit=False, optim="adamw_torch", loraR=256)
    check_fits(smol, whole, 80 * GIB, "H100")
    with pytest.raises(BadRequest, match=r"Tiny GPU has 1\.0 GiB") as caught:
        check_fits(smol, whole, GIB, "Tiny GPU")
    message = str(caught.value)
    assert all(
        text in message
        for text in ("base model: 257 MiB", "optimizer: 596 MiB", "loadIn4bit: true", "paged_adamw_8bit")
    )
    check_fits(smol, training(), 2 * GIB, "a small card")


def test_the_store_holds_model_adapter_and_checkpoints(smol):
    fine = store_bytes(smol, Data(), training(), "bfloat16")
    assert fine > 2 * smol.parameters
    assert store_bytes(smol, Data(), training(), "float32") - fine == 2 * smol.parameters
