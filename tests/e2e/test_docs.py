"""The commands of the pages, as a reader types them into a shell, one after another.

The tutorial's `sh` blocks run in order, except for two lines: `helm install`, which the fixture has done with
the images of this checkout, and `helm uninstall`, since other tests use the release. On other pages those
blocks run that have `<!-- run -->` above them. NAME is the quickstart; a finished one is used as it is, so
these tests are quick after tests/e2e/test_quickstart.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster.programs import program
from e2e.release import ROOT

TUTORIAL = "docs/tutorial/on-kubernetes.md"
PAGES = {
    "docs/how-to/operations.md": "default",
    "docs/how-to/platform.md": "docs",
    "docs/explanation/security.md": "docs",
}  # -> namespace
LEFT_OUT = ("helm install ", "helm uninstall ")
NAMESPACE = "docs"
SECONDS = 1300  # a whole quickstart on a loaded machine, and the time limits of the lines themselves
SH = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKED = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines(page: str, pattern: re.Pattern[str]) -> list[str]:
    blocks = pattern.findall((ROOT / page).read_text(encoding="utf-8"))
    return [
        line
        for block in blocks
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
        if line and not line.startswith("#")
    ]


STEPS = [line for line in lines(TUTORIAL, SH) if not line.startswith(LEFT_OUT)]
OTHERS = [(page, line) for page in PAGES for line in lines(page, MARKED)]


class Shell:
    """A reader's shell: kubectl, helm, the plugin, examples/ and helm/, but no keys of the store."""

    def __init__(self, tryout, folder: Path) -> None:
        self.folder, self.kubeconfig = folder, folder / "kubeconfig"
        programs = folder / "bin"
        programs.mkdir()
        for name in ("kubectl", "helm"):
            path = program(name) if program(name).exists() else shutil.which(name)
            assert path, f"no {name}"
            (programs / name).symlink_to(path)
        for name in ("tunesmith", "kubectl-tunesmith"):
            (programs / name).symlink_to(Path(sys.executable).parent / name)
        for name in ("examples", "helm"):
            (folder / name).symlink_to(ROOT / name)
        shutil.copy(tryout.cluster.kubeconfig, self.kubeconfig)
        self.kubeconfig.chmod(0o600)
        self.env = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": str(self.kubeconfig),
            "NO_COLOR": "1",
            "LANG": os.environ.get("LANG", "C.UTF-8"),
        }

    def __call__(self, line: str, namespace: str = "default", *, check: bool = True) -> str:
        self._run(f"kubectl config set-context --current --namespace {namespace}")
        done = self._run(line)
        assert not check or done.returncode == 0, (
            f"$ {line}\nexit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def _run(self, line: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-eu", "-o", "pipefail", "-c", line]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def shell(tryout, tmp_path_factory):
    """The shell, and an empty namespace for what a page makes."""
    made = Shell(tryout, tmp_path_factory.mktemp("reader"))
    made(f"kubectl create namespace {NAMESPACE}", check=False)
    yield made
    made(f"kubectl delete namespace {NAMESPACE} --wait=false", check=False)


@pytest.fixture(scope="module")
def quickstart(tryout, shell):
    """The quickstart, finished: the one that is there, or a new one if it is not complete."""
    seen = shell("kubectl get treq quickstart -o jsonpath='{.status.phase}'", check=False)
    if seen not in ("Succeeded", "Pending", "Running", "Queued"):
        shell("kubectl delete treq quickstart --ignore-not-found --wait")
    shell("kubectl apply -f examples/quickstart.yaml")
    shell("kubectl tunesmith wait quickstart --timeout 20m")
    return "quickstart"


def test_the_pages_have_lines_to_run():
    assert len(STEPS) >= 12
    assert {page for page, _ in OTHERS} == set(PAGES)


@pytest.mark.timeout(1400)
@pytest.mark.parametrize(
    ("page", "line"), OTHERS, ids=[f"{Path(page).stem}: {line[:60]}" for page, line in OTHERS]
)
def test_a_marked_line_of_a_page_works(shell, quickstart, page, line):
    made = re.match(r"kubectl create (secret generic|serviceaccount|role|rolebinding) (\S+)", line)
    if made:  # left from an earlier session of tests
        shell(f"kubectl delete {made[1].split()[0]} {made[2]} --ignore-not-found", PAGES[page])
    shell(re.sub(r"(?<= )NAME(?= |$)", quickstart, line), PAGES[page])


def test_the_role_of_the_security_page_may_write_requests_and_read_no_secret(shell, quickstart):
    who = f"--as=somebody --as-group=researchers --namespace {NAMESPACE}"
    assert shell(f"kubectl auth can-i create trainingrequests.tunesmith.dev {who}").startswith("yes")
    assert shell(f"kubectl auth can-i get secrets {who}", check=False).startswith("no")
    assert shell(f"kubectl auth can-i create pods {who}", check=False).startswith("no")


@pytest.fixture
def secrets_of_all_profiles(shell):
    """`helm test` asks for every Secret of a profile; other tests create those of tests/e2e/values.yaml."""
    shell("kubectl create secret generic e2e-teacher --from-literal=apiKey=x", check=False)
    shell(
        "kubectl create secret generic e2e-store "
        "--from-literal=AWS_ACCESS_KEY_ID=x --from-literal=AWS_SECRET_ACCESS_KEY=x",
        check=False,
    )


SAID = {  # what a line must print, in addition to ending with 0
    "kubectl get treq quickstart": "quickstart",
    "kubectl tunesmith wait quickstart --timeout 20m": "quickstart is complete",
    "kubectl describe treq quickstart": "Evaluated",
    "kubectl tunesmith report quickstart": "exact match",
    "kubectl tunesmith suspend quickstart": "suspend",
    "kubectl tunesmith wait quickstart --timeout 10m": "quickstart is complete",
    "kubectl tunesmith delete quickstart --data --yes": "removed",
}


def test_what_lines_must_say_is_asked_of_lines_that_are_there():
    assert [line for line in SAID if line not in STEPS] == []


@pytest.mark.timeout(1400)
@pytest.mark.parametrize("line", STEPS)
def test_the_tutorial_step_by_step(request, shell, quickstart, line):
    """In the page's order; a step that fails makes the later ones fail too."""
    if line.startswith("helm test "):
        request.getfixturevalue("secrets_of_all_profiles")
    printed = shell(line)
    assert SAID.get(line, "") in printed, printed
    if " fetch " in line:
        assert list((shell.folder / "quickstart").rglob("model*.safetensors")), "no model was fetched"
