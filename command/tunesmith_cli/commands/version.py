"""`version`: of the command line, of what runs the stages here, and of what runs on the cluster."""

import json
import os
import platform
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith import __version__
from tunesmith.errors import ExitCode, TunesmithError
from tunesmith_cli.commands.options import AsJson, AsOutput, Output
from tunesmith_cli.commands.place import Where, on_any_namespace
from tunesmith_cli.commands.terminal import tell

_LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "openai", "boto3")
_SECONDS = 5.0  # for all that is asked of a cluster; one that is away is no reason to wait


def print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    """The callback of --version."""
    if wanted:
        print(f"tunesmith {__version__}")
        raise typer.Exit


@on_any_namespace
def version(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    *,
    where: Where,
    client: Annotated[
        bool,
        typer.Option("--client", help="Only this command line: no cluster is asked, no library looked up."),
    ] = False,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Versions of Tunesmith, of its formats, of what runs the stages here, and of the cluster's controller where one can be asked."""
    libraries = {} if client else _libraries()
    cluster = None if client else _cluster(where)
    if as_json or output is Output.JSON:
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
        print(json.dumps(document, indent=1))
    else:
        print(
            f"tunesmith {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})"
        )
        print(
            "".join(f"  {name} {number or 'not installed'}\n" for name, number in libraries.items()), end=""
        )
        if cluster:
            _print_cluster(cluster)
    for warning in cluster["warnings"] if cluster else ():
        tell(f"warning: {warning}")
    return ExitCode.DONE


def _libraries() -> dict[str, str | None]:
    import importlib.metadata

    found: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _cluster(where: Where) -> dict[str, Any] | None:
    """What the cluster says; None where there is no kubeconfig, or no client for it."""
    named = where.kubeconfig or where.context
    place = where.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not named and not any(Path(part).is_file() for part in place.split(os.pathsep)):
        return None  # said without the Kubernetes client, which takes a second to load
    from tunesmith_cli.cluster.release import release

    try:
        api = where.api()
    except TunesmithError:
        if named:
            raise
        return None
    found: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: found.append(release(api)), daemon=True)
    asking.start()
    asking.join(_SECONDS)
    return found[0] if found else {"server": api.server, "warnings": [f"{api.server} does not answer"]}


def _print_cluster(cluster: dict[str, Any]) -> None:
    print(f"cluster {cluster['server']}")
    if "controller" in cluster:
        controller = cluster["controller"]
        print(
            f"  controller {controller['version']} in namespace {controller['namespace']}, image {controller['image']}"
        )
        print(f"  CustomResourceDefinition {cluster['crd']['version']}")
        print("".join(f"  {stage} {image}\n" for stage, image in (cluster["images"] or {}).items()), end="")
