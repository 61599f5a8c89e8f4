"""Where a command works: on this machine's store, or on a cluster. One rule, and the options that all commands of a cluster share.

A command means the cluster when it is called as `kubectl tunesmith`, or when --cluster, -n, -A, --context or --kubeconfig is given;
otherwise it means the store of this machine. `submit`, `suspend`, `resume`, `delete`, `wait` and `events` are the cluster's alone.
Nothing is looked up in both places.
"""

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import TunesmithError, Usage

if TYPE_CHECKING:
    from tunesmith_cli.cluster.api import Api

PLUGIN = "kubectl tunesmith"
RULE = "The cluster is meant with --cluster, -n, --context or --kubeconfig, or as `kubectl tunesmith`; else this machine's store."
_COMPLETION_SECONDS = 2.0


@dataclass(frozen=True)
class Where:
    """What the command line says about the place. `program`: how the command was called."""

    program: str = "tunesmith"
    namespace: str = ""
    everywhere: bool = False
    context: str = ""
    kubeconfig: str = ""
    said: bool = False  # --cluster
    _api: "list[Api]" = field(default_factory=list)

    @property
    def cluster(self) -> bool:
        """Whether the cluster is meant."""
        return bool(
            self.program == PLUGIN
            or self.said
            or self.namespace
            or self.everywhere
            or self.context
            or self.kubeconfig
        )

    def api(self) -> "Api":
        """The connection, made once."""
        from tunesmith_cli.cluster.api import connect

        if not self._api:
            self._api.append(connect(self.kubeconfig, self.context))
        return self._api[0]

    def here(self) -> str:
        """The namespace that is meant: -n, else that of the kubeconfig's context."""
        return self.namespace or self.api().namespace

    def command(self, *words: str, namespace: str = "") -> str:
        """A command for the same place, for people to type."""
        more = ["-n", namespace or self.here()]
        more += ["--context", self.context] if self.context else []
        more += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return f"{self.program} {shlex.join([*words, *more])}"


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "namespace": (
        Annotated[
            str,
            typer.Option(
                "-n",
                "--namespace",
                metavar="NAME",
                help="Namespace on the cluster. Built-in: that of the kubeconfig's context.",
                show_default=False,
            ),
        ],
        "",
    ),
    "kube_context": (
        Annotated[
            str,
            typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.", show_default=False),
        ],
        "",
    ),
    "kubeconfig": (
        Annotated[
            str,
            typer.Option(
                "--kubeconfig",
                metavar="FILE",
                help="Kubeconfig. Built-in: as kubectl finds it.",
                show_default=False,
            ),
        ],
        "",
    ),
}
_CLUSTER: tuple[Any, Any] = (
    Annotated[
        bool, typer.Option("--cluster", help="The cluster of the kubeconfig, not this machine's store.")
    ],
    False,
)
_EVERYWHERE: tuple[Any, Any] = (
    Annotated[bool, typer.Option("-A", "--all-namespaces", help="All namespaces of the cluster.")],
    False,
)


def on_cluster(function: Callable[..., int]) -> Callable[..., int]:
    """A command of the cluster alone: its `where` is made from -n, --context and --kubeconfig."""
    return _with_options(function, _OPTIONS)


def on_any_namespace(function: Callable[..., int]) -> Callable[..., int]:
    """A command of the cluster as a whole: --context and --kubeconfig."""
    return _with_options(function, {name: option for name, option in _OPTIONS.items() if name != "namespace"})


def either(function: Callable[..., int]) -> Callable[..., int]:
    """A command of both places: --cluster beside the others."""
    return _with_options(function, {"said": _CLUSTER, **_OPTIONS})


def either_everywhere(function: Callable[..., int]) -> Callable[..., int]:
    """A command of both places, and of all namespaces."""
    return _with_options(function, {"said": _CLUSTER, "everywhere": _EVERYWHERE, **_OPTIONS})


def _with_options(function: Callable[..., int], options: dict[str, tuple[Any, Any]]) -> Callable[..., int]:
    def command(**given: Any) -> int:
        context = given["context"]
        said = {name: given.pop(name) for name in options}
        where = Where(
            program=context.find_root().info_name or "tunesmith",
            namespace=said.get("namespace", ""),
            everywhere=said.get("everywhere", False),
            context=said["kube_context"],
            kubeconfig=said["kubeconfig"],
            said=said.get("said", True),
        )
        if where.cluster and _from_command_line(context, "store"):
            raise Usage(
                "--store names a store of this machine, and the cluster is meant",
                remedy="leave out one of them",
            )
        return function(**given, where=where)

    kept = [
        parameter for name, parameter in inspect.signature(function).parameters.items() if name != "where"
    ]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in options.items()
    ]
    # typer reads a command's options from here.
    command.__signature__ = inspect.Signature([*kept, *more])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *more]}
    command.__name__, command.__doc__, command.__module__ = (
        function.__name__,
        _doc(function, options),
        function.__module__,
    )
    return command


def _doc(function: Callable[..., int], options: Mapping[str, tuple[Any, Any]]) -> str:
    """The help, with the rule for a command of both places."""
    text = inspect.cleandoc(function.__doc__ or "")
    return f"{text}\n\n{RULE}" if "said" in options else text


def _from_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def request_names(context: typer.Context, incomplete: str) -> Sequence[str]:
    """Names of the requests of the namespace, for completion: within two seconds, or none."""
    from tunesmith_cli.cluster.requests import names

    where = where_of(context)
    try:
        return sorted(
            name
            for name in names(where.api(), where.here(), seconds=_COMPLETION_SECONDS)
            if name.startswith(incomplete)
        )
    except (TunesmithError, OSError, ValueError):
        return []


def where_of(context: typer.Context) -> Where:
    """The place that a half-typed command means so far."""
    said = context.params
    return Where(
        program=context.find_root().info_name or "tunesmith",
        namespace=said.get("namespace") or "",
        everywhere=bool(said.get("everywhere")),
        context=said.get("kube_context") or "",
        kubeconfig=said.get("kubeconfig") or "",
        said=bool(said.get("said")),
    )


RequestName = Annotated[
    str, typer.Argument(metavar="NAME", help="The request's name.", autocompletion=request_names)
]
