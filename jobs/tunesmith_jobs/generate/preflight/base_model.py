"""What can be wrong with a base model, and with what training asks of it, found before anything is spent."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tunesmith.errors import BadRequest, Problem, TunesmithError
from tunesmith.manifest import Pin
from tunesmith.request import Spec
from tunesmith.settings import Training
from tunesmith_jobs.base import BaseFacts, find_base, inspect_base
from tunesmith_jobs.base.architectures import CAUSAL_LM, GGUF
from tunesmith_jobs.chat import Message, takes_system_role, template_renderer
from tunesmith_jobs.estimate import ends_with

_BASE = "spec.model.base"
_LOADABLE = {"F32", "F16", "BF16", "F64"}
_SHOWN = 12


@dataclass(frozen=True)
class Base:
    """What the base model is, as far as it could be inspected, and what is wrong with it."""

    pin: Pin | None = None
    facts: BaseFacts | None = None
    errors: list[TunesmithError] = field(default_factory=list)


def look_at_base(spec: Spec, token: str | None) -> Base:
    """Find and inspect the base model, and check everything about it that needs no weights."""
    try:
        pin = find_base(spec.model.base, token=token)
        facts = inspect_base(pin, token=token)
    except TunesmithError as error:
        return Base(errors=[error])
    return Base(pin, facts, check_base(facts, spec.training))


def check_base(facts: BaseFacts, training: Training) -> list[TunesmithError]:
    """What keeps a model from being trained as asked. Pure."""
    checks: tuple[Callable[[BaseFacts, Training], Iterator[TunesmithError]], ...] = (
        _architecture,
        _weights,
        _template,
        _modules,
        _length,
    )
    return [error for check in checks for error in check(facts, training)]


def _architecture(facts: BaseFacts, _: Training) -> Iterator[TunesmithError]:
    supported = GGUF if facts.gguf else CAUSAL_LM
    if facts.model_type in supported:
        return
    code = facts.config.get("auto_map")
    if code:
        names = ", ".join(sorted(map(str, code)))
        why = f"{facts.uri} brings Python code of its own ({names}), which is never run"
        remedy = "choose a model whose architecture transformers knows by itself"
        yield _error(why, facts.model_type, remedy, reason="RemoteCode")
        return
    guess = difflib.get_close_matches(facts.model_type, supported, n=3)
    near = f"; there are {', '.join(guess)}" if guess else ""
    why = f"{facts.uri} is not a causal language model that can be loaded{near}"
    yield _error(why, facts.model_type, "choose another base model", reason="UnsupportedModel")


def _weights(facts: BaseFacts, _: Training) -> Iterator[TunesmithError]:
    quantised = facts.config.get("quantization_config")
    method = quantised.get("quant_method", "") if isinstance(quantised, dict) else ""
    weights = {tensor.dtype for name, tensor in facts.tensors.items() if name.endswith(".weight")}
    other = sorted(weights - _LOADABLE)
    if quantised or other:
        yield _error(
            f"{facts.uri}: the weights are quantised, and no adapter can be merged into them",
            method or ", ".join(other),
            "name the original, unquantised model: Tunesmith quantises it for training itself, "
            "and merges into the original weights",
            reason="QuantisedModel",
        )


def _template(facts: BaseFacts, _: Training) -> Iterator[TunesmithError]:
    if not facts.chat_template:
        yield _error(
            f"{facts.uri} has no chat template, so it is not known how to ask it",
            None,
            "choose the instruction-tuned version of the model, "
            "or put a chat_template.jinja next to its tokenizer",
            reason="NoChatTemplate",
        )
        return
    try:
        render = template_renderer(facts.chat_template, facts.special_tokens)
        system = takes_system_role(render)
        messages: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        text = render([{"role": "system", "content": "."}, *messages] if system else messages)
    except BadRequest as error:
        yield error
        return
    except Exception as error:  # noqa: BLE001 a template may raise anything
        yield _invalid_template(f"{facts.uri}: the chat template cannot be rendered: {error}")
        return
    if "?" not in text or "!" not in text:
        yield _invalid_template(f"{facts.uri}: the chat template leaves out prompt or response")


def _invalid_template(why: str) -> BadRequest:
    return _error(why, None, "repair its chat template", reason="ChatTemplateInvalid")


def _modules(facts: BaseFacts, training: Training) -> Iterator[TunesmithError]:
    """Names must be those of the files.

    A mixture of experts is renamed on loading, an unknown GGUF too: no check then.
    """
    experts = ("num_experts", "num_local_experts", "n_routed_experts")
    if any(facts.setting(name) for name in experts) or not facts.linear_modules:
        return
    targets = [name for name in training.lora_target_modules if name != "all-linear"]
    yield from _unknown_modules(facts, "loraTargetModules", targets, facts.linear_modules)
    tied = ("lm_head",) if facts.setting("tie_word_embeddings") else ()
    yield from _unknown_modules(
        facts, "loraModulesToSave", training.lora_modules_to_save, (*facts.modules, *tied)
    )


def _unknown_modules(
    facts: BaseFacts, name_of_field: str, names: Sequence[str], allowed: Sequence[str]
) -> Iterator[TunesmithError]:
    numbers = {str(number) for number in range(1000)}
    ends = sorted({module.rpartition(".")[2] for module in allowed} - numbers)
    for name in names:
        if any(ends_with(module, (name,)) for module in allowed):
            continue
        guess = difflib.get_close_matches(name.rpartition(".")[2], ends, n=1)
        meant = f"did you mean {guess[0]!r}? " if guess else ""
        problem = Problem(
            f"spec.training.{name_of_field}",
            f"{facts.uri} has no module of this name",
            name,
            f"{meant}there are {', '.join(ends[:_SHOWN])}",
        )
        yield BadRequest(
            "the base model does not have a module that is to be trained",
            reason="UnknownModules",
            problems=[problem],
        )


def _length(facts: BaseFacts, training: Training) -> Iterator[TunesmithError]:
    if 0 < facts.context_length < training.max_length:
        why = f"{facts.uri} reads {facts.context_length} tokens at most"
        remedy = f"set {facts.context_length} or less, or 0 for all of it"
        problem = Problem("spec.training.maxLength", why, training.max_length, remedy)
        yield BadRequest(
            "maxLength is more than the base model's context", reason="MaxLengthTooLong", problems=[problem]
        )


def _error(why: str, value: object, remedy: str, *, reason: str) -> BadRequest:
    return BadRequest(why, reason=reason, problems=[Problem(_BASE, why, value, remedy)])
