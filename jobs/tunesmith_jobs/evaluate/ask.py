"""Both models over the same rows, one after the other, since two may not fit into memory: every batch is kept as it comes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tunesmith.errors import BadData, TryAgain
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.chat import Message, conversation, question
from tunesmith_jobs.evaluate.kept import Kept, Kind, Said, Which
from tunesmith_jobs.evaluate.model import LanguageModel, batches
from tunesmith_jobs.rows import Row


@dataclass(frozen=True)
class Questions:
    """What is asked. `answered`: how many of the test rows are answered; the loss is over all of them."""

    system: str
    rows: Sequence[Row]
    answered: int
    prompts: Sequence[str]

    def count(self, kind: Kind) -> int:
        """How many rows a kind has."""
        return {"loss": len(self.rows), "test": self.answered, "prompt": len(self.prompts)}[kind]

    @property
    def total(self) -> int:
        """Results of one model."""
        return len(self.rows) + self.answered + len(self.prompts)

    def messages(self, kind: Kind, row: int, *, system_role: bool) -> list[Message]:
        """What a model is asked."""
        asked = {"prompt": self.prompts[row]} if kind == "prompt" else self.rows[row].to_json()
        return question(self.system, asked, system_role=system_role)


def ask(
    attempt: Attempt, kept: Kept, which: Which, asked: Questions, folder: Callable[[], Path], device: str
) -> None:
    """Get every result of one model that is not there yet. `folder`: opens the model; not called if nothing is missing."""
    if not any(kept.missing(which, kind, asked.count(kind)) for kind in ("loss", "test", "prompt")):
        return
    name = "base model" if which == "base" else "new model"
    path = folder()
    attempt.check_stop()
    with LanguageModel(path, torch.device(device), stopping=lambda: attempt.stopping) as model:
        attempt.say(f"{name}: {model.dtype} on {device}")
        try:
            for kind, said in _results(kept, which, asked, model, attempt):
                kept.add(said)
                phase = f"{name}, {'loss' if kind == 'loss' else 'answers'}"
                attempt.progress(len(kept), 2 * asked.total, "results", phase=phase)
                attempt.check_stop()
        except torch.OutOfMemoryError as error:
            raise TryAgain(
                f"{name}: out of GPU memory: {str(error).splitlines()[0]}",
                reason="OutOfMemory",
                remedy="lower evaluation.perDeviceEvalBatchSize, which changes no key, and retry; what was answered is kept",
            ) from error


def _results(
    kept: Kept, which: Which, asked: Questions, model: LanguageModel, attempt: Attempt
) -> Iterator[tuple[Kind, list[Said]]]:
    size = attempt.spec.evaluation.per_device_eval_batch_size
    for said in _losses(kept.missing(which, "loss", len(asked.rows)), which, asked, model, size):
        yield "loss", said
    kinds: tuple[Kind, ...] = ("test", "prompt")
    for kind in kinds:
        todo = kept.missing(which, kind, asked.count(kind))
        tokens = [
            model.question_tokens(asked.messages(kind, row, system_role=model.system_role)) for row in todo
        ]
        for batch in batches([len(one) for one in tokens], size):
            texts = _answers(model, [tokens[at] for at in batch], attempt.spec.evaluation.max_new_tokens)
            attempt.check_stop()  # answers that were cut off by the stop are not kept
            yield (
                kind,
                [
                    Said(model=which, kind=kind, row=todo[at], text=text)
                    for at, text in zip(batch, texts, strict=True)
                ],
            )


def _losses(
    todo: Sequence[int], which: Which, asked: Questions, model: LanguageModel, size: int
) -> Iterator[list[Said]]:
    rows = [
        model.row_tokens(
            *conversation(asked.system, asked.rows[row].to_json(), system_role=model.system_role)
        )
        for row in todo
    ]
    for batch in batches([len(tokens) for tokens, _ in rows], size):
        found = model.losses([rows[at] for at in batch])
        for at, loss in zip(batch, found, strict=True):
            if not math.isfinite(loss.nats):
                raise BadData(
                    f"the {'base' if which == 'base' else 'merged'} model's loss on test row {asked.rows[todo[at]].id} is {loss.nats}",
                    reason="LossNotFinite",
                    remedy="look at train's loss curve; a lower training.learningRate or merge.dtype float32 may help",
                )
        yield [
            Said(model=which, kind="loss", row=todo[at], nats=one.nats, tokens=one.tokens)
            for at, one in zip(batch, found, strict=True)
        ]


def _answers(model: LanguageModel, questions: Sequence[list[int]], new_tokens: int) -> list[str]:
    """A question that leaves no room in the model's context gets no answer."""
    room = [model.context - len(tokens) for tokens in questions]
    able = [at for at, free in enumerate(room) if free > 0]
    texts = [""] * len(questions)
    if able:
        said = model.answers([questions[at] for at in able], min(new_tokens, *(room[at] for at in able)))
        for at, text in zip(able, said, strict=True):
            texts[at] = text
    return texts
