"""report.html: one page that needs nothing but itself. The template does the words, report.css the looks.

Everything from the data set and from the models is untrusted: the template escapes it, and the page's policy forbids scripts and
every connection, so that even a mistake here could fetch or run nothing.
"""

import importlib.resources
import json
import shlex
from collections.abc import Mapping
from datetime import datetime

import jinja2
from markupsafe import Markup
from pydantic import JsonValue

from tunesmith_jobs.evaluate import charts
from tunesmith_jobs.evaluate.report import Report, points

_NAMES = {"loss": "Loss on the test rows", "exactMatch": "Exactly right", "formatValid": "In the wanted form"}
_HELP = {
    "loss": "nats per token of the expected answers; lower is better",
    "exactMatch": "share of the answers that equal the expected one, blanks around it aside",
    "formatValid": "share of the answers that meet evaluation.format",
}
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
        "figure": lambda value, metric: f"{value:.3f}" if metric == "loss" else share(value),
        "difference": difference,
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
        intervals={one.metric: _interval(one.gain, one.low, one.high) for one in report.figures},
        names=_NAMES,
        help=_HELP,
        diversity_names=_DIVERSITY,
        coverage=coverage(report.data),
        ask=f"tunesmith infer {shlex.quote(report.run)} {shlex.quote(_prompt(report))} --compare",
        serve=f"vllm serve DIR/model --served-model-name {shlex.quote(report.name)}",
    )


def loss_plots(report: Report) -> dict[str, Markup]:
    """The loss curve in each width, empty without a history."""
    series = [
        charts.Series(name, style, found)
        for name, style, key in (("train", "train", "loss"), ("validation", "validation", "evalLoss"))
        if (found := points(report.curve, key))
    ]
    if not series:
        return {}
    title = "Loss while training: " + "; ".join(
        f"{one.name} from {one.points[0][1]:.3f} to {one.points[-1][1]:.3f}" for one in series
    )
    return {
        name: charts.lines(
            series, width=width, height=height, x_label="step", y_label="loss, nats per token", title=title
        )
        for name, (width, height) in _WIDTHS.items()
    }


def _interval(value: float, low: float | None, high: float | None) -> Markup:
    if low is None or high is None:
        return Markup("")
    return charts.interval(value, low, high, title=f"gain {value:.3g}, between {low:.3g} and {high:.3g}")


def _prompt(report: Report) -> str:
    """A prompt for the example command: the first short one."""
    prompts = [
        answer.prompt for answer in report.answers if len(answer.prompt) <= 120 and "\n" not in answer.prompt
    ]
    return prompts[0] if prompts else "your prompt"


def coverage(data: Mapping[str, JsonValue]) -> list[tuple[str, list[tuple[str, int, float]]]]:
    """For each axis of the plan: its values with rows, and their share of the most frequent one."""
    axes = data.get("coverage")
    found = []
    for axis, facts in (axes if isinstance(axes, Mapping) else {}).items():
        values = facts.get("values") if isinstance(facts, Mapping) else None
        counts = (
            [(name, int(count)) for name, count in values.items() if isinstance(count, int | float)]
            if isinstance(values, Mapping)
            else []
        )
        if counts:
            most = max(count for _, count in counts) or 1
            found.append((str(axis), [(name, count, count / most) for name, count in counts]))
    return found


def share(value: float) -> str:
    """A share in percent; 99.6 % is not 100 %."""
    percent = 100 * value
    rounded = round(percent)
    exact = abs(percent - rounded) < 1e-9
    return f"{rounded}\u00a0%" if exact or 0.5 < percent < 99.5 else f"{percent:.1f}\u00a0%"


def difference(value: float, metric: str) -> str:
    """A gain, or an end of its interval: in nats per token, or in percentage points with a sign."""
    if metric == "loss":
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
