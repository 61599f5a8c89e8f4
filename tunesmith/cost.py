"""What the teacher of a request will take before it is paid: calls, tokens, dollars, minutes, each a range.
Pure.

The low end is what is needed if every answer is short and usable, the high end if answers are long and a
quarter of them is rejected. Answers that were paid for already narrow it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tunesmith.least_cost import PLAN_ROOM
from tunesmith.prices import find_price, price_of_rows
from tunesmith.request import Spec
from tunesmith.settings import Data
from tunesmith.thinking import thought_tokens

Shape = Literal["plan", "pairs", "grounded", "verdict", "text"]
Verdict = Literal["fits", "may not fit", "cannot fit"]
# UTF-8 bytes that the stage writes around task and seeds (tunesmith_jobs/generate/prompts.py, and the words
# for the form of the answer). A test holds them to it.
ASKING_BYTES = {"plan": 1270, "text": 495, "pairs": 700, "grounded": 1570, "chain": 605, "verdict": 1000}
BYTES_PER_TOKEN = (5.0, 3.0)  # at the least and at the most tokens, in any language
PLANNED_TOKENS = (40, 500)  # in each call: the plan's words on prompts and responses, and the cell
SCHEMA_TOKENS = (0, 200)  # of the answer's form, where the endpoint counts it
PLAN_TOKENS = (200, 2500)  # of the plan
MESSAGE_TOKENS = (10, 200)  # of a system message that the teacher writes
PAIR_TOKENS = (30, 600)  # of a prompt and its response
PASSAGE_TOKENS = (10, 1200)  # of a passage of documents (tunesmith_jobs/documents/passages.py)
OVERVIEW_TOKENS = (100, 2000)  # of the beginnings of documents, in the call for the plan
EVIDENCE_TOKENS = (8, 150)  # of the words that the teacher copies from a passage
VERDICT_TOKENS = (20, 200)  # a judge's reason and score
DOUBTED = 1.3  # verdicts for each row, if more than one row in ten is in doubt
REJECTED = 1.3  # calls for each that is needed, if nearly a quarter of the answers is of no use
SPREAD = (0.7, 1.5)  # of the mean of a few answers that were seen
SECONDS_PER_TOKEN = (1 / 200, 1 / 40)  # of the answer, by a fast endpoint and by a slow one
SECONDS_PER_CALL = (0.1, 2.0)
# A batch, at the most what OpenAI, Groq and Together promise. Together, of less than 1,000 requests: minutes
# (https://docs.together.ai/docs/inference/batch/overview).
BATCH_MINUTES = (5, 24 * 60)
FEW = 16  # requests in flight that a slow endpoint takes
ROOM = 4096  # tokens for thoughts that a model is allowed at first (tunesmith_jobs/teacher/openai_dialect.py)


@dataclass(frozen=True)
class Range:
    """From a low to a high number."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Range") -> "Range":
        return Range(self.low * other.low, self.high * other.high)

    def at_most(self, most: float) -> "Range":
        """The range as far as it does not go beyond `most`."""
        return Range(min(self.low, most), min(self.high, most))


@dataclass(frozen=True)
class Seen:
    """An answer that was paid for. `seconds`: how long it took."""

    shape: Shape
    input_tokens: int
    output_tokens: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What generation takes.

    `usd`: None if a price is not known. A call starts only if the most that it may take is left of the
    budget: `spare_tokens` and `spare_usd` are what that is beyond what it is expected to take. `seen`: how
    many answers the estimate rests on.
    """

    calls: Range
    input_tokens: Range
    output_tokens: Range
    usd: Range | None
    minutes: Range
    spare_tokens: float
    spare_usd: float
    seen: int

    @property
    def tokens(self) -> Range:
        """Asked and answered."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Limit:
    """A limit of the budget beside the estimate.

    `least`: a limit below it can't be enough; `most`: one that is not below it is.
    """

    field: str
    limit: float
    least: float
    most: float

    @property
    def verdict(self) -> Verdict:
        """Whether the estimate fits."""
        if self.limit >= self.most:
            return "fits"
        return "may not fit" if self.limit >= self.least else "cannot fit"


@dataclass(frozen=True)
class _Calls:
    """Calls of one kind: how many, and what each of them takes."""

    model: str
    count: Range
    asked: Range  # tokens
    answered: Range  # tokens, thoughts among them
    seconds: Range


def estimate(spec: Spec, seen: Sequence[Seen] = ()) -> Estimate | None:
    """What generation takes; None where no teacher is asked.

    `seen`: answers of this run, paid for already.
    """
    data = spec.data
    if not data.asks_teacher:
        return None
    first, rows, further = _first_calls(spec, seen), _row_calls(spec, seen), _further_calls(spec, seen)
    kinds = [*first, rows, *further]
    asked = _sum(kind.count * kind.asked for kind in kinds)
    answered = _sum(kind.count * kind.answered for kind in kinds)
    thinks = thought_tokens(data.teacher.model, data.teacher)[1] > 0
    spare = max(0.0, data.max_tokens + ROOM * thinks - rows.answered.low)
    price = price_of_rows(data.teacher.model, data)
    return Estimate(
        calls=_sum(kind.count for kind in kinds),
        input_tokens=asked,
        output_tokens=answered,
        usd=_usd(first, [rows, *further], data),
        minutes=_minutes(first, [rows, *further], asked + answered, data),
        spare_tokens=spare,
        spare_usd=price.cost(0, spare) if price else 0.0,
        seen=len(seen),
    )


def limits(spec: Spec, found: Estimate) -> list[Limit]:
    """Every limit of the budget beside what the estimate says of it."""
    budget, calls, tokens, usd = spec.data.budget, found.calls, found.tokens, found.usd
    beside = [
        Limit("maxRequests", budget.max_requests, calls.low, calls.high),
        Limit(
            "maxTokens", budget.max_tokens, tokens.low + found.spare_tokens, tokens.high + found.spare_tokens
        ),
    ]
    if usd is not None:
        beside.append(Limit("maxUSD", budget.max_usd, usd.low + found.spare_usd, usd.high + found.spare_usd))
    return [limit for limit in beside if limit.limit > 0]


def _first_calls(spec: Spec, seen: Sequence[Seen]) -> list[_Calls]:
    """The plan, and the system message if the teacher writes it."""
    data, calls = spec.data, []
    model = data.teacher.planner
    if data.has_planned:
        seeds = sum(_bytes(seed) + 3 for seed in data.seeds)
        answer = Range(*PLAN_TOKENS).at_most(max(data.max_tokens, PLAN_ROOM))
        call = _calls("plan", model, spec, seeds, answer, seen)
        if data.documents is not None and not _of("plan", seen):
            call = replace(call, asked=call.asked + Range(*OVERVIEW_TOKENS))
        calls.append(call)
    if data.system_message is None:
        answer = Range(*MESSAGE_TOKENS).at_most(data.system_message_max_tokens)
        calls.append(_calls("text", model, spec, 0, answer, seen))
    return calls


def _row_calls(spec: Spec, seen: Sequence[Seen]) -> _Calls:
    data = spec.data
    pairs, shape = data.pairs_of_a_call, _shape_of_rows(data)
    pair = Range(*PAIR_TOKENS)
    answer = (_written(data) * Range(pairs, pairs)).at_most(data.max_tokens)
    least = -(-data.examples // pairs)
    one = _calls(shape, data.teacher.model, spec, 0, answer, seen)
    asked = one.asked
    if data.strategy == "chain" and not _of(shape, seen):
        shown = min(data.feedback, max(0, (data.examples - 1) / 2))  # earlier pairs, on average
        asked += pair * Range(shown, min(data.feedback, data.examples))
    elif data.strategy == "plan" and not _of(shape, seen):
        asked += Range(*PLANNED_TOKENS) + _passage(data)
    return _Calls(one.model, Range(least, -(-least * REJECTED // 1)), asked, one.answered, one.seconds)


def _further_calls(spec: Spec, seen: Sequence[Seen]) -> list[_Calls]:
    """What is asked about pairs: harder ones, a judge's verdicts, further answers."""
    data, calls = spec.data, []
    pair, rows = Range(*PAIR_TOKENS), Range(data.examples, data.examples * REJECTED)
    shown = Range(*PLANNED_TOKENS) + _passage(data) + pair
    if data.strategy == "plan" and data.evolve:
        shape = _shape_of_rows(data)
        one = _calls(shape, data.teacher.model, spec, 0, _written(data).at_most(data.max_tokens), seen)
        share = Range(data.evolve, data.evolve)
        calls.append(replace(one, count=rows * share, asked=one.asked + shown))
    if data.judge is not None:
        model = data.judge.model or data.teacher.model
        one = _calls("verdict", model, spec, 0, Range(*VERDICT_TOKENS), seen)
        asked = one.asked if _of("verdict", seen) else one.asked + shown
        calls.append(replace(one, count=rows * Range(1, DOUBTED), asked=asked))
    if data.agreement:
        answered = pair.at_most(data.max_tokens) + Range(*thought_tokens(data.teacher.model, data.teacher))
        asked, count = Range(*MESSAGE_TOKENS) + pair, rows * Range(data.agreement, data.agreement)
        asked += _passage(data)
        calls.append(_Calls(data.teacher.model, count, asked, answered, _seconds(answered)))
    return calls


def _shape_of_rows(data: Data) -> Shape:
    return "pairs" if data.documents is None else "grounded"


def _passage(data: Data) -> Range:
    """Tokens of a passage, where rows rest on one."""
    return Range(0, 0) if data.documents is None else Range(*PASSAGE_TOKENS)


def _written(data: Data) -> Range:
    """Tokens of a pair as the teacher writes it, with its evidence."""
    pair = Range(*PAIR_TOKENS)
    return pair if data.documents is None else pair + Range(*EVIDENCE_TOKENS)


def _calls(shape: Shape, model: str, spec: Spec, more: int, answer: Range, seen: Sequence[Seen]) -> _Calls:
    """One call of a shape: by what was seen of it, else by the sizes of the texts. `more`: bytes asked."""
    found = _of(shape, seen)
    if found:
        spread = (
            Range(*SPREAD) if shape in ("pairs", "grounded") else Range(1, 1)
        )  # the others are paid for, and done
        asked = _mean([one.input_tokens for one in found])
        answered = _mean([one.output_tokens for one in found]) * spread
        return _Calls(model, Range(1, 1), asked, answered, _mean([one.seconds for one in found]) * spread)
    chain = shape == "pairs" and spec.data.strategy == "chain"
    size = ASKING_BYTES["chain" if chain else shape] + _bytes(spec.task) + more
    least, most = BYTES_PER_TOKEN
    asked = Range(size / least, size / most) + Range(*SCHEMA_TOKENS)
    answered = answer + Range(*thought_tokens(model, spec.data.teacher))
    return _Calls(model, Range(1, 1), asked, answered, _seconds(answered))


def _seconds(answered: Range) -> Range:
    return Range(*SECONDS_PER_CALL) + answered * Range(*SECONDS_PER_TOKEN)


def _of(shape: Shape, seen: Sequence[Seen]) -> list[Seen]:
    return [one for one in seen if one.shape == shape]


def _mean(values: Sequence[float]) -> Range:
    mean = sum(values) / len(values)
    return Range(mean, mean)


def _usd(first: Sequence[_Calls], later: Sequence[_Calls], data: Data) -> Range | None:
    total = Range(0, 0)
    priced = [(kind, find_price(kind.model, data.budget)) for kind in first]
    for kind, price in [*priced, *((kind, price_of_rows(kind.model, data)) for kind in later)]:
        if price is None:
            return None
        low = price.cost(kind.asked.low, kind.answered.low)
        total += kind.count * Range(low, price.cost(kind.asked.high, kind.answered.high))
    return total


def _minutes(first: Sequence[_Calls], later: Sequence[_Calls], tokens: Range, data: Data) -> Range:
    """The first calls, then the rows and what is asked about them: as many at a time as may be; and no faster
    than the request's own limits. Batches take what their endpoint takes: a day at the most for each kind of
    call, and for what is rejected one more.
    """
    if data.teacher.mode == "batch":
        return Range(*BATCH_MINUTES) * Range(len(later), len(later) + 1)
    together = data.teacher.max_concurrency if data.strategy == "plan" else 1
    turns = [
        Range(-(-kind.count.low // together), -(-kind.count.high // min(together, FEW))) * kind.seconds
        for kind in later
    ]
    begin = Range(
        max((kind.seconds.low for kind in first), default=0), sum(kind.seconds.high for kind in first)
    )
    seconds = begin + _sum(turns)
    calls, teacher = _sum(kind.count for kind in (*first, *later)), data.teacher
    floors = [Range(seconds.low / 60, seconds.high / 60)]
    if teacher.requests_per_minute:
        floors.append(calls * Range(1 / teacher.requests_per_minute, 1 / teacher.requests_per_minute))
    if teacher.tokens_per_minute:
        floors.append(tokens * Range(1 / teacher.tokens_per_minute, 1 / teacher.tokens_per_minute))
    return Range(max(floor.low for floor in floors), max(floor.high for floor in floors))


def _sum(ranges: Iterable[Range]) -> Range:
    return sum(ranges, Range(0, 0))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


@dataclass(frozen=True)
class TrainingUse:
    """What training takes: rows in a pass, optimizer steps in all, and tokens in all passes."""

    rows: int
    steps: int
    tokens: Range


def training_use(spec: Spec, seen: Sequence[Seen] = ()) -> TrainingUse | None:
    """What training takes on one device; None where the number of rows is not known before they are read."""
    data, training = spec.data, spec.training
    if not data.asks_teacher:
        return None
    rows = max(1, round(data.examples * (1 - data.split.test - data.split.validation)))
    batch = training.per_device_train_batch_size * training.gradient_accumulation_steps
    a_pass = -(-rows // batch)
    steps = -(-a_pass * training.num_train_epochs // 1)
    if training.max_steps > 0:
        steps = min(steps, training.max_steps) if steps else training.max_steps
    message = Range(*MESSAGE_TOKENS) + Range(10, 40)  # and the marks of the chat template
    found = _of(_shape_of_rows(data), seen)
    pairs = data.pairs_of_a_call
    pair = (
        _mean([one.output_tokens / pairs for one in found]) * Range(*SPREAD) if found else Range(*PAIR_TOKENS)
    )
    if found and data.documents is not None:  # evidence is not learnt, which is half of it at the most
        pair *= Range(0.5, 1)
    passes = steps / a_pass
    return TrainingUse(rows, int(steps), (message + pair) * Range(rows * passes, rows * passes))
