"""Reports for tests of the page: one with everything in it, and changes laid over it."""

from datetime import UTC, datetime

from finished_runs import DATA_REPORT, HISTORY, SCHEMA
from stages import snapshot_for

from tunesmith.manifest import File, Pin
from tunesmith_jobs.evaluate.compose import settings
from tunesmith_jobs.evaluate.report import Answer, Figure, Report, StageFacts, Teacher

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script><img src="http://127.0.0.1:9/pixel.png" onerror="alert(1)">'


def answer(number: int, **changes: object) -> Answer:
    expected = '{"category": "billing"}'
    whole = Answer(
        kind="test",
        id=f"row-{number}",
        prompt=f"Message {number}",
        expected=expected,
        base="I'm sorry to hear that. " * 5,
        merged=expected,
        exact_base=False,
        exact_merged=True,
        wrong_form_base="not JSON: Expecting value: line 1 column 1 (char 0)",
        wrong_form_merged="",
        loss_base=2.1,
        loss_merged=0.1,
    )
    return whole.model_copy(update=changes)


def report(**changes: object) -> Report:
    shot = snapshot_for(
        {
            "data": {"examples": 60},
            "evaluation": {"format": {"jsonSchema": SCHEMA}},
            "training": {"loraR": 32},
        },
        run="tickets",
    )
    versions = {"tunesmith": "0.1.0", "torch": "2.15.0"}
    whole = Report(
        name="tickets",
        run="tickets",
        namespace="default",
        created=NOW,
        task="Turn a support message into JSON.",
        system_message="Given a support message, you will answer with a JSON object.",
        level="better",
        lead="The new model is better.",
        detail="6 of 6 test answers are exactly right (base model: 0).",
        notes=("A note.",),
        figures=(
            Figure(metric="loss", base=2.213, merged=0.117, gain=2.096, low=1.95, high=2.23, rows=13),
            Figure(metric="exactMatch", base=0, merged=12 / 13, gain=12 / 13, low=0.769, high=1, rows=13),
            Figure(metric="formatValid", base=0, merged=1, gain=1, low=1, high=1, rows=13),
        ),
        answers=(
            *(answer(number) for number in range(6)),
            answer(7, kind="prompt", expected=None, exact_base=None, exact_merged=None),
        ),
        curve=tuple(HISTORY),
        data=DATA_REPORT,
        teacher=Teacher(name="gpt-4.1", calls=62, input_tokens=41_230, output_tokens=3_120),
        training={
            "device": "CPU",
            "tokens": {"train": {"total": 3210, "p50": 58}},
            "steps": 20,
            "testLossAfter": 0.11,
        },
        merge={"dtypes": "BF16", "rounding": "stochastic", "updateKeptShare": 0.998},
        settings=settings(shot),
        stages=tuple(
            StageFacts(
                name=name,
                key="0123456789abcdef",
                attempt=f"20261123T120000-{name[:3]}",
                seconds=seconds,
                bytes=10**6,
                created=NOW,
                versions=versions,
            )
            for name, seconds in (("generate", 9.2), ("train", 167.3), ("merge", 6.1), ("evaluate", 31.4))
        ),
        pins={"base": Pin(uri="hf://org/model@main", revision="0123456789abcdef" * 4, size=269_000_000)},
        model_files=(File(path="model/model.safetensors", size=269_000_000, sha256="ab" * 32),),
        device="CPU",
        max_new_tokens=48,
    )
    return whole.model_copy(update=changes)
