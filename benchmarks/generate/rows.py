"""What the filters of rows take and what they spare, with faults that are planted.

    python benchmarks/generate/rows.py [--rows 1000]

The whole stage asks a server that plants faults in the pairs it writes (5 % each: an answer that declines,
one in another language, one in another form, a wrong one) and that judges as models do: it misses 15 % of the
faulty rows and finds fault with 5 % of the good ones. (The first is what Zheng et al. 2023 saw of GPT-4 when
it answers for itself before it grades: 3 of 20 mathematical answers. The second is an assumption.) Prints a
table and writes it to rows.md next to this file; exits with 1 if a goal is missed.
"""

import argparse
import asyncio
import json
import platform
import random
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests")]

from scripted import in_a_thread  # noqa: E402

from tunesmith.plan import snapshot  # noqa: E402
from tunesmith.request import parse  # noqa: E402
from tunesmith_jobs.attempt import Attempt  # noqa: E402
from tunesmith_jobs.generate import judge, prompts  # noqa: E402
from tunesmith_jobs.generate.dataset import Dataset  # noqa: E402
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher  # noqa: E402
from tunesmith_jobs.generate.patience import Patience  # noqa: E402
from tunesmith_jobs.storage import open_store  # noqa: E402

TASK = "Löst Textaufgaben zum Rechnen auf Deutsch, in einem Satz, und nennt die Zahl in der letzten Zeile."
FORM = r"(?s).+\nAntwort: -?\d+"
SHARE = 0.05
KINDS = ("declines", "language", "form", "wrong")
MISSES, FALSE_ALARMS, OTHERS_WRONG = 0.15, 0.05, 0.10
LEAST_FOUND = {"declines": 0.95, "language": 0.95, "form": 0.95, "wrong": 0.70}
MOST_LOST = 0.02

PEOPLE = (
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Finn",
    "Greta",
    "Hakan",
    "Ida",
    "Jonas",
    "Klara",
    "Luis",
    "Mia",
)
THINGS = (
    "Äpfel",
    "Bücher",
    "Murmeln",
    "Stifte",
    "Briefmarken",
    "Nüsse",
    "Karten",
    "Muscheln",
    "Knöpfe",
    "Kekse",
)
PLACES = (
    "auf dem Markt",
    "in der Schule",
    "am See",
    "im Laden",
    "bei der Oma",
    "im Garten",
    "auf dem Flohmarkt",
)
# Some are worded as models often do, some are not.
DECLINES = (
    "Es tut mir leid, aber ich kann dir bei dieser Aufgabe nicht helfen.",
    "Als KI-Sprachmodell kann ich keine Rechnungen ausführen.",
    "I'm sorry, but I can't help with that request.",
    "Tut mir leid, das kann ich nicht beantworten.",
    "Leider kann ich diese Anfrage nicht bearbeiten.",
    "Ich bin nur ein Sprachmodell und darf dazu nichts sagen.",
    "Diese Anfrage verstößt gegen meine Richtlinien.",
    "As an AI developed to be helpful, I must decline.",
)
ELSEWHERE = (
    "{a} plus {b} gives {c} pieces altogether, which is what was asked for.",
    "En tout, cela fait {c} objets, car {a} et {b} font {c}.",
    "En total son {c} cosas, porque {a} más {b} es igual a {c}.",
    "In totaal zijn het er {c}, want {a} plus {b} is samen {c}.",
    "Razem jest ich {c}, ponieważ {a} dodać {b} daje {c}.",
)


@dataclass(frozen=True)
class Case:
    """A way to screen.

    `dependent`: the judge errs the same way each time it is asked of a row. `bound`: the goals are for it.
    """

    name: str
    data: dict[str, Any]
    dependent: bool = False
    bound: bool = False


CASES = (
    Case("what is free", {}),
    Case("a judge", {"judge": {"threshold": 4}}, bound=True),
    Case("a judge that errs the same way each time", {"judge": {"threshold": 4}}, dependent=True),
    Case("two further answers", {"agreement": 2}),
    Case("a judge and two further answers", {"judge": {"threshold": 4}, "agreement": 2}),
)


class Planting:
    """A teacher and judge that knows what it has planted: by the number in each prompt."""

    def __init__(self, *, dependent: bool) -> None:
        self.calls = 0
        self.dependent = dependent
        self.planted: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = await request.json()
        messages = [message["content"] for message in body["messages"]]
        usage = {"prompt_tokens": sum(map(len, messages)) // 4, "completion_tokens": 60, "total_tokens": 0}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": self._say(messages, body)},
        }
        return web.json_response({"object": "chat.completion", "choices": [choice], "usage": usage})

    def _say(self, messages: list[str], body: dict[str, Any]) -> str:
        system, text = messages[0], messages[-1]
        if system.startswith(prompts.PLAN):
            return json.dumps(PLAN)
        if system.startswith(prompts.SYSTEM_MESSAGE):
            return "Given a problem in German, you will solve it in a sentence and give the number."
        if system.startswith(prompts.PAIRS):
            return self._pair(int(re.findall(r"Example number (\d+)", text)[-1]))
        number = int(re.findall(r"Aufgabe (\d+)", text)[-1])
        if system.startswith((judge.JUDGE, judge.JUDGE_AGAIN)):
            return self._verdict(number, f"{system[:40]} {body['temperature']}")
        _, good = example(number)
        wrong = random.Random(f"other {number} {self.calls}").random() < OTHERS_WRONG
        return good if not wrong else good.rpartition(" ")[0] + f" {self.calls + 1000}"

    def _pair(self, number: int) -> str:
        kind = planted(number)
        self.planted[kind] += 1
        prompt, good = example(number)
        draw = random.Random(f"fault {number}")
        a, b = map(int, re.findall(r"\d+", good)[:2])
        response = {
            "good": good,
            "declines": draw.choice(DECLINES) + f"\nAntwort: {a + b}",
            "language": draw.choice(ELSEWHERE).format(a=a, b=b, c=a + b) + f"\nAntwort: {a + b}",
            "form": draw.choice((f"{a + b}", good.replace("Antwort:", "Lösung ="), good.replace("\n", " "))),
            "wrong": good.rpartition(" ")[0] + f" {a + b + draw.choice((-10, -1, 1, 2, 10))}",
        }[kind]
        return json.dumps({"pairs": [{"prompt": prompt, "response": response}]}, ensure_ascii=False)

    def _verdict(self, number: int, question: str) -> str:
        asked = f"{number} {'' if self.dependent else question}"
        says_bad = finds_fault(asked, bad=planted(number) != "good")
        return json.dumps({"reason": "(scripted)", "score": 2 if says_bad else 5})


PLAN = {
    "language": "German",
    "responseLanguage": "German",
    "prompts": "Textaufgaben",
    "responses": "ein Satz, dann in einer neuen Zeile Antwort: und die Zahl",
    "topics": list(THINGS),
    "axes": [{"name": "Ort", "values": list(PLACES)}],
    "difficulties": ["leicht", "mittel", "schwer"],
}


def finds_fault(question: str, *, bad: bool) -> bool:
    """Whether the judge finds fault with a row: always the same for the same question."""
    chance = random.Random(f"verdict {question}").random()
    return chance >= MISSES if bad else chance < FALSE_ALARMS


def planted(number: int) -> str:
    """What kind of pair is written for a number."""
    place = int(random.Random(f"kind {number}").random() / SHARE)
    return KINDS[place] if place < len(KINDS) else "good"


def example(number: int) -> tuple[str, str]:
    """A problem and its right answer."""
    draw = random.Random(f"example {number}")
    who, other = draw.sample(PEOPLE, 2)
    thing, more = draw.sample(THINGS, 2)
    place, a, b = draw.choice(PLACES), draw.randint(2, 99), draw.randint(2, 99)
    forms = (
        f"{who} hat {a} {thing} und bekommt {place} von {other} noch {b} dazu. Wie viele sind es jetzt?",
        f"{who} findet {place} {a} {thing}. {other} bringt {b} {more} mit. Wie viele Dinge liegen da?",
        f"Gestern hatte {who} {a} {thing}, heute kommen {place} {b} hinzu. Wie viele sind es, fragt {other}?",
    )
    says = (
        f"{who} hat zuerst {a} und dann noch {b}, das macht zusammen {a + b}.",
        f"Man zählt {a} und {b} zusammen und kommt auf {a + b} Stück.",
    )
    return f"(Aufgabe {number}) {draw.choice(forms)}", f"{draw.choice(says)}\nAntwort: {a + b}"


def run(case: Case, rows: int) -> tuple[Planting, Dataset]:
    """The stage against a new server."""
    server = Planting(dependent=case.dependent)
    with in_a_thread(server) as url, tempfile.TemporaryDirectory() as folder:
        data = {
            "examples": rows,
            "nearDuplicates": 1.0,
            "teacher": {"model": "planting", "baseURL": url},
            **case.data,
        }
        document = {
            "apiVersion": "tunesmith.dev/v1alpha1",
            "kind": "TrainingRequest",
            "metadata": {"name": "benchmark"},
            "spec": {
                "task": TASK,
                "model": {"base": "hf://none/none"},
                "data": data,
                "evaluation": {"format": {"regex": FORM}},
            },
        }
        store = open_store(Path(folder, "store").as_uri())
        attempt = Attempt("generate", snapshot(parse(document), run="r"), store, Path(folder), "a")
        dataset = asyncio.run(dataset_from_teacher(attempt, Patience.from_environment()))
    return server, dataset


def found(dataset: Dataset) -> dict[str, tuple[int, int]]:
    """Of each kind of pair, how many were left out, and how many there were."""

    def kind(prompt: str) -> str:
        return planted(int(re.findall(r"Aufgabe (\d+)", prompt)[0]))

    kept = Counter(kind(row.prompt) for row in dataset.rows)
    out = Counter(kind(rejected.prompt) for rejected in dataset.rejected if rejected.reason != "duplicate")
    return {name: (out[name], out[name] + kept[name]) for name in (*KINDS, "good")}


def main() -> int:
    """Run every case; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1000)
    rows = parser.parse_args().rows
    lines = [
        f"# Planted faults among {rows} rows",
        "",
        f"5 % each of what is planted; the judge misses {MISSES:.0%} of the faulty rows and finds fault "
        f"with {FALSE_ALARMS:.0%} of the good ones; of the further answers {OTHERS_WRONG:.0%} are wrong. "
        f"{platform.machine()}, Python {platform.python_version()}.",
        "",
        "| screened by | declines | other language | other form | wrong answer | good rows lost | calls |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    problems = []
    for case in CASES:
        server, dataset = run(case, rows)
        shares = {name: (out, total, out / max(1, total)) for name, (out, total) in found(dataset).items()}
        cells = [f"{share:.1%} ({out} of {total})" for out, total, share in shares.values()]
        lines.append(f"| {case.name} | {' | '.join(cells)} | {server.calls / len(dataset.rows):.2f} |")
        print(lines[-1], flush=True)
        missed = (name for name in KINDS if case.bound and shares[name][2] < LEAST_FOUND[name])
        problems += [f"{case.name}: only {shares[name][2]:.1%} of `{name}` found" for name in missed]
        if case.bound and shares["good"][2] > MOST_LOST:
            problems.append(f"{case.name}: {shares['good'][2]:.1%} of the good rows lost")
    text = "\n".join([*lines, ""])
    (HERE / "rows.md").write_text(text)
    print(text)
    for problem in problems:
        print(f"MISSED {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
