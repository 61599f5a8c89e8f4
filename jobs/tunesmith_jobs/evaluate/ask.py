"""Asks both models, one after the other, since two may not fit into memory. Every batch is stored at once."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tunesmith.errors import BadData, TryAgain
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.evaluate.partial_results import KINDS, Kind, ModelName, PartialResult, PartialResults
from tunesmith_jobs.evaluate.questions import Questions
from tunesmith_jobs.language_model import LanguageModel, batches
from tunesmith_jobs.row_loss import RowLoss

_TITLES: Mapping[ModelName, str] = {"base": "base model", "merged": "new model"}
_ANSWERED: tuple[Kind, ...] = ("test", "prompt")


@dataclass(frozen=True)
class Asking:
    """What is asked, where the results go, and on which device the models run."""

    attempt: Attempt
    questions: Questions
    results: PartialResults
    device: str

    def ask(self, name: ModelName, folder: Callable[[], Path]) -> None:
        """Get every missing result of one model.

        `folder`: opens the model; not called if nothing is missing.
        """
        if not any(self.missing(name, kind) for kind in KINDS):
            return
        title = _TITLES[name]
        path = folder()
        self.attempt.check_stop()
        with LanguageModel(path, torch.device(self.device), stopping=lambda: self.attempt.stopping) as model:
            self.attempt.say(f"{title}: {model.dtype} on {self.device}")
            try:
                self._ask_batches(name, model)
            except torch.OutOfMemoryError as error:
                raise TryAgain(
                    f"{title}: out of GPU memory: {str(error).splitlines()[0]}",
                    reason="OutOfMemory",
                    remedy="lower evaluation.perDeviceEvalBatchSize, which changes no key, and retry; "
                    "the results so far are kept",
                ) from error

    def missing(self, name: ModelName, kind: Kind) -> list[int]:
        """Indices of the rows of which a model has no result yet."""
        return self.results.missing(name, kind, self.questions.count(kind))

    def _ask_batches(self, name: ModelName, model: LanguageModel) -> None:
        for kind, batch in self._batches(name, model):
            self.results.add(batch)
            phase = f"{_TITLES[name]}, {'loss' if kind == 'loss' else 'answers'}"
            self.attempt.progress(len(self.results), 2 * self.questions.total, "results", phase=phase)
            self.attempt.check_stop()

    def _batches(self, name: ModelName, model: LanguageModel) -> Iterator[tuple[Kind, list[PartialResult]]]:
        for batch in self._losses(name, model):
            yield "loss", batch
        for kind in _ANSWERED:
            for batch in self._answers(name, kind, model):
                yield kind, batch

    def _losses(self, name: ModelName, model: LanguageModel) -> Iterator[list[PartialResult]]:
        todo = self.missing(name, "loss")
        encoded = [
            model.row_tokens(*self.questions.conversation(row, system_role=model.system_role)) for row in todo
        ]
        for batch in batches([len(tokens) for tokens, _ in encoded], self._batch_size):
            rows = [todo[index] for index in batch]
            losses = model.losses([encoded[index] for index in batch])
            for row, loss in zip(rows, losses, strict=True):
                self._check_finite(name, row, loss)
            yield [
                PartialResult(model=name, kind="loss", row=row, nats=loss.nats, tokens=loss.tokens)
                for row, loss in zip(rows, losses, strict=True)
            ]

    def _answers(self, name: ModelName, kind: Kind, model: LanguageModel) -> Iterator[list[PartialResult]]:
        todo = self.missing(name, kind)
        encoded = [
            model.question_tokens(self.questions.messages(kind, row, system_role=model.system_role))
            for row in todo
        ]
        new_tokens = self.attempt.spec.evaluation.max_new_tokens
        for batch in batches([len(tokens) for tokens in encoded], self._batch_size):
            rows = [todo[index] for index in batch]
            texts = _answers_with_room(model, [encoded[index] for index in batch], new_tokens)
            self.attempt.check_stop()  # answers that were cut off by the stop are not kept
            yield [
                PartialResult(model=name, kind=kind, row=row, text=text)
                for row, text in zip(rows, texts, strict=True)
            ]

    @property
    def _batch_size(self) -> int:
        return self.attempt.spec.evaluation.per_device_eval_batch_size

    def _check_finite(self, name: ModelName, row: int, loss: RowLoss) -> None:
        if math.isfinite(loss.nats):
            return
        raise BadData(
            f"the {name} model's loss on test row {self.questions.rows[row].id} is {loss.nats}",
            reason="LossNotFinite",
            remedy="look at train's loss curve; "
            "a lower training.learningRate or merge.dtype float32 may help",
        )


def _answers_with_room(model: LanguageModel, questions: Sequence[list[int]], new_tokens: int) -> list[str]:
    """An answer to each question; an empty one where the question leaves no room in the model's context."""
    room = [model.context - len(tokens) for tokens in questions]
    answerable = [index for index, free in enumerate(room) if free > 0]
    texts = [""] * len(questions)
    if not answerable:
        return texts
    limit = min(new_tokens, *(room[index] for index in answerable))
    answers = model.answers([questions[index] for index in answerable], limit)
    for index, answer in zip(answerable, answers, strict=True):
        texts[index] = answer
    return texts
