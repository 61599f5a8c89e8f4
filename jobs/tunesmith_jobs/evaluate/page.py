"""Renders report.html: one self-contained page. The template has the words, report.css the looks.

Everything from the dataset and from the models is untrusted: the template escapes it, and the page's policy
forbids scripts and every connection, so that even a mistake here could fetch or run nothing.
"""

import importlib.resources
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

import jinja2
from markupsafe import Markup
from pydantic import JsonValue

from tunesmith.metrics import Unit
from tunesmith_jobs.evaluate import charts
from tunesmith_jobs.evaluate.metrics import METRICS
from tunesmith_jobs.evaluate.report import Figure, Report

_DIVERSITY = {
    "distinct1": "distinct words",
    "distinct2": "distinct pairs of words",
    "distinct3": "distinct triples of words",
    "unique": "unique texts",
}
_WIDTHS = {"wide": (920, 300), "narrow": (340, 250)}


def render(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tunesmith_jobs.evaluate", "."),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,  # what an earlier stage did not report is left out
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": share,
        "loss": lambda value: f"{value:.3f}",
        "duration": duration,
        "size": size,
        "moment": moment,
        "value": setting_value,
        "words": words,
        "amount": amount,
        "gain_in_words": gain_in_words,
    }
    css = (
        importlib.resources.files("tunesmith_jobs.evaluate")
        .joinpath("report.css")
        .read_text(encoding="utf-8")
    )
    return environment.get_template("report.html.jinja").render(
        report=report,
        css=Markup(css),  # noqa: S704 - our own file
        plots=loss_plots(report),
        intervals={figure.metric: _interval(figure) for figure in report.figures},
        metrics=METRICS,
        diversity_names=_DIVERSITY,
        coverage=coverage(report.data),
        ask=f"tunesmith infer {shlex.quote(report.run)} {shlex.quote(_prompt(report))} --compare",
        serve=f"vllm serve DIR/model --served-model-name {shlex.quote(report.name)}",
    )


def loss_plots(report: Report) -> dict[str, Markup]:
    """The loss curve in each width, empty without a history."""
    lines = (
        charts.Series("train", "train", points(report.curve, "loss")),
        charts.Series("validation", "validation", points(report.curve, "evalLoss")),
    )
    series = [line for line in lines if line.points]
    if not series:
        return {}
    courses = (f"{line.name} from {line.points[0][1]:.3f} to {line.points[-1][1]:.3f}" for line in series)
    title = "Loss while training: " + "; ".join(courses)
    return {
        name: charts.lines(
            series, width=width, height=height, x_label="step", y_label="loss, nats per token", title=title
        )
        for name, (width, height) in _WIDTHS.items()
    }


def points(entries: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """(step, value) of the entries that have a value of this name."""
    return [(entry["step"], entry[name]) for entry in entries if name in entry and "step" in entry]


def _interval(figure: Figure) -> Markup:
    gain, low, high = figure.gain, figure.low, figure.high
    if low is None or high is None:
        return Markup("")
    return charts.interval(gain, low, high, title=f"gain {gain:.3g}, between {low:.3g} and {high:.3g}")


def _prompt(report: Report) -> str:
    """A prompt for the example command: the first short one."""
    prompts = (answer.prompt for answer in report.answers)
    short = (prompt for prompt in prompts if len(prompt) <= 120 and "\n" not in prompt)
    return next(short, "your prompt")


def coverage(data: Mapping[str, JsonValue]) -> list[tuple[str, list[tuple[str, int, float]]]]:
    """For each axis of the plan: its values with rows, and their share of the most frequent one."""
    axes = data.get("coverage")
    if not isinstance(axes, Mapping):
        return []
    covered = []
    for axis, facts in axes.items():
        values = facts.get("values") if isinstance(facts, Mapping) else None
        if not isinstance(values, Mapping):
            continue
        counts = [(name, int(count)) for name, count in values.items() if isinstance(count, int | float)]
        if counts:
            most = max(count for _, count in counts) or 1
            covered.append((str(axis), [(name, count, count / most) for name, count in counts]))
    return covered


def share(value: float) -> str:
    """A share in percent; 99.6 % is not 100 %."""
    percent = 100 * value
    rounded = round(percent)
    exact = abs(percent - rounded) < 1e-9
    return f"{rounded}\u00a0%" if exact or 0.5 < percent < 99.5 else f"{percent:.1f}\u00a0%"


def amount(value: float, unit: Unit) -> str:
    """A figure of one model."""
    return share(value) if unit == "share" else f"{value:.3f}"


def gain_in_words(figure: Figure) -> str:
    """By how much a figure got better, and the interval of that."""
    metric = METRICS[figure.metric]
    unit = metric.kind.unit
    verb = "gain" if metric.higher_is_better else "fell by"
    points = " points" if unit == "share" else ""
    gained = f"{verb} {_difference(figure.gain, unit)}{points}"
    if figure.low is None or figure.high is None:
        return f"{gained} (no interval)"
    return f"{gained} (95 % interval {_difference(figure.low, unit)} to {_difference(figure.high, unit)})"


def _difference(value: float, unit: Unit) -> str:
    """A gain, or an end of its interval; a share in percentage points with a sign."""
    if unit != "share":
        return f"{value:.3f}"
    points = round(100 * value)
    return f"{points:+d}" if points else "0"


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def moment(time: datetime | None) -> str:
    """A time in UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "now"


def setting_value(value: JsonValue) -> str:
    """A setting as a request writes it."""
    if isinstance(value, dict):
        value = {name: member for name, member in value.items() if member is not None}
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def words(name: str) -> str:
    """`compressionRatio` as `compression ratio`."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
