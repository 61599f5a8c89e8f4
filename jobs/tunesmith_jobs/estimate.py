"""Estimates what a request will need: bytes in the store, memory for training. Pure.

What the teacher takes is in tunesmith/cost.py. The formulas are in the docstrings.
"""

from dataclasses import dataclass

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Data, Training
from tunesmith_jobs.base import BaseFacts

GIB = 1024**3

ROW_TOKENS = 1024  # of a training row, where nothing is known about the data
ROW_BYTES = 2048  # of a row in the store, prompt and response

CUDA_BYTES = 700 * 1024**2  # context, cuBLAS and bitsandbytes workspaces
NF4_BYTES = 0.5 + 4 / 64  # a float32 constant for each block of 64
# The constants in 8 bits, with a float32 for each 256 of them.
NF4_DOUBLE_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
LOSS_TILE_TOKENS = 4096  # that the trainer projects to the vocabulary at a time
_OPTIMIZER_BYTES = {
    "adamw_torch": 8,
    "adamw_torch_fused": 8,
    "paged_adamw_32bit": 8,
    "adamw_8bit": 2,
    "paged_adamw_8bit": 2,
}


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on the training device.

    `least`: without activations and without what may be paged out; with less, training cannot start.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    overhead: int
    least: int

    @property
    def total(self) -> int:
        """What training will take with rows of the assumed length."""
        return (
            self.weights + self.adapter + self.gradients + self.optimizer + self.activations + self.overhead
        )


def trained_elements(facts: BaseFacts, training: Training) -> int:
    """Number of values that training changes: r·(in + out) a target module, and the modules stored whole."""
    targets = target_modules(facts, training.lora_target_modules)
    shapes = (facts.tensors[f"{name}.weight"].shape for name in targets)
    adapter = sum(training.lora_r * (shape[0] + shape[1]) for shape in shapes)
    whole = sum(
        tensor.elements
        for name, tensor in facts.tensors.items()
        if ends_with(name.rpartition(".")[0], training.lora_modules_to_save)
    )
    return adapter + whole


def training_bytes(
    facts: BaseFacts, training: Training, *, gpu: bool = True, row_tokens: int = 0
) -> TrainingMemory:
    """Memory for training. `row_tokens`: length of the longest rows, if it is known.

    - Base: 4-bit layers at half a byte a weight and their constants; all else at 2 bytes (float32 on a CPU:
      4).
    - Adapter, gradients: 4 bytes a trained value; optimizer: 8, or 2 in 8 bits, none for sgd and adafactor.
    - Activations: for each token of a batch 2 bytes times (16 hidden + 6 inner) values a layer, or, with
      gradient checkpointing, the hidden values of every layer and one layer in full; and logits in float32
      with their gradients, a tile at a time.
    """
    width = 2 if gpu else 4
    linear = sum(facts.tensors[f"{name}.weight"].elements for name in facts.linear_modules)
    four_bits = NF4_DOUBLE_BYTES if training.bnb_4bit_use_double_quant else NF4_BYTES
    linear_width = four_bits if training.load_in_4bit else width
    weights = round(linear * linear_width) + (facts.parameters - linear) * width
    trained = trained_elements(facts, training)
    optimizer = trained * _OPTIMIZER_BYTES.get(training.optim, 0)
    context = training.max_length or facts.context_length or ROW_TOKENS
    tokens = training.per_device_train_batch_size * (row_tokens or min(context, ROW_TOKENS))
    overhead = CUDA_BYTES if gpu else 0
    resident = 0 if training.optim.startswith("paged") else optimizer
    return TrainingMemory(
        weights=weights,
        adapter=4 * trained,
        gradients=4 * trained,
        optimizer=optimizer,
        activations=_activations(facts, training, tokens, width),
        overhead=overhead,
        least=weights + 8 * trained + resident + overhead,
    )


def check_fits(facts: BaseFacts, training: Training, memory: int, device: str, *, gpu: bool = True) -> None:
    """Raise BadRequest (TooLargeForDevice), with what would help, for a training that cannot fit.

    `memory`: bytes that `device` has.
    """
    need = training_bytes(facts, training, gpu=gpu)
    if need.least <= memory:
        return
    adapter = need.adapter + need.gradients
    optimizer = need.least - need.weights - need.overhead - adapter
    parts = {"base model": need.weights, "adapter": adapter, "optimizer": optimizer}
    remedies = ["a larger device"]
    if not training.load_in_4bit:
        remedies.append("loadIn4bit: true")
    if optimizer:
        remedies.append("optim: paged_adamw_8bit")
    raise BadRequest(
        f"training {facts.uri} takes at least {in_words(need.least)}, and {device} has {in_words(memory)}",
        reason="TooLargeForDevice",
        problems=[Problem("", f"{name}: {in_words(count)}") for name, count in parts.items() if count],
        remedy=f"take {', or '.join([*remedies, 'a smaller loraR or base model'])}",
    )


def store_bytes(facts: BaseFacts, data: Data, training: Training, merged_dtype: str) -> int:
    """Bytes in the store: dataset, adapter, merged model, and checkpoints until training is done."""
    width = {"float32": 4, "float16": 2, "bfloat16": 2}.get(merged_dtype)
    model = facts.parameters * width if width else sum(tensor.bytes for tensor in facts.tensors.values())
    trained = trained_elements(facts, training)
    checkpoint = trained * (4 + _OPTIMIZER_BYTES.get(training.optim, 0))
    return data.examples * ROW_BYTES + 4 * trained + training.save_total_limit * checkpoint + model


def target_modules(facts: BaseFacts, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The linear modules that `loraTargetModules` names."""
    if "all-linear" in wanted:
        return facts.linear_modules
    return tuple(name for name in facts.linear_modules if ends_with(name, wanted))


def ends_with(module: str, wanted: tuple[str, ...]) -> bool:
    """Whether whole parts at the end of a module's name are among those wanted, as peft matches a list."""
    return any(module == name or module.endswith(f".{name}") for name in wanted)


def in_words(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 1024**2:.0f} MiB"


def _activations(facts: BaseFacts, training: Training, tokens: int, width: int) -> int:
    hidden = int(facts.setting("hidden_size") or facts.setting("n_embd") or 0)
    layers = int(facts.setting("num_hidden_layers") or facts.setting("n_layer") or 0)
    inner = int(facts.setting("intermediate_size") or 4 * hidden)
    layer = 16 * hidden + 6 * inner
    values = layers * hidden + layer if training.gradient_checkpointing else layers * layer
    logits = min(tokens, LOSS_TILE_TOKENS) * facts.vocabulary
    return tokens * values * width + 8 * logits
