"""The same numbers as PEFT's merge_and_unload, kind by kind."""

import numpy as np
import pytest
import torch
from merging import (
    LINEAR,
    edit_config,
    load,
    logits,
    make_adapter,
    merge_by_peft,
    merge_folder,
    tensors,
    tuned,
)
from safetensors.torch import load_file

LAST_BITS = 2**-23  # of the largest number of a tensor: float32's precision
GPT2 = {"target_modules": ["c_attn", "c_fc", "c_proj"], "fan_in_fan_out": True}
EXACT = {
    "plain LoRA": ("llama", {}),
    "a scale that is not a power of two, on some layers": (
        "llama",
        {"r": 6, "lora_alpha": 11, "target_modules": ["q_proj", "down_proj"]},
    ),
    "a high rank": ("llama", {"r": 64}),
    "rank-stabilised LoRA": ("llama", {"use_rslora": True}),
    "ranks and alphas by pattern": (
        "llama",
        {
            "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\..*": 8},
            "alpha_pattern": {"^model.layers.0.self_attn.k_proj": 5, "up_proj": 3},
        },
    ),
    "rank-stabilised with patterns": (
        "llama",
        {"use_rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 5}},
    ),
    "modules to save": ("llama", {"modules_to_save": ["lm_head", "norm"]}),
    "an adapter on the output head": ("llama", {"target_modules": [*LINEAR, "lm_head"]}),
    "an adapter on the embedding": ("llama", {"target_modules": ["embed_tokens", "q_proj"]}),
    "orthogonal start": ("llama", {"init_lora_weights": "orthogonal"}),
    "no adapter but saved modules": (
        "llama",
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    ),
    "transposed layers": ("gpt2", GPT2),
    "trained biases of the update": ("gpt2", GPT2 | {"lora_bias": True}),
    "trained biases of the base": ("gpt2", GPT2 | {"bias": "all"}),
    "trained biases of the adapted layers": ("gpt2", GPT2 | {"bias": "lora_only"}),
}


@pytest.mark.parametrize(("base", "lora"), EXACT.values(), ids=EXACT)
def test_in_float32_every_number_is_pefts_but_for_the_last_bits(base, lora, bases, tmp_path):
    """We multiply a block of rows at a time and PEFT all rows at once. On some processors (seen on AMD's) the
    library adds in another order then.
    """
    adapter = make_adapter(bases(base), tmp_path / "adapter", **lora)
    merge_folder(bases(base), adapter, tmp_path / "merged")
    expected = merge_by_peft(bases(base), adapter).state_dict()
    merged = tensors(tmp_path / "merged")
    before = tensors(bases(base))
    for name, tensor in merged.items():
        atol = LAST_BITS * float(expected[name].abs().max())
        torch.testing.assert_close(
            tensor, expected[name], rtol=0, atol=atol, msg=lambda text, n=name: f"{n}: {text}"
        )
    assert any(not torch.equal(merged[name], before[name]) for name in before)
    assert merged.keys() == before.keys()


def test_dora_is_pefts_to_the_last_bits(bases, tmp_path):
    adapter = make_adapter(bases("llama"), tmp_path / "adapter", use_dora=True)
    merge_folder(bases("llama"), adapter, tmp_path / "merged")
    expected = merge_by_peft(bases("llama"), adapter).state_dict()
    apart = 0
    for name, tensor in tensors(tmp_path / "merged").items():
        merged_values, reference = tensor.numpy(), expected[name].numpy()
        np.testing.assert_array_max_ulp(merged_values, reference, maxulp=4)
        apart += int((merged_values != reference).sum())
    total = sum(tensor.numel() for tensor in expected.values())
    assert apart < 0.6 * total, apart  # row lengths are summed in another order


def test_in_bfloat16_rounded_to_nearest_every_number_is_pefts(bases, tmp_path):
    adapter = make_adapter(bases("half"), tmp_path / "adapter")
    merge_folder(bases("half"), adapter, tmp_path / "merged", rounding="nearest")
    expected = merge_by_peft(bases("half"), adapter, torch.bfloat16).state_dict()
    for name, tensor in tensors(tmp_path / "merged").items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, expected[name]), name


def test_in_float16_rounded_to_nearest_every_number_is_pefts(bases, tmp_path):
    adapter = make_adapter(bases("small"), tmp_path / "adapter")
    merge_folder(bases("small"), adapter, tmp_path / "merged")
    expected = merge_by_peft(bases("small"), adapter, torch.float16).state_dict()
    for name, tensor in tensors(tmp_path / "merged").items():
        assert tensor.dtype == torch.float16
        assert torch.equal(tensor, expected[name]), name


def test_a_16_bit_adapter_is_computed_in_float32(bases, tmp_path):
    adapter = make_adapter(bases("llama"), tmp_path / "adapter", touch=lambda model: model.bfloat16())
    merge_folder(bases("llama"), adapter, tmp_path / "merged")
    expected = merge_by_peft(bases("llama"), adapter).state_dict()
    for name, tensor in tensors(tmp_path / "merged").items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("lora", [GPT2, GPT2 | {"lora_bias": True}], ids=["weights", "biases"])
def test_a_checkpoint_without_the_models_prefix_keeps_its_own_names(lora, bases, tmp_path):
    adapter = make_adapter(bases("bare_gpt2"), tmp_path / "adapter", **lora)
    merge_folder(bases("bare_gpt2"), adapter, tmp_path / "merged")
    expected = merge_by_peft(bases("bare_gpt2"), adapter).state_dict()
    merged = tensors(tmp_path / "merged")
    assert merged.keys() == tensors(bases("bare_gpt2")).keys()
    for name, tensor in merged.items():
        assert torch.equal(tensor, expected[f"transformer.{name}"]), name


TIED = {
    "the embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "the output head": {"target_modules": ["lm_head", "q_proj"]},
    "a saved embedding": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "a saved output head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "both": {"target_modules": ["lm_head", "embed_tokens"]},
}


@pytest.mark.parametrize("lora", TIED.values(), ids=TIED)
def test_a_model_with_tied_embeddings_answers_as_it_was_trained(lora, bases, tmp_path):
    adapter = make_adapter(bases("tied"), tmp_path / "adapter", **lora)
    merge_folder(bases("tied"), adapter, tmp_path / "merged")
    merged = load(tmp_path / "merged")
    assert merged.config.tie_word_embeddings is False
    assert "lm_head.weight" in tensors(tmp_path / "merged")
    np.testing.assert_allclose(logits(merged), logits(tuned(bases("tied"), adapter)), atol=2e-5)
    assert np.abs(logits(merged) - logits(load(bases("tied")))).max() > 0.01


def test_embeddings_that_no_adapter_touches_stay_tied(bases, tmp_path):
    adapter = make_adapter(bases("tied"), tmp_path / "adapter")
    merge_folder(bases("tied"), adapter, tmp_path / "merged")
    assert "lm_head.weight" not in tensors(tmp_path / "merged")
    assert (tmp_path / "merged" / "config.json").read_bytes() == (bases("tied") / "config.json").read_bytes()


def test_blocks_and_threads_change_nothing(bases, tmp_path):
    adapter = make_adapter(bases("half"), tmp_path / "adapter", target_modules=[*LINEAR, "embed_tokens"])
    for name, how in {
        "one": {"block_elements": 1 << 20, "workers": 1},
        "many": {"block_elements": 3000, "workers": 3},
    }.items():
        merge_folder(bases("half"), adapter, tmp_path / name, **how)
    for path in (tmp_path / "one").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes(), path.name


def test_square_layers_of_unknown_orientation_follow_the_adapters_config(bases, tmp_path):
    adapter = make_adapter(bases("gpt2"), tmp_path / "adapter", **GPT2)
    edit_config(adapter, fan_in_fan_out=False)
    merge_folder(bases("gpt2"), adapter, tmp_path / "merged")
    expected = merge_by_peft(bases("gpt2"), adapter).state_dict()  # PEFT looks at the layer's class instead
    turned = [
        name
        for name, tensor in tensors(tmp_path / "merged").items()
        if not torch.equal(tensor, expected[name])
    ]
    assert turned == [f"transformer.h.{layer}.attn.c_proj.weight" for layer in range(2)]


def test_where_a_blas_sums_in_another_order_the_difference_is_a_few_roundings(bases, tmp_path):
    """A rank beyond what a BLAS sums in one go, and blocks as small as can be: here the order differs.

    Counted, and bounded.
    """
    adapter = make_adapter(bases("llama"), tmp_path / "adapter", r=600)
    merge_folder(bases("llama"), adapter, tmp_path / "merged", block_elements=1)
    expected, factors = (
        merge_by_peft(bases("llama"), adapter).state_dict(),
        load_file(adapter / "adapter_model.safetensors"),
    )
    apart = total = 0
    for name, tensor in tensors(tmp_path / "merged").items():
        key = f"base_model.model.{name.removesuffix('weight')}lora_"
        total += tensor.numel()
        if f"{key}A.weight" in factors:
            difference = (tensor - expected[name]).abs().numpy()
            products = (
                factors[f"{key}B.weight"].abs() @ factors[f"{key}A.weight"].abs()
            ).numpy() * np.float32(7 / 600)
            step = np.spacing(products) + np.spacing(
                expected[name].abs().numpy() * 2
            )  # and the sum is rounded after it
            assert (difference <= 8 * step).all(), name
            apart += int((difference > 0).sum())
        else:
            assert torch.equal(tensor, expected[name]), name
    assert apart < 0.15 * total, apart
