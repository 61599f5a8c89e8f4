"""The page in a real browser, at the widths of a desk and of a phone, in light and dark."""

import html as html_entities
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from reports import HOSTILE, answer, report

from tunesmith_jobs.evaluate.page import render

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# The page is put into a frame of the wanted width, since a window can't be as narrow as a phone. The frame's
# document is what is measured.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="f" style="border:0;width:{width}px;height:900px"></iframe>
<script>
const frame = document.getElementById('f');
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const scrolled = element => element.closest('.scroll') !== null;
  page.querySelectorAll('details').forEach(one => one.open = {open});
  const overflows = one => !scrolled(one) && one.getBoundingClientRect().right > {width} + 0.5;
  const wide = [...page.querySelectorAll('body *')].filter(overflows);
  const shown = [...page.querySelectorAll('svg.plot')].filter(one => one.getBoundingClientRect().width > 0);
  const size = one => parseFloat(getComputedStyle(one.querySelector('.tick')).fontSize);
  const scale = one => one.getBoundingClientRect().width / one.viewBox.baseVal.width;
  const text = shown.length ? size(shown[0]) * scale(shown[0]) : 0;
  const style = getComputedStyle(page.body);
  const result = {{inner: frame.contentWindow.innerWidth, scroll: root.scrollWidth,
    wide: wide.map(one => one.outerHTML.slice(0, 200)),
    plots: shown.length, tick: text, back: style.backgroundColor, ink: style.color}};
  document.title = JSON.stringify(result);
  document.body.dataset.result = JSON.stringify(result);
}};
frame.srcdoc = {page};
</script>"""


@pytest.fixture(scope="module", autouse=True)
def browser():
    if CHROMIUM is None:
        reason = "no chromium here (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def run_browser(page: Path, *flags: str) -> tuple[str, str]:
    """The document as it is after loading, and what the browser logged."""
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr


def measured(html: str, folder: Path, width: int, *flags: str, unfolded: bool = False) -> dict:
    """Sizes and colours of the page in a frame of `width` pixels."""
    page = folder / "frame.html"
    # The page's own policy would forbid the script that measures. JSON in a script must not end it.
    whole = json.dumps(POLICY.sub("", html)).replace("</", "<\\/")
    page.write_text(FRAME.format(width=width, page=whole, open=str(unfolded).lower()), encoding="utf-8")
    document, _ = run_browser(
        page, "--dump-dom", "--virtual-time-budget=5000", "--window-size=1400,1000", *flags
    )
    match = re.search(r'data-result="([^"]*)"', document)
    assert match, document[-1000:]
    return json.loads(html_entities.unescape(match[1]))


LONG = "Donaudampfschifffahrtsgesellschaft" * 30
ODD = report(
    task="请问，哪个字一年四季都不会凋零？" * 10,
    answers=(
        answer(1, prompt="أين طردي؟ " * 20, merged=LONG[:600], base=LONG, expected="x" * 400),
        answer(2, prompt=HOSTILE),
        *(answer(number) for number in range(3, 100)),
    ),
    run="r" * 63,
)


@pytest.mark.parametrize("unfolded", [False, True], ids=["as it opens", "all unfolded"])
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(width, unfolded, tmp_path):
    sizes = measured(render(ODD), tmp_path, width, unfolded=unfolded)
    assert sizes["inner"] == width
    assert (sizes["scroll"], sizes["wide"]) == (width, [])
    assert sizes["plots"] == 1, "one plot is drawn for each width, and one is shown"
    assert sizes["tick"] >= 10, "labels of the plot are too small to read"


def test_dark_is_dark(tmp_path):
    def brightness(colour: str) -> int:
        return sum(int(number) for number in re.findall(r"\d+", colour)[:3])

    light = measured(render(report()), tmp_path, 1280)
    dark = measured(render(report()), tmp_path, 1280, "--blink-settings=preferredColorScheme=0")
    assert brightness(light["back"]) > 600 > 300 > brightness(light["ink"])
    assert brightness(dark["back"]) < 150 < 500 < brightness(dark["ink"])


def test_it_connects_to_nothing_and_logs_no_error(tmp_path):
    page, log = tmp_path / "report.html", tmp_path / "net.json"
    page.write_text(render(ODD), encoding="utf-8")
    _, logged = run_browser(
        page, "--dump-dom", f"--log-net-log={log}", "--host-resolver-rules=MAP * ~NOTFOUND"
    )
    assert [line for line in logged.splitlines() if "CONSOLE" in line] == []
    urls = set(re.findall(r'"url":"((?:https?|wss?):[^"]*)"', log.read_text(encoding="utf-8")))
    of_browser = {url for url in urls if "google" in url or "gstatic" in url}
    assert urls - of_browser == set()
