"""A few answers after training, for a first look.

The comparison that counts is evaluate's, on the merged model.
"""

import time
from collections.abc import Sequence
from typing import Any

import torch

from tunesmith_jobs.chat import question
from tunesmith_jobs.rows import Row

ROWS = 3
SECONDS = 10.0  # in all, as an adapter that is not merged answers slowly on a CPU
TOKENS = 64


@torch.no_grad()
def samples(
    model: Any, tokenizer: Any, system: str, rows: Sequence[Row], *, system_role: bool, max_new_tokens: int
) -> list[dict[str, Any]]:
    """Greedy answers to the first few rows, with prompt and expected response.

    `cut`: whether time or tokens ran out before the answer's end.
    """
    model.eval()
    answered = []
    began = time.monotonic()
    for row in rows[:ROWS]:
        left = SECONDS - (time.monotonic() - began)
        if left <= 0:
            break
        messages = question(system, row.to_json(), system_role=system_role)
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(model.device)
        prompt_length = inputs["input_ids"].shape[1]
        out = model.generate(
            **inputs,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            use_cache=True,
            max_new_tokens=min(max_new_tokens, TOKENS),
            max_time=left,
            pad_token_id=tokenizer.pad_token_id,
        )[0, prompt_length:]
        ended = int(out[-1]) == tokenizer.eos_token_id if len(out) else False
        answer = tokenizer.decode(out, skip_special_tokens=True).strip()
        answered.append(
            {"id": row.id, "prompt": row.prompt, "response": row.response, "answer": answer, "cut": not ended}
        )
    return answered
