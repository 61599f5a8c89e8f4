"""`version`: of the command line, of the libraries of this machine, and of what runs on the cluster."""

import platform
import threading
from typing import Annotated, Any

import typer

from tunesmith import __version__
from tunesmith.errors import ExitCode, TunesmithError
from tunesmith_cli.commands.options import AsJson, AsOutput, Output
from tunesmith_cli.commands.target import Target, on_any_namespace
from tunesmith_cli.commands.terminal import say, say_json, tell

_LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "openai", "boto3")
_SECONDS = 5.0  # for everything that is asked of a cluster: one that is away must not hold up the answer


def print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    """The callback of --version."""
    if wanted:
        say(f"tunesmith {__version__}")
        raise typer.Exit


@on_any_namespace
def version(
    context: typer.Context,  # noqa: ARG001 - `target` is made from it
    *,
    target: Target,
    client: Annotated[
        bool,
        typer.Option("--client", help="Only this command line: no cluster is asked, no library looked up."),
    ] = False,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Print the versions of Tunesmith, of its formats, of this machine's libraries, and of the cluster's
    controller if it answers.
    """
    libraries = {} if client else _libraries()
    cluster = None if client else _cluster(target)
    if as_json or output is Output.JSON:
        _print_json(libraries, cluster)
    else:
        _print_text(libraries, cluster)
    for warning in cluster["warnings"] if cluster else ():
        tell(f"warning: {warning}")
    return ExitCode.DONE


def _libraries() -> dict[str, str | None]:
    import importlib.metadata

    versions: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _cluster(target: Target) -> dict[str, Any] | None:
    """What the cluster says; None if there is no kubeconfig, or the Kubernetes client is not installed."""
    from tunesmith_cli.cluster.kubeconfig import is_there

    named = target.kubeconfig or target.context
    if not named and not is_there(target.kubeconfig):
        return None  # found out without the Kubernetes client, which takes a second to load
    from tunesmith_cli.cluster.release import release

    try:
        api = target.api()
    except TunesmithError:
        if named:
            raise
        return None
    answers: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: answers.append(release(api)), daemon=True)
    asking.start()
    asking.join(_SECONDS)
    if not answers:
        return {"server": api.server, "warnings": [f"{api.server} does not answer"]}
    return answers[0]


def _print_json(libraries: dict[str, str | None], cluster: dict[str, Any] | None) -> None:
    from tunesmith.stages import STAGES
    from tunesmith.wire import API_VERSION

    document = {
        "format": 1,
        "tunesmith": __version__,
        "apiVersion": API_VERSION,
        "stageFormats": {name: kind.format for name, kind in STAGES.items()},
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "libraries": libraries,
        "cluster": cluster,
    }
    say_json(document)


def _print_text(libraries: dict[str, str | None], cluster: dict[str, Any] | None) -> None:
    system = f"{platform.system()} {platform.machine()}"
    lines = [f"tunesmith {__version__} (Python {platform.python_version()}, {system})"]
    lines += [f"  {name} {number or 'not installed'}" for name, number in libraries.items()]
    if cluster:
        lines.append(f"cluster {cluster['server']}")
    if cluster and "controller" in cluster:
        controller = cluster["controller"]
        lines.append(
            f"  controller {controller['version']} in namespace {controller['namespace']}, "
            f"image {controller['image']}"
        )
        lines.append(f"  CustomResourceDefinition {cluster['crd']['version']}")
        lines += [f"  {stage} {image}" for stage, image in (cluster["images"] or {}).items()]
    say("\n".join(lines))
