"""A run whose generate, train and merge are finished, made in seconds.

It has a tiny random base model, and in the place of the merged model a copy that has learnt the test rows by
heart. They are stored through the same `Attempt` as real results, so that all checks hold.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages import snapshot_for
from tiny import tiny_model

from tunesmith.resolve import Snapshot
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import find_base, inspect_base
from tunesmith_jobs.merge.card import card_facts
from tunesmith_jobs.model_card import render
from tunesmith_jobs.rows import Row, write_rows
from tunesmith_jobs.storage import open_store

SYSTEM = "Given a support message, you will answer with a JSON object."
SCHEMA = {
    "type": "object",
    "required": ["category"],
    "properties": {"category": {"enum": ["billing", "bug", "shipping"]}},
}
ROWS = [
    Row(id=f"row-{number}", prompt=prompt, response=f'{{"category": "{category}"}}')
    for number, (prompt, category) in enumerate(
        [
            ("You charged me twice", "billing"),
            ("The app crashes at start", "bug"),
            ("Where is my parcel?", "shipping"),
            ("我被重复扣款了", "billing"),
            ("أين طردي؟", "shipping"),
            ("Login shows <script>alert(1)</script>", "bug"),
        ]
    )
]
HISTORY = [
    {"step": 5.0, "epoch": 0.5, "loss": 2.31, "learningRate": 1e-3, "peakMemoryBytes": 1.1e9},
    {"step": 5.0, "epoch": 0.5, "evalLoss": 2.25},
    {"step": 10.0, "epoch": 1.0, "loss": 0.92, "learningRate": 5e-4, "peakMemoryBytes": 1.2e9},
    {"step": 10.0, "epoch": 1.0, "evalLoss": 1.01},
    {"step": 20.0, "epoch": 2.0, "loss": 0.18, "learningRate": 1e-5, "peakMemoryBytes": 1.2e9},
    {"step": 20.0, "epoch": 2.0, "evalLoss": 0.29},
]


@dataclass(frozen=True)
class Models:
    base: Path
    tuned: Path


def make_models(folder: Path) -> Models:
    """A base model, and a copy that says the expected answers to ROWS."""
    base = tiny_model(folder / "base", layers=2, hidden=128)
    tuned = shutil.copytree(base, folder / "tuned")
    _learn_by_heart(tuned, ROWS)
    return Models(base, tuned)


def _learn_by_heart(folder: Path, rows: Sequence[Row]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other take longer than such small matrices
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    encoded = []
    for row in rows:
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row.prompt}]
        start = len(
            tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)["input_ids"]
        )
        whole = tokenizer.apply_chat_template(
            [*asked, {"role": "assistant", "content": row.response}], return_dict=True
        )["input_ids"]
        encoded.append((whole, start))
    longest = max(len(whole) for whole, _ in encoded)
    ids = torch.tensor([[*whole, *[0] * (longest - len(whole))] for whole, _ in encoded])
    labels = torch.tensor(
        [[*[-100] * start, *whole[start:], *[-100] * (longest - len(whole))] for whole, start in encoded]
    )
    for _ in range(300):
        loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.005:
            break
    else:
        raise AssertionError(f"the tiny model did not learn its rows: loss {loss.item()}")
    torch.set_num_threads(threads)
    model.to(torch.bfloat16).save_pretrained(folder)


def snapshot(models: Models, evaluation: dict | None = None, **spec: object) -> Snapshot:
    """The snapshot of a request over these models, on a CPU."""
    wanted = {"maxNewTokens": 16, "format": {"jsonSchema": SCHEMA}, "prompts": ["What now?"]} | (
        evaluation or {}
    )
    return snapshot_for(
        {
            "task": "Turn a support message into JSON: <b>category</b> of 账单 or أين.",
            "data": {
                "examples": 60,
                "teacher": {"model": "scripted-teacher", "baseURL": "http://127.0.0.1:1/v1"},
            },
            "model": {"base": f"file://{models.base}"},
            "training": {"device": "cpu"},
            "evaluation": wanted,
        }
        | spec,
        run="tickets",
    )


def fabricate(
    shot: Snapshot,
    models: Models,
    url: str,
    work: Path,
    rows: Sequence[Row] = ROWS,
    report: dict | None = None,
) -> None:
    """Store finished generate, train and merge of this run."""
    store = open_store(url)
    data = Attempt("generate", shot, store, work, "g1")
    data.put_bytes("train.jsonl", write_rows(rows))
    data.put_bytes("test.jsonl", write_rows(rows))
    data.put_bytes("system_message.txt", SYSTEM.encode())
    data.put_bytes("report.json", json.dumps(DATA_REPORT if report is None else report).encode())
    generated, _ = data.commit(
        Outcome(metrics={"rows": 60.0, "rowsTrain": 54.0, "rowsTest": 6.0, "calls": 62.0})
    )

    pin = find_base(f"file://{models.base}")
    trained = Attempt("train", shot, store, work, "t1")
    trained.pins["base"] = pin
    trained.put_bytes("history.jsonl", "".join(json.dumps(entry) + "\n" for entry in HISTORY).encode())
    statistics = {
        "rows": 54,
        "total": 3210,
        "p50": 58,
        "p95": 71,
        "max": 80,
        "trained": 700,
        "truncated": 0,
        "masked": 0,
    }
    trained.put_bytes(
        "report.json",
        json.dumps(
            {"device": "CPU", "tokens": {"train": statistics}, "steps": 20, "testLossAfter": 0.01}
        ).encode(),
    )
    train, _ = trained.commit(Outcome())

    merged = Attempt("merge", shot, store, work, "m1")
    for path in sorted(models.tuned.iterdir()):
        merged.put_file(f"model/{path.name}", path)
    merged.put_bytes("model/system_message.txt", SYSTEM.encode())
    facts = card_facts(shot, inspect_base(pin), pin, generated, train, SYSTEM)
    merged.put_bytes("model/README.md", render(facts).encode())
    figures = {"dtypes": "BF16", "rounding": "stochastic", "tensorsChanged": 14, "updateKeptShare": 0.998}
    merged.put_bytes("report.json", json.dumps(figures).encode())
    merged.commit(Outcome(details={"modelCard": facts.model_dump(mode="json")}))


DATA_REPORT = {
    "rows": {"accepted": 60, "offered": 66, "train": 54, "validation": 0, "test": 6},
    "rejected": {"duplicate": 2, "nearDuplicate": 4},
    "rejectedExamples": {
        "duplicate": [{"id": "c000007-0", "detail": "1.00 like c000003-0", "prompt": "p", "response": "r"}],
        "nearDuplicate": [
            {"id": "c000009-0", "detail": "0.82 like c000003-0", "prompt": "p", "response": "r"}
        ],
    },
    "leakage": {"max": 0.41, "p95": 0.33, "rows": 6},
    "diversity": {
        "prompts": {"distinct1": 0.412, "distinct2": 0.803, "compressionRatio": 2.61, "unique": 1.0},
        "responses": {"distinct1": 0.05, "distinct2": 0.09, "compressionRatio": 8.4, "unique": 0.4},
    },
    "coverage": {"category": {"values": {"billing": 24, "bug": 20, "shipping": 16}, "evenness": 0.985}},
    "teacher": {"calls": 62, "inputTokens": 41230, "outputTokens": 3120, "seconds": 1.2},
    "examples": [{"id": row.id, "prompt": row.prompt, "response": row.response} for row in ROWS[:3]],
}
