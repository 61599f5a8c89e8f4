"""What a command is about: this machine's store, or a cluster. One rule, and the options that all commands
for a cluster share.

A command is about the cluster when it is called as `kubectl tunesmith`, or when --cluster, -n, -A, --context
or --kubeconfig is given; otherwise it is about the store of this machine. `submit`, `suspend`, `resume`,
`delete`, `wait` and `events` are always about the cluster. Nothing is looked up in both.
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
RULE = (
    "Works on the cluster with --cluster, -n, --context or --kubeconfig, or as `kubectl tunesmith`; "
    "otherwise on this machine's store."
)
_COMPLETION_SECONDS = 2.0


@dataclass(frozen=True)
class Target:
    """What the command line says it is about. `program`: how the command was called."""

    program: str = "tunesmith"
    given_namespace: str = ""
    all_namespaces: bool = False
    context: str = ""
    kubeconfig: str = ""
    cluster_option: bool = False
    _api: "list[Api]" = field(default_factory=list)

    @property
    def cluster(self) -> bool:
        """Whether it is the cluster."""
        return bool(
            self.program == PLUGIN
            or self.cluster_option
            or self.given_namespace
            or self.all_namespaces
            or self.context
            or self.kubeconfig
        )

    def api(self) -> "Api":
        """The connection, made once."""
        from tunesmith_cli.cluster.api import connect

        if not self._api:
            self._api.append(connect(self.kubeconfig, self.context))
        return self._api[0]

    def namespace(self) -> str:
        """The namespace: -n, else that of the kubeconfig's context."""
        return self.given_namespace or self.api().namespace

    def command(self, *words: str, namespace: str = "") -> str:
        """A command for the same cluster, for people to type."""
        more = ["-n", namespace or self.namespace()]
        more += ["--context", self.context] if self.context else []
        more += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return f"{self.program} {shlex.join([*words, *more])}"


Option = tuple[Any, Any]  # its annotation, and its built-in value

_NAMESPACE: Option = (
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
)
_CONTEXT: Option = (
    Annotated[
        str,
        typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.", show_default=False),
    ],
    "",
)
_KUBECONFIG: Option = (
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
)
_CLUSTER: Option = (
    Annotated[
        bool,
        typer.Option("--cluster", help="Use the cluster of the kubeconfig, not this machine's store."),
    ],
    False,
)
_ALL_NAMESPACES: Option = (
    Annotated[bool, typer.Option("-A", "--all-namespaces", help="All namespaces of the cluster.")],
    False,
)
_ANY_NAMESPACE: Mapping[str, Option] = {"kube_context": _CONTEXT, "kubeconfig": _KUBECONFIG}
_ON_CLUSTER: Mapping[str, Option] = {"namespace": _NAMESPACE, **_ANY_NAMESPACE}
_EITHER: Mapping[str, Option] = {"cluster_option": _CLUSTER, **_ON_CLUSTER}
_EITHER_EVERYWHERE: Mapping[str, Option] = {
    "cluster_option": _CLUSTER,
    "all_namespaces": _ALL_NAMESPACES,
    **_ON_CLUSTER,
}


def on_cluster(function: Callable[..., int]) -> Callable[..., int]:
    """A command that is always about the cluster: -n, --context and --kubeconfig make its `target`."""
    return _with_options(function, _ON_CLUSTER)


def on_any_namespace(function: Callable[..., int]) -> Callable[..., int]:
    """A command about the cluster as a whole: --context and --kubeconfig."""
    return _with_options(function, _ANY_NAMESPACE)


def either(function: Callable[..., int]) -> Callable[..., int]:
    """A command about this machine or the cluster: --cluster in addition to the others."""
    return _with_options(function, _EITHER)


def either_everywhere(function: Callable[..., int]) -> Callable[..., int]:
    """A command about this machine or the cluster, which also knows -A."""
    return _with_options(function, _EITHER_EVERYWHERE)


def _with_options(function: Callable[..., int], options: Mapping[str, Option]) -> Callable[..., int]:
    def command(**given: Any) -> int:
        context = given["context"]
        values = {"cluster_option": True} | {name: given.pop(name) for name in options}
        target = _target(context, values)
        if target.cluster and _from_command_line(context, "store"):
            raise Usage(
                "--store names a store of this machine, and the command is about the cluster",
                remedy="leave out one of them",
            )
        return function(**given, target=target)

    kept = [
        parameter for name, parameter in inspect.signature(function).parameters.items() if name != "target"
    ]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in options.items()
    ]
    # typer reads a command's options from here.
    command.__signature__ = inspect.Signature([*kept, *more])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *more]}
    command.__name__ = function.__name__
    command.__doc__ = _help(function, options)
    command.__module__ = function.__module__
    return command


def _help(function: Callable[..., int], options: Mapping[str, Option]) -> str:
    """The help of a command, with the rule where it has one to follow."""
    text = inspect.cleandoc(function.__doc__ or "")
    return f"{text}\n\n{RULE}" if "cluster_option" in options else text


def _from_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def request_names(context: typer.Context, incomplete: str) -> Sequence[str]:
    """Names of the requests of the namespace, for completion: within two seconds, or none."""
    from tunesmith_cli.cluster.requests import names

    target = target_of(context)
    try:
        known = names(target.api(), target.namespace(), seconds=_COMPLETION_SECONDS)
    except (TunesmithError, OSError, ValueError):
        return []
    return sorted(name for name in known if name.startswith(incomplete))


def target_of(context: typer.Context) -> Target:
    """What a command is about, as far as it is typed."""
    return _target(context, context.params)


def _target(context: typer.Context, values: Mapping[str, Any]) -> Target:
    return Target(
        program=context.find_root().info_name or "tunesmith",
        given_namespace=values.get("namespace") or "",
        all_namespaces=bool(values.get("all_namespaces")),
        context=values.get("kube_context") or "",
        kubeconfig=values.get("kubeconfig") or "",
        cluster_option=bool(values.get("cluster_option")),
    )


RequestName = Annotated[
    str, typer.Argument(metavar="NAME", help="The request's name.", autocompletion=request_names)
]
