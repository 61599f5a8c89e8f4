"""A model folder, run: loss on responses, and greedy answers.

Both models see a row through the template of the folder they come from, which for the merged model is the base's own. On a CPU the
weights are read as float32, whatever they are stored as: every stored value is exact in it, and no CPU needs special hardware for it.
On a GPU they keep their own type.
"""

import gc
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer
from transformers.utils import logging as transformers_logging

from tunesmith.errors import BadRequest
from tunesmith_jobs.chat import Message, takes_system_role
from tunesmith_jobs.evaluate.scoring import RowLoss

_LOGITS_AT_ONCE = 1 << 30  # bytes of a batch's logits: bounds memory where the vocabulary is large


class LanguageModel:
    """A model in memory with its tokenizer. Leave the `with` block before the next one is loaded."""

    def __init__(
        self, folder: Path, device: torch.device, *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        transformers_logging.disable_progress_bar()
        self._stopping = stopping
        self.device = device
        self.tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        if self.tokenizer.chat_template is None:
            raise BadRequest(
                "the model has no chat template", reason="NoChatTemplate", remedy="start from a chat model"
            )
        dtype = torch.float32 if device.type == "cpu" else "auto"
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
        self._model.to(device).eval()
        self.dtype = str(self._model.dtype).removeprefix("torch.")
        self._vocabulary = int(self._model.config.get_text_config().vocab_size)
        self._keeps_few_logits = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        self.system_role = takes_system_role(self._text)
        stop = self._stop_tokens()
        self.pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else stop[0]
        # In place of the folder's own generation settings: their sampling and repetition penalties would colour the comparison.
        self._model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=stop, pad_token_id=self.pad
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._model
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def context(self) -> int:
        """Tokens that the model can look at."""
        return int(
            getattr(self._model.config, "max_position_embeddings", 0) or self.tokenizer.model_max_length
        )

    def _text(self, messages: Sequence[Message]) -> str:
        return str(
            self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        )

    def question_tokens(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to where the answer begins."""
        return list(
            self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=True)[
                "input_ids"
            ]
        )

    def row_tokens(self, question: Sequence[Message], answer: Sequence[Message]) -> tuple[list[int], int]:
        """Tokens of a whole row, and where its answer begins: after the tokens that it shares with the question, as in training."""
        whole = list(self.tokenizer.apply_chat_template([*question, *answer], return_dict=True)["input_ids"])
        start = self.question_tokens(question)
        if whole[: len(start)] == start:
            return whole, len(start)
        pairs = zip(whole, start, strict=False)
        return whole, next(
            (index for index, (one, other) in enumerate(pairs) if one != other), min(len(whole), len(start))
        )

    def _stop_tokens(self) -> list[int]:
        """What ends an answer: what the folder says, and the special tokens with which its template closes one."""
        stated = self._model.generation_config.eos_token_id
        found = list(stated) if isinstance(stated, list) else [] if stated is None else [stated]
        if self.tokenizer.eos_token_id is not None:
            found.append(self.tokenizer.eos_token_id)
        tokens, start = self.row_tokens(
            [{"role": "user", "content": "?"}], [{"role": "assistant", "content": "!"}]
        )
        special = set(self.tokenizer.all_special_ids)
        found += [token for token in tokens[start:] if token in special]
        return list(dict.fromkeys(found))

    @torch.inference_mode()
    def losses(self, rows: Sequence[tuple[list[int], int]]) -> list[RowLoss]:
        """Loss on the answers of a batch of rows (`row_tokens`). Rows longer than the context are cut at its end."""
        rows = [(tokens[: self.context], start) for tokens, start in rows]
        first = max(0, min(start for _, start in rows) - 1)  # the first token whose successor is looked at
        longest = max(len(tokens) for tokens, _ in rows)
        if len(rows) > 1 and len(rows) * (longest - first) * self._vocabulary * 4 > _LOGITS_AT_ONCE:
            middle = len(rows) // 2
            return self.losses(rows[:middle]) + self.losses(rows[middle:])
        ids, seen = self._padded([tokens for tokens, _ in rows], longest, left=False)
        kept = {"logits_to_keep": longest - first} if self._keeps_few_logits else {}
        logits = self._model(
            input_ids=ids.to(self.device), attention_mask=seen.to(self.device), use_cache=False, **kept
        ).logits
        logits = logits[:, first - longest :]
        return [
            self._row_loss(logits[index], tokens, start, first) for index, (tokens, start) in enumerate(rows)
        ]

    def _row_loss(self, logits: torch.Tensor, tokens: list[int], start: int, first: int) -> RowLoss:
        """`logits`: those of the tokens from `first` on."""
        targets = torch.tensor(tokens[start:], device=self.device)
        if not len(targets):
            return RowLoss(0.0, 0)
        ahead = logits[start - 1 - first : len(tokens) - 1 - first].float()
        return RowLoss(
            float(torch.nn.functional.cross_entropy(ahead, targets, reduction="none").double().sum()),
            len(targets),
        )

    def _padded(
        self, rows: Sequence[list[int]], longest: int, *, left: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Token numbers and attention mask, (rows, longest)."""
        ids = torch.full((len(rows), longest), self.pad)
        seen = torch.zeros_like(ids)
        for index, tokens in enumerate(rows):
            place = slice(longest - len(tokens), longest) if left else slice(len(tokens))
            ids[index, place] = torch.tensor(tokens)
            seen[index, place] = 1
        return ids, seen

    @torch.inference_mode()
    def answers(
        self, questions: Sequence[list[int]], new_tokens: int, *, streamer: BaseStreamer | None = None
    ) -> list[str]:
        """Greedy answers to a batch of questions (`question_tokens`), padded on the left; a batch ends when all its answers have.

        `new_tokens`: at most this many for each. When told to stop, what has been said so far comes back.
        """
        longest = max(len(tokens) for tokens in questions)
        ids, seen = self._padded(questions, longest, left=True)
        said = self._model.generate(
            input_ids=ids.to(self.device),
            attention_mask=seen.to(self.device),
            max_new_tokens=new_tokens,
            streamer=streamer,
            stopping_criteria=StoppingCriteriaList([_ToldToStop(self._stopping)]),
        )
        return [
            str(text) for text in self.tokenizer.batch_decode(said[:, longest:], skip_special_tokens=True)
        ]


class _ToldToStop(StoppingCriteria):  # type: ignore[misc] # transformers ships no types
    """Ends a batch between two tokens."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping

    def __call__(self, input_ids: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stopping(), device=input_ids.device)


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Numbers of items in batches of like length, longest first, so that a batch too large for memory shows at once."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    for at in range(0, len(order), size):
        yield order[at : at + size]
