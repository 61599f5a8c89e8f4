"""What is done for speed or for exactness computes the same numbers as the plain way."""

import bitsandbytes
import pytest
import torch

from tests.stages import snapshot_for
from tunesmith_jobs.device import Device
from tunesmith_jobs.train import adapter, fourbit, head, load, tokens
from tunesmith_jobs.train.batches import GroupedByLength
from tunesmith_jobs.train.build import build_trainer
from tunesmith_jobs.train.loss import mean_loss
from tunesmith_jobs.train.splits import Splits

CPU = Device("cpu", "CPU", 2**34, supports_bf16=False)


def settings(**values):
    return snapshot_for({"training": {"loraR": 4, **values}}).spec.training


@pytest.mark.parametrize("quant", ["nf4", "fp4"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("nested", [True, False])
def test_unpacked_weights_give_bitsandbytes_own_output_and_gradient_bit_for_bit(
    quant: str, kind: torch.dtype, nested: bool
) -> None:
    torch.manual_seed(0)
    layer = bitsandbytes.nn.Linear4bit(
        192, 128, bias=False, compute_dtype=kind, quant_type=quant, compress_statistics=nested
    )
    layer.load_state_dict({"weight": torch.randn(128, 192)})
    model = torch.nn.ModuleDict({"layer": layer.to("cpu")})
    if getattr(layer.weight, "quant_state", None) is None:
        layer.weight = layer.weight._quantize("cpu")
    given = torch.randn(3, 5, 192)
    expected, gradient = _output_and_gradient(model["layer"], given)
    fourbit.unpack(model)
    assert isinstance(model["layer"], fourbit.Unpacked)
    ours, our_gradient = _output_and_gradient(model["layer"], given)
    assert torch.equal(ours, expected)
    assert torch.equal(our_gradient, gradient)


def _output_and_gradient(layer: torch.nn.Module, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    given = given.clone().requires_grad_()
    output = layer(given)
    output.square().sum().backward()
    return output.detach(), given.grad


@pytest.fixture
def trainer(model, tmp_path):
    def make(rows=None, **values):
        chosen = settings(**values)
        tokenizer = load.load_tokenizer(model, chosen)
        rows = rows or [
            tokens.Encoded(str(n), [1, *range(5, 8 + n), 2], [-100, -100, *range(6, 8 + n), 2], 4 + n)
            for n in range(8)
        ]
        return build_trainer(
            load.add_adapter(load.load_model(model, chosen, CPU), chosen),
            tokenizer,
            Splits(rows, [], rows, [], "", True, {}, []),
            chosen,
            device="cpu",
            folder=tmp_path,
            max_length=64,
        )

    return make


def test_leaving_out_positions_without_loss_changes_no_loss(trainer, monkeypatch) -> None:
    from trl.trainer import utils

    built = trainer()
    rows = [tokens.Encoded("a", list(range(3, 40)), [-100] * 20 + list(range(23, 40)), 37)]
    short = mean_loss(built, rows)
    monkeypatch.setattr(utils, "_use_triton", lambda device: False)
    assert mean_loss(built, rows) == pytest.approx(short, rel=1e-6)
    logits = built.model(input_ids=torch.tensor([rows[0].ids])).logits[0, :-1]
    plain = torch.nn.functional.cross_entropy(logits, torch.tensor(rows[0].labels[1:]))
    assert short == pytest.approx(plain.item(), rel=1e-6)
    assert head.skip_positions_without_loss(), "trl has renamed its switch: see head.py"


def test_the_test_loss_weighs_tokens_alike_whatever_the_batches(trainer) -> None:
    row_by_row = mean_loss(trainer(perDeviceEvalBatchSize=1), _rows())
    assert mean_loss(trainer(perDeviceEvalBatchSize=3), _rows()) == pytest.approx(row_by_row, rel=1e-6)
    assert mean_loss(trainer(paddingSide="left"), _rows()) == pytest.approx(row_by_row, rel=1e-6)


def _rows() -> list[tokens.Encoded]:
    return [
        tokens.Encoded(str(n), [1, *range(5, 9 + n), 2], [-100, -100, *range(6, 9 + n), 2], 5 + n)
        for n in range(7)
    ]


def test_packed_rows_do_not_see_each_other(trainer) -> None:
    packed = trainer(_rows(), packing=True, perDeviceTrainBatchSize=2)
    batch = next(iter(packed.get_train_dataloader()))
    assert packed.train_dataset.num_rows < 7, "nothing was packed"
    packed.model.eval()
    with torch.no_grad():
        together = packed.model(**batch, fused_lm_head=True)
    apart = mean_loss(trainer(), _rows())
    assert together.label_mask.sum() == sum(row.trained for row in _rows())
    assert float(-together.log_probs.sum() / together.label_mask.sum()) == pytest.approx(apart, rel=1e-5)


def test_the_adapter_keeps_float32_values_that_bfloat16_cannot_hold(trainer) -> None:
    values = adapter.trainable(trainer().model)
    drawn = torch.cat([value.flatten() for name, value in values.items() if "lora_A" in name])
    assert drawn.dtype == torch.float32
    assert not torch.equal(drawn, drawn.bfloat16().float())


def test_groups_depend_on_seed_and_epoch_alone() -> None:
    def order(epoch: int, seed: int = 1) -> list[int]:
        torch.rand(epoch + 3)  # the global generator is in any state
        sampler = GroupedByLength([1, 9, 2, 8, 3, 7, 4, 6], 2, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(3) != order(3, seed=2)
    assert sorted(order(3)) == list(range(8))
