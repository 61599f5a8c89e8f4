"""Whatever cannot be merged exactly is refused, by name; nothing of an adapter is dropped."""

import json
import shutil

import numpy as np
import pytest
import torch
from merging import LINEAR, edit_config, make_adapter, merge_folder, tensors
from safetensors.torch import load_file, save_file
from tiny import tiny_model

from tunesmith.errors import BadData, BadRequest, TunesmithError


@pytest.fixture(scope="module")
def adapter(bases, tmp_path_factory):
    return make_adapter(bases("half"), tmp_path_factory.mktemp("adapter") / "plain")


@pytest.fixture
def copy(adapter, tmp_path):
    return shutil.copytree(adapter, tmp_path / "copy")


def edit_tensors(folder, edit):
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path)


CONFIGS = {
    "trainable_token_indices": [1, 2],
    "target_parameters": ["mlp.experts.gate_up_proj"],
    "alora_invocation_tokens": [5],
    "use_qalora": True,
    "use_bdlora": {"nblocks": 2},
    "arrow_config": {"top_k": 3},
    "velora_config": {"scale": 1.0},
    "monteclora_config": {"num_samples": 2},
    "kasa_config": {"beta": 1e-4},
    "layer_replication": [[0, 2]],
    "megatron_config": {"a": 1},
    "ensure_weight_tying": True,
    "init_lora_weights": "pissa",
    "peft_type": "LOHA",
}


@pytest.mark.parametrize(("field", "value"), CONFIGS.items(), ids=CONFIGS)
def test_kinds_of_adapters_that_cannot_be_merged_are_named(field, value, copy, bases, tmp_path):
    edit_config(copy, **{field: value})
    with pytest.raises(BadRequest, match=field) as refused:
        merge_folder(bases("half"), copy, tmp_path / "merged")
    assert refused.value.reason == "UnsupportedAdapter"


@pytest.mark.parametrize("start", ["pissa_niter_4", "olora", "corda", "loftq", "eva", "lora_ga", "mica"])
def test_starts_that_change_the_base_are_refused(start, copy, bases, tmp_path):
    edit_config(copy, init_lora_weights=start)
    with pytest.raises(BadRequest, match=start):
        merge_folder(bases("half"), copy, tmp_path / "merged")


def test_all_refusals_are_told_at_once(copy, bases, tmp_path):
    edit_config(copy, use_qalora=True, init_lora_weights="olora")
    with pytest.raises(BadRequest, match=r"(?s)use_qalora.*init_lora_weights"):
        merge_folder(bases("half"), copy, tmp_path / "merged")


Q = "base_model.model.model.layers.0.self_attn.q_proj"
BROKEN = {  # what is done to the adapter's tensors -> class, reason, text
    "a key nobody knows": (
        lambda t: t.update({f"{Q}.lora_X.weight": torch.ones(2)}),
        BadData,
        "UnusedAdapterKeys",
        "lora_X",
    ),
    "a key without PEFT's prefix": (
        lambda t: t.update({"x.lora_A.weight": torch.ones(2, 2)}),
        BadData,
        "UnusedAdapterKeys",
        "x.lora_A",
    ),
    "an adapter's tensor of whole numbers": (
        lambda t: t.update({f"{Q}.lora_A.weight": torch.ones(4, 64, dtype=torch.int32)}),
        BadData,
        "UnusedAdapterKeys",
        "q_proj",
    ),
    "one half of a pair": (
        lambda t: t.pop(f"{Q}.lora_B.weight"),
        BadData,
        "BrokenAdapter",
        r"q_proj: lora_B\.weight missing",
    ),
    "halves that do not fit": (
        lambda t: t.update({f"{Q}.lora_B.weight": torch.ones(64, 3)}),
        BadData,
        "BrokenAdapter",
        "do not multiply",
    ),
    "a rank that its config denies": (
        lambda t: t.update(
            {f"{Q}.lora_B.weight": torch.ones(64, 3), f"{Q}.lora_A.weight": torch.ones(3, 64)}
        ),
        BadData,
        "BrokenAdapter",
        "rank 3, its config says 4",
    ),
    "no tensors": (lambda t: t.clear(), BadData, "BrokenAdapter", "empty"),
    "a layer that the base lacks": (
        lambda t: t.update({key.replace("layers.0", "layers.7"): value.clone() for key, value in t.items()}),
        BadRequest,
        "AdapterMismatch",
        r"14 weights|7 of the",
    ),
    "a saved module of another vocabulary": (
        lambda t: t.update({"base_model.model.lm_head.weight": torch.ones(400, 64)}),
        BadRequest,
        "AdapterMismatch",
        r"lm_head.weight: has the shape \[320, 64\]",
    ),
    "an update of another width": (
        lambda t: t.update({f"{Q}.lora_A.weight": torch.ones(4, 32)}),
        BadRequest,
        "AdapterMismatch",
        r"q_proj.weight: has the shape \[64, 64\], the adapter's update \[64, 32\]",
    ),
    "a magnitude without DoRA": (
        lambda t: t.update({f"{Q}.lora_magnitude_vector": torch.ones(64)}),
        BadData,
        "BrokenAdapter",
        "does not ask for DoRA",
    ),
    "numbers that are not finite": (
        lambda t: t.update({f"{Q}.lora_A.weight": torch.full((4, 64), torch.nan)}),
        BadData,
        "NotFinite",
        "model.layers.0.self_attn.q_proj.weight",
    ),
}


@pytest.mark.parametrize(("edit", "kind", "reason", "text"), BROKEN.values(), ids=BROKEN)
def test_an_adapter_that_does_not_fit_is_refused_by_the_names_of_its_tensors(
    edit, kind, reason, text, copy, bases, tmp_path
):
    edit_tensors(copy, edit)
    with pytest.raises(kind, match=text) as refused:
        merge_folder(bases("half"), copy, tmp_path / "merged")
    assert refused.value.reason == reason


def test_an_adapter_for_another_architecture_is_refused(adapter, bases, tmp_path):
    with pytest.raises(BadRequest, match="the adapter is for another model: 14 of the 14") as refused:
        merge_folder(bases("gpt2"), adapter, tmp_path / "merged")
    assert refused.value.reason == "AdapterMismatch"


def test_dora_with_missing_magnitudes_is_refused(copy, bases, tmp_path):
    edit_config(copy, use_dora=True)
    with pytest.raises(BadData, match="magnitude vector is missing"):
        merge_folder(bases("half"), copy, tmp_path / "merged")


def test_a_quantised_base_is_refused(adapter, bases, tmp_path):
    base = shutil.copytree(bases("half"), tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "bitsandbytes"}})
    )
    with pytest.raises(BadRequest, match="original weights") as refused:
        merge_folder(base, adapter, tmp_path / "merged")
    assert refused.value.reason == "QuantisedBase"


BASES = {
    "pickled weights only": (
        lambda f: (
            [p.unlink() for p in f.glob("*.safetensors*")] and (f / "pytorch_model.bin").write_bytes(b"x")
        ),
        "bin",
    ),
    "a file cut short": (
        lambda f: (p := next(f.glob("*.safetensors"))).write_bytes(p.read_bytes()[:-9]),
        "not all there",
    ),
    "a file that is not safetensors": (
        lambda f: next(f.glob("*.safetensors")).write_bytes(b"\xff" * 99),
        "not a whole safetensors file",
    ),
    "a shard that is missing": (lambda f: next(f.glob("*.safetensors")).unlink(), "not there"),
    "an index that is not an object": (
        lambda f: (f / "model.safetensors.index.json").write_text("[]"),
        "index.json",
    ),
}


@pytest.mark.parametrize(("spoil", "text"), BASES.values(), ids=BASES)
def test_a_base_that_cannot_be_read_is_named(spoil, text, adapter, bases, tmp_path):
    base = shutil.copytree(bases("half"), tmp_path / "base")
    spoil(base)
    with pytest.raises(TunesmithError, match=text):
        merge_folder(base, adapter, tmp_path / "merged")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_stochastic_rounding_to_another_type_than_bfloat16_is_refused(dtype, adapter, bases, tmp_path):
    with pytest.raises(BadRequest, match="stochastic rounding is for bfloat16"):
        merge_folder(bases("half"), adapter, tmp_path / "merged", dtype=dtype, rounding="stochastic")


def test_an_overflow_of_float16_names_the_tensor(bases, tmp_path):
    def blow_up(model):
        model.base_model.model.model.layers[1].mlp.up_proj.lora_B["default"].weight.data[0, 0] = 1e8

    adapter = make_adapter(bases("llama"), tmp_path / "adapter", touch=blow_up)
    with pytest.raises(BadData, match=r"model\.layers\.1\.mlp\.up_proj\.weight: .* beyond 65504") as refused:
        merge_folder(bases("llama"), adapter, tmp_path / "merged", dtype="float16")
    assert refused.value.reason == "Overflow"


def test_an_overflow_in_an_untouched_tensor_names_it_too(adapter, tmp_path):
    base = tiny_model(tmp_path / "base", dtype="bfloat16", tie=False)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][3] = 1e6
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadData, match=r"model\.norm\.weight"):
        merge_folder(base, adapter, tmp_path / "merged", dtype="float16")


def test_untouched_tensors_keep_their_bytes(bases, tmp_path):
    adapter = make_adapter(bases("half"), tmp_path / "adapter", target_modules=["q_proj"])
    merge_folder(bases("half"), adapter, tmp_path / "merged")
    merged, before = tensors(tmp_path / "merged"), tensors(bases("half"))
    changed = {
        name
        for name in before
        if not torch.equal(merged[name].view(torch.int16), before[name].view(torch.int16))
    }
    assert changed == {f"model.layers.{layer}.self_attn.q_proj.weight" for layer in range(2)}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_another_type_is_given_to_all_weights_and_to_the_config(dtype, adapter, bases, tmp_path):
    merge_folder(bases("half"), adapter, tmp_path / "merged", dtype=dtype)
    merged, before = tensors(tmp_path / "merged"), tensors(bases("half"))
    assert {tensor.dtype for tensor in merged.values()} == {getattr(torch, dtype)}
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["torch_dtype"] == dtype
    untouched = "model.embed_tokens.weight"
    np.testing.assert_allclose(
        merged[untouched].float(), before[untouched].float(), atol=0 if dtype != "float16" else 3e-8
    )


def test_stochastic_rounding_keeps_the_update_that_nearest_drops(bases, tmp_path):
    adapter = make_adapter(bases("half"), tmp_path / "adapter", size=1e-4, target_modules=LINEAR)
    share = {
        how: merge_folder(bases("half"), adapter, tmp_path / how, rounding=how).share
        for how in ("stochastic", "nearest")
    }
    assert abs(share["stochastic"] - 1) < 0.05
    assert share["nearest"] < 0.9
