"""HTTP to a port of a pod, through the API server's port-forward: one websocket per connection.

The client's own `portforward` copies through a thread and a socket pair, and reads ahead without bound; a
download of a model needs neither.
"""

import http.client
import io
import json
from typing import Any

from tunesmith.errors import TryAgain
from tunesmith_cli.cluster.api import Api
from tunesmith_cli.cluster.faults import fault

_DATA, _ERROR = 0, 1  # channels
_LARGEST_FRAME = 1 << 15  # bytes that are sent at once


class NoPortForward(TryAgain):
    """There is nothing to forward to yet, or it cannot be reached."""

    default_reason = "NoPortForward"


class PodConnection(http.client.HTTPConnection):
    """A connection to a port of a pod."""

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"

    def connect(self) -> None:
        """Open the port-forward. Raises NoPortForward while there is nothing to forward to."""
        self.sock = Tunnel(_websocket(self._api, self._path, self.port))


class Tunnel:
    """The part of a socket that http.client uses, over a websocket that carries one port."""

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._named_its_port = [False, False]  # the first frame of a channel does nothing else

    def sendall(self, data: bytes) -> None:
        """Send bytes."""
        from websocket import ABNF

        view = memoryview(data)
        for start in range(0, len(view), _LARGEST_FRAME):
            frame = bytes([_DATA]) + bytes(view[start : start + _LARGEST_FRAME])
            self._websocket.send(frame, opcode=ABNF.OPCODE_BINARY)

    def receive(self) -> memoryview:
        """The next bytes; none at the end. Raises ConnectionError with the node's message."""
        from websocket import ABNF, WebSocketException

        while True:
            try:
                opcode, frame = self._websocket.recv_data_frame(control_frame=True)
            except (WebSocketException, OSError) as error:
                raise ConnectionResetError(f"the port-forward broke off: {error}") from error
            if opcode == ABNF.OPCODE_CLOSE:
                return memoryview(b"")
            if opcode != ABNF.OPCODE_BINARY or not frame.data:
                continue
            channel = frame.data[0]
            if channel not in (_DATA, _ERROR):
                continue
            if not self._named_its_port[channel]:
                self._named_its_port[channel] = True
                continue
            data = memoryview(frame.data)[1:]
            if channel == _ERROR:
                raise ConnectionRefusedError(bytes(data).decode("utf-8", "replace"))
            if data:
                return data

    def makefile(self, mode: str, *_more: Any) -> io.BufferedReader:
        """A reader; closing it leaves the connection open, as http.client expects."""
        assert mode == "rb"
        return io.BufferedReader(_Reader(self), 1 << 18)

    def settimeout(self, seconds: float | None) -> None:
        """Set the longest time without a byte."""
        self._websocket.settimeout(seconds)

    def close(self) -> None:
        """End the port-forward, without waiting for the other side."""
        self._websocket.shutdown()


class _Reader(io.RawIOBase):
    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._tunnel.receive()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _websocket(api: Api, path: str, port: int) -> Any:
    from kubernetes.stream.ws_client import create_websocket, get_websocket_url
    from websocket import WebSocketException

    _, url, headers, _, _ = api.client.param_serialize(
        "GET", path, header_params={}, auth_settings=["BearerToken"]
    )
    headers = {name.lower(): value for name, value in headers.items()}
    websocket_url = get_websocket_url(url, [("ports", str(port))])
    try:
        return create_websocket(api.client.configuration, websocket_url, headers)
    except (WebSocketException, OSError) as error:
        status = getattr(error, "status_code", 0)
        if status in (401, 403):
            body = getattr(error, "resp_body", b"")
            raise fault(status, body, method="POST", path=path, server=api.server) from error
        raise NoPortForward(f"no port-forward to {path.split('/')[-2]}: {_message(error)}") from error


def _message(error: Exception) -> str:
    """The API server's message, or else the error."""
    try:
        return str(json.loads(getattr(error, "resp_body", b""))["message"])
    except (ValueError, KeyError, TypeError):
        return str(error)
