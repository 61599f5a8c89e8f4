"""A model folder, loaded and run: loss on responses, and greedy answers. Shared by evaluate and infer.

Base and merged model see a row through the template of the folder that they come from, which for the merged
model is the base's own. On a CPU the weights are read as float32, whatever their stored type: float32 holds
every stored value exactly, and no CPU needs special hardware for it. On a GPU they keep their own type.
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
from tunesmith_jobs.chat import Message, row_tokens, takes_system_role
from tunesmith_jobs.row_loss import RowLoss

LOGITS_BYTES = 1 << 30  # of one batch at most: bounds memory where the vocabulary is large


class LanguageModel:
    """A model in memory with its tokenizer. Leave the `with` block before the next one is loaded.

    `stopping`: asked between two tokens of an answer; `logits_bytes`: a batch whose logits would take more is
    divided.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        stopping: Callable[[], bool] = lambda: False,
        logits_bytes: int = LOGITS_BYTES,
    ) -> None:
        transformers_logging.disable_progress_bar()
        self._stopping = stopping
        self._logits_bytes = logits_bytes
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
        stop_tokens = self._stop_tokens()
        pad = self.tokenizer.pad_token_id
        self.pad = stop_tokens[0] if pad is None else pad
        # Instead of the folder's own: its sampling and repetition penalties would colour the comparison.
        self._model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=stop_tokens, pad_token_id=self.pad
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
        positions = getattr(self._model.config, "max_position_embeddings", 0)
        return int(positions or self.tokenizer.model_max_length)

    def question_tokens(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to where the answer begins."""
        return self._tokens(messages, add_generation_prompt=True)

    def row_tokens(self, question: Sequence[Message], answer: Sequence[Message]) -> tuple[list[int], int]:
        """Tokens of a whole row, and where its answer begins."""
        return row_tokens(self.tokenizer, question, answer[0])

    def _text(self, messages: Sequence[Message]) -> str:
        return str(
            self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        )

    def _tokens(self, messages: Sequence[Message], **options: Any) -> list[int]:
        encoded = self.tokenizer.apply_chat_template(list(messages), return_dict=True, **options)
        return list(encoded["input_ids"])

    def _stop_tokens(self) -> list[int]:
        """The tokens that end an answer: those that the folder states, and those in its template."""
        stated = self._model.generation_config.eos_token_id
        if isinstance(stated, list):
            stop_tokens = list(stated)
        elif stated is None:
            stop_tokens = []
        else:
            stop_tokens = [stated]
        if self.tokenizer.eos_token_id is not None:
            stop_tokens.append(self.tokenizer.eos_token_id)
        tokens, start = self.row_tokens(
            [{"role": "user", "content": "?"}], [{"role": "assistant", "content": "!"}]
        )
        special = set(self.tokenizer.all_special_ids)
        stop_tokens += [token for token in tokens[start:] if token in special]
        return list(dict.fromkeys(stop_tokens))

    @torch.inference_mode()
    def losses(self, rows: Sequence[tuple[list[int], int]]) -> list[RowLoss]:
        """Loss on the answers of a batch of rows (`row_tokens`). Rows longer than the context are cut off."""
        rows = [(tokens[: self.context], start) for tokens, start in rows]
        first = max(0, min(start for _, start in rows) - 1)  # the first token whose successor is looked at
        longest = max(len(tokens) for tokens, _ in rows)
        logits_bytes = len(rows) * (longest - first) * self._vocabulary * 4
        if len(rows) > 1 and logits_bytes > self._logits_bytes:
            middle = len(rows) // 2
            return self.losses(rows[:middle]) + self.losses(rows[middle:])
        ids, attention = self._padded([tokens for tokens, _ in rows], longest, left=False)
        options = {"logits_to_keep": longest - first} if self._keeps_few_logits else {}
        logits = self._model(
            input_ids=ids.to(self.device),
            attention_mask=attention.to(self.device),
            use_cache=False,
            **options,
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
        predictions = logits[start - 1 - first : len(tokens) - 1 - first].float()
        nats = torch.nn.functional.cross_entropy(predictions, targets, reduction="none")
        return RowLoss(float(nats.double().sum()), len(targets))

    def _padded(
        self, rows: Sequence[list[int]], longest: int, *, left: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, both of shape (rows, longest)."""
        ids = torch.full((len(rows), longest), self.pad)
        attention = torch.zeros_like(ids)
        for index, tokens in enumerate(rows):
            place = slice(longest - len(tokens), longest) if left else slice(len(tokens))
            ids[index, place] = torch.tensor(tokens)
            attention[index, place] = 1
        return ids, attention

    @torch.inference_mode()
    def answers(
        self, questions: Sequence[list[int]], new_tokens: int, *, streamer: BaseStreamer | None = None
    ) -> list[str]:
        """Greedy answers to a batch of questions (`question_tokens`), of at most `new_tokens` tokens each.

        The batch is padded on the left and ends when all its answers have. If `stopping` turns true
        meanwhile, the answers come back as far as they have got.
        """
        longest = max(len(tokens) for tokens in questions)
        ids, attention = self._padded(questions, longest, left=True)
        generated = self._model.generate(
            input_ids=ids.to(self.device),
            attention_mask=attention.to(self.device),
            max_new_tokens=new_tokens,
            streamer=streamer,
            stopping_criteria=StoppingCriteriaList([_ToldToStop(self._stopping)]),
        )
        texts = self.tokenizer.batch_decode(generated[:, longest:], skip_special_tokens=True)
        return [str(text) for text in texts]


class _ToldToStop(StoppingCriteria):  # type: ignore[misc] # transformers ships no types
    """Ends a batch between two tokens."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping

    def __call__(self, input_ids: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stopping(), device=input_ids.device)


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices of items in batches of similar length, longest first.

    So a batch that is too large for memory shows at once.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]
