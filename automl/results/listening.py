"""Who reaches the dashboard, which has no login: this machine alone, unless the user says otherwise twice.

It answers only requests that name this machine: a page on the internet whose name is made to point at 127.0.0.1 gets
nothing.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import socketserver
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from automl.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("automl.dashboard")

HOST = "127.0.0.1"
PORTS = range(8080, 8130)  # tried one after the other when none was asked for


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`. A name is none, for it may point anywhere."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def shown_name(host: str) -> str:
    """What stands for `host` in the address of a page: the machine's name where it listens on all addresses."""
    address = _address(host)
    if host == "" or (address is not None and address.is_unspecified):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def check_host(host: str, no_login_i_know: bool = False) -> None:
    """Raises `SettingsError` for an address that others can reach, unless the user says to know what that means."""
    if not is_loopback(host) and not no_login_i_know:
        raise SettingsError(
            f"--host {host}: the dashboard has no login, and whoever reaches it can delete trials; reach it from "
            f"elsewhere through `ssh -L 8080:{HOST}:8080`, or add --no-login-i-know in a network that you trust"
        )


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
        log.debug(format, *args)


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


def only_from_here(app: WSGIApplication, host: str = HOST) -> WSGIApplication:
    """`app` behind a check that the request names this machine (`Host: 127.0.0.1` or `localhost`, any port).

    Where others may reach it, its own name and any address in numbers will do: a page on the internet has a name.
    """
    names = {HOST, "localhost", host.lower()}
    if not is_loopback(host):
        names.add(socket.gethostname().lower())  # not getfqdn(), which asks a name server and may wait for minutes

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name = _name_in(environ.get("HTTP_HOST", ""))
        if name not in names and (is_loopback(host) or _address(name) is None):
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"The dashboard answers to http://{host} and http://localhost only.\n".encode()]
        return app(environ, start_response)

    return checked


def _name_in(header: str) -> str:
    """The name in a request's `Host`, without port and brackets."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
