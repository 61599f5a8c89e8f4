"""Calls to the API server: plain JSON in and out, through the official client, which can log in."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import tunesmith
from tunesmith.errors import BadRequest, Refused, TryAgain, Usage
from tunesmith_cli.cluster.faults import fault
from tunesmith_cli.cluster.kubeconfig import is_there, kubeconfig_path

Object = dict[str, Any]
Query = Sequence[tuple[str, str]]

FIELD_MANAGER = "tunesmith"
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_LATE = 1.1  # times that a watch may last, before a silent server is taken for dead
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Api:
    """An API server, as one user."""

    def __init__(self, client: Any, namespace: str) -> None:
        self.client = client
        self.namespace = namespace  # of the kubeconfig's context
        self.server = str(client.configuration.host)

    def get(
        self, path: str, query: Query = (), *, table: bool = False, seconds: float = _ANSWER_SECONDS
    ) -> Object:
        """Get an object or a list; with `table` as the server prints it for kubectl."""
        return self._json("GET", path, query, accept=_TABLE if table else "application/json", seconds=seconds)

    def create(self, path: str, body: Mapping[str, Any], query: Query = ()) -> Object:
        """Create an object in a collection."""
        return self._json("POST", path, query, body=body)

    def merge(self, path: str, body: Mapping[str, Any], query: Query = ()) -> Object:
        """Send a merge patch."""
        query = [("fieldManager", FIELD_MANAGER), *query]
        return self._json("PATCH", path, query, body=body, content=_MERGE)

    def apply(self, path: str, body: Mapping[str, Any], query: Query = ()) -> Object:
        """Apply an object (server-side apply)."""
        query = [("fieldManager", FIELD_MANAGER), *query]
        return self._json("PATCH", path, query, body=json.dumps(body), content=_APPLY)

    def delete(self, path: str, body: Mapping[str, Any], query: Query = ()) -> Object:
        """Delete an object; `body`: the options."""
        return self._json("DELETE", path, query, body=body)

    def lines(self, path: str, query: Query = (), *, seconds: float | None = None) -> Iterator[bytes]:
        """Lines of a long answer (a log, a watch) as they come, without their ends.

        `seconds`: the longest time without a byte.
        """
        import urllib3

        connect = min(_CONNECT_SECONDS, seconds or _CONNECT_SECONDS)
        answer = self._answer("GET", path, query, timeout=(connect, seconds))
        rest = b""
        with closing(answer):
            try:
                for data in answer.stream(1 << 16, decode_content=True):
                    *whole, rest = (rest + data).split(b"\n")
                    yield from whole
            except urllib3.exceptions.HTTPError:
                return  # broken off: the caller asks again
            if rest:
                yield rest

    def watch(self, path: str, query: Query, version: str, seconds: float) -> Iterator[Object]:
        """Events of a watch from a resourceVersion on, for some seconds or until the server ends it."""
        more = [
            ("watch", "1"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "1"),
            ("timeoutSeconds", str(math.ceil(seconds))),
        ]
        for line in self.lines(path, [*query, *more], seconds=seconds * _LATE):
            if line.strip():
                try:
                    event = json.loads(line)
                except (ValueError, RecursionError):
                    return  # broken off in the middle of it, or not to be read: the caller asks again
                yield event

    def _json(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        body: Any = None,
        content: str = "application/json",
        accept: str = "application/json",
        seconds: float = _ANSWER_SECONDS,
    ) -> Object:
        import urllib3

        timeout = (min(_CONNECT_SECONDS, seconds), seconds)
        answer = self._answer(method, path, query, body=body, content=content, accept=accept, timeout=timeout)
        with closing(answer):
            try:
                data = answer.read()
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise TryAgain(
                    f"the answer of {self.server} broke off",
                    reason="Unreachable",
                    remedy="run the same command again",
                ) from error
        return self._object(data)

    def _object(self, data: bytes) -> Object:
        """The answer of the server. Raises TryAgain for an answer that is not an API server's."""
        try:
            answer = json.loads(data)
        except RecursionError as error:
            raise BadRequest(
                f"an object that {self.server} stores is nested too deep to be read",
                remedy="look for it with kubectl, and delete it or flatten it",
            ) from error
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        text = " ".join(data[:200].decode("utf-8", "replace").split())
        raise TryAgain(
            f"{self.server} did not answer as an API server does: {text or 'nothing'}",
            reason="UnknownAnswer",
            remedy=(
                "is that a proxy's page? check HTTPS_PROXY, NO_PROXY "
                "and the server's address in the kubeconfig"
            ),
        )

    def _answer(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        body: Any = None,
        content: str = "application/json",
        accept: str = "*/*",
        timeout: tuple[float, float | None],
    ) -> Any:
        """The open answer. Raises for an answer that is not 2xx, and for a server that cannot be reached."""
        import urllib3
        from kubernetes.client.exceptions import ApiException
        from kubernetes.config.config_exception import ConfigException

        try:
            _, url, headers, _, _ = self.client.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params={"Accept": accept},
                auth_settings=["BearerToken"],
            )
            if body is not None:
                headers["Content-Type"] = content
            answer = self.client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            ).response
        except (urllib3.exceptions.HTTPError, ApiException) as error:
            cause = getattr(error, "reason", None) or error
            raise TryAgain(
                f"the cluster at {self.server} cannot be reached: {str(cause).strip()[:300]}",
                reason="Unreachable",
                remedy="check the network, or choose another cluster with --context or --kubeconfig",
            ) from error
        except ConfigException as error:
            raise Refused(f"no credentials for {self.server}: {error}", remedy="log in again") from error
        if 200 <= answer.status < 300:
            return answer
        with closing(answer):
            raise fault(answer.status, answer.read(), method=method, path=path, server=self.server)


def connect(kubeconfig: str = "", context: str = "") -> Api:
    """The cluster of a kubeconfig's context.

    Raises Usage if there is no such context, or the client is not installed.
    """
    try:
        import yaml
        from kubernetes import config
        from kubernetes.config.config_exception import ConfigException
    except ImportError as error:
        raise Usage(
            "talking to a cluster needs the Kubernetes client", remedy="pip install 'tunesmith[cluster]'"
        ) from error
    path = kubeconfig_path(kubeconfig)
    if not is_there(kubeconfig):
        raise Usage(
            f"there is no kubeconfig at {path}",
            reason="NoKubeconfig",
            remedy="give --kubeconfig, or set KUBECONFIG",
        )
    try:
        contexts, current = _contexts(path)
        chosen = context or current
        if chosen not in contexts:
            raise _no_context(path, contexts, asked_for=context, current=current)
        client = config.new_client_from_config(config_file=path, context=chosen)
    except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        raise _unusable(path, " ".join(str(error).split())) from error
    except (AttributeError, LookupError, TypeError) as error:  # the client's reader fails on other YAML
        raise _unusable(path, "it is YAML, but not a kubeconfig") from error
    client.user_agent = f"tunesmith/{tunesmith.__version__}"
    return Api(client, contexts[chosen].get("namespace") or "default")


def _contexts(path: str) -> tuple[dict[str, Mapping[str, Any]], str]:
    """Contexts by name, and the name of the current one, which is that of the first file that names one."""
    from kubernetes.config.kube_config import KubeConfigMerger

    contexts: dict[str, Mapping[str, Any]] = {}
    current = ""
    for file in KubeConfigMerger(path).config_files.values():
        current = current or file.get("current-context") or ""
        for entry in file.get("contexts") or ():
            contexts.setdefault(entry["name"], entry.get("context") or {})
    return contexts, current


def _no_context(path: str, contexts: Mapping[str, Any], *, asked_for: str, current: str) -> Usage:
    if asked_for:
        return Usage(f"{path} has no context {asked_for!r}", remedy=_guess(asked_for, contexts))
    what = f"no context {current!r}, its current one" if current else "no current context"
    remedy = "give --kubeconfig, or set KUBECONFIG"
    if contexts:
        remedy = f"choose with --context one of {', '.join(sorted(contexts))}"
    return Usage(f"{path} has {what}", remedy=remedy)


def _unusable(path: str, why: str) -> Usage:
    return Usage(f"the kubeconfig {path} cannot be used: {why}", remedy="see `kubectl config view`")


def _guess(wrong: str, known: Mapping[str, Any]) -> str:
    import difflib

    guess = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {guess[0]!r}?" if guess else f"one of {', '.join(sorted(known)) or 'none'}"
