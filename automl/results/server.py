"""The server of the dashboard, on a port that is free."""

from __future__ import annotations

import errno
import socket
import socketserver
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from automl.errors import SettingsError
from automl.results.door import HOST

PORTS = range(8080, 8130)  # tried one after the other when none was asked for


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Quiet)

    def server_bind(self) -> None:
        # Not the parent's: it asks the network for the name of this machine.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address of a request may hold the token."""


def listen(ports: Iterable[int], host: str = HOST) -> _Server:
    """A server on the first of `ports` that is free. Raises `SettingsError` when port or address cannot be had."""
    tried = list(ports)
    for port in tried:
        try:
            return _Server(host, port)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or isinstance(error, socket.gaierror):
                raise SettingsError(
                    f"--host {host}: {error.strerror}; it must be an address of this machine"
                ) from error
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(f"--port {port}: {error.strerror}; choose another one") from error
    if len(tried) == 1:
        raise SettingsError(f"--port {tried[0]} is in use; choose another one, or leave --port out for a free one")
    raise SettingsError(f"the ports {tried[0]} to {tried[-1]} are all in use; choose another one with --port")
