"""What can be wrong with a base model and with what training asks of it, seen before anything is spent."""

import difflib
from collections.abc import Callable, Iterator

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


def look_at_base(spec: Spec, token: str | None) -> tuple[Pin | None, BaseFacts | None, list[TunesmithError]]:
    """Find and inspect the base model, and check everything about it that needs no weights."""
    try:
        pin = find_base(spec.model.base, token=token)
        facts = inspect_base(pin, token=token)
    except TunesmithError as error:
        return None, None, [error]
    return pin, facts, check_base(facts, spec.training)


def check_base(facts: BaseFacts, training: Training) -> list[TunesmithError]:
    """What keeps this model from being trained as asked. Pure."""
    checks: tuple[Callable[[BaseFacts, Training], Iterator[TunesmithError]], ...] = (
        _architecture,
        _weights,
        _template,
        _modules,
        _length,
    )
    return [error for check in checks for error in check(facts, training)]


def _architecture(facts: BaseFacts, _: Training) -> Iterator[TunesmithError]:
    if facts.model_type in (GGUF if facts.gguf else CAUSAL_LM):
        return
    code = facts.config.get("auto_map")
    if code:
        yield _bad(
            "RemoteCode",
            f"{facts.uri} brings Python code of its own ({', '.join(sorted(map(str, code)))}), which is never run",
            facts.model_type,
            "choose a model whose architecture transformers knows by itself",
        )
        return
    guess = difflib.get_close_matches(facts.model_type, GGUF if facts.gguf else CAUSAL_LM, n=3)
    near = f"; there are {', '.join(guess)}" if guess else ""
    why = f"{facts.uri} is no causal language model that can be loaded{near}"
    yield _bad("UnsupportedModel", why, facts.model_type, "choose another base model")


def _weights(facts: BaseFacts, _: Training) -> Iterator[TunesmithError]:
    quantised = facts.config.get("quantization_config")
    method = quantised.get("quant_method", "") if isinstance(quantised, dict) else ""
    other = sorted(
        {tensor.dtype for name, tensor in facts.tensors.items() if name.endswith(".weight")} - _LOADABLE
    )
    if quantised or other:
        how = method or ", ".join(other)
        remedy = "name the original, unquantised model: Tunesmith quantises it for training itself, and merges into the original weights"
        yield _bad(
            "QuantisedModel",
            f"{facts.uri}: the weights are quantised, and no adapter can be merged into them",
            how,
            remedy,
        )


def _template(facts: BaseFacts, _: Training) -> Iterator[TunesmithError]:
    if not facts.chat_template:
        yield _bad(
            "NoChatTemplate",
            f"{facts.uri} has no chat template, so nobody can tell how it is to be asked",
            None,
            "choose the instruction-tuned version of the model, or put a chat_template.jinja beside its tokenizer",
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
    except Exception as error:  # noqa: BLE001 a template raises whatever it likes
        yield _bad(
            "ChatTemplateInvalid",
            f"{facts.uri}: the chat template cannot be rendered: {error}",
            None,
            "repair its chat template",
        )
        return
    if "?" not in text or "!" not in text:
        yield _bad(
            "ChatTemplateInvalid",
            f"{facts.uri}: the chat template leaves out prompt or response",
            None,
            "repair its chat template",
        )


def _modules(facts: BaseFacts, training: Training) -> Iterator[TunesmithError]:
    """Names must be those of the files. A mixture of experts is renamed on loading, an unknown GGUF too: no check then."""
    if (
        any(facts.setting(name) for name in ("num_experts", "num_local_experts", "n_routed_experts"))
        or not facts.linear_modules
    ):
        return
    tied = ("lm_head",) if facts.setting("tie_word_embeddings") else ()
    everything = (*facts.modules, *tied)
    fields = (("loraTargetModules", training.lora_target_modules, "UnknownModules"),)
    for field, wanted, reason in (
        *fields,
        ("loraModulesToSave", training.lora_modules_to_save, "UnknownModules"),
    ):
        for name in wanted:
            if name == "all-linear" and field == "loraTargetModules":
                continue
            allowed = everything if field == "loraModulesToSave" else facts.linear_modules
            if not any(ends_with(module, (name,)) for module in allowed):
                yield _unknown_module(facts, field, name, allowed, reason)


def _unknown_module(
    facts: BaseFacts, field: str, name: str, allowed: tuple[str, ...], reason: str
) -> BadRequest:
    ends = sorted({module.rpartition(".")[2] for module in allowed} - {str(number) for number in range(1000)})
    guess = difflib.get_close_matches(name.rpartition(".")[2], ends, n=1)
    meant = f"did you mean {guess[0]!r}? " if guess else ""
    problem = Problem(
        f"spec.training.{field}",
        f"{facts.uri} has no such module",
        name,
        f"{meant}there are {', '.join(ends[:_SHOWN])}",
    )
    return BadRequest(
        "the base model does not have a module that is to be trained", reason=reason, problems=[problem]
    )


def _length(facts: BaseFacts, training: Training) -> Iterator[TunesmithError]:
    if 0 < facts.context_length < training.max_length:
        why = f"{facts.uri} reads {facts.context_length} tokens at most"
        problem = Problem(
            "spec.training.maxLength",
            why,
            training.max_length,
            f"set {facts.context_length} or less, or 0 for all of it",
        )
        yield BadRequest(
            "maxLength is more than the base model's context", reason="MaxLengthTooLong", problems=[problem]
        )


def _bad(reason: str, why: str, value: object, remedy: str) -> BadRequest:
    return BadRequest(why, reason=reason, problems=[Problem(_BASE, why, value, remedy)])
