"""Who is let in to the dashboard: whoever has the token of the address that the command printed, to look.

All users of a machine reach what listens on 127.0.0.1, and so does every page that its browser shows. So each request
needs the token, which becomes a cookie that no other site can have sent; it must name this machine (`Host`), for a name
on the internet may be made to point here, and come from no other page (`Origin`). Only with `--edit` may it change
anything.
"""

from __future__ import annotations

import html
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

from automl.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"

_HOST_HEADER = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?", re.IGNORECASE)
_GUARDS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
# What a study keeps as a picture may be a page with a script, and the study may be somebody else's.
_SANDBOX = ("Content-Security-Policy", "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; sandbox")


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
            f"--host {host}: others can reach this address, and the dashboard has no login that a network does not "
            f"overhear; reach it from elsewhere through `ssh -L 8080:{HOST}:8080`, or add --no-login-i-know in a "
            "network that you trust"
        )


class Door:
    """A WSGI application in front of `app` that lets in those who may; see this file's head.

    Args:
        app: the dashboard.
        host: the address that it listens on.
        port: the port, which tells this dashboard's cookie from another one's: browsers do not.
        login: whether a token is needed.
        edit: whether requests may change something.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int, *, login: bool = True, edit: bool = False):
        self._app = app
        self._token = secrets.token_urlsafe(24) if login else ""
        self._cookie = f"automl-{port}"
        self._edit = edit
        self._any_address = not is_loopback(host)
        self._names = {HOST, "localhost", host.lower()} - {""}
        if self._any_address:
            self._names.add(socket.gethostname().lower())  # not getfqdn(): a name server may be asked for minutes

    def key(self) -> str:
        """What the address of a page ends with to be let in."""
        return "?" + urlencode({"token": self._token}) if self._token else ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        refusal = self._refusal(environ)
        if refusal:
            body = json.dumps({"reason": refusal}) + "\n"
            return _answer(start_response, "403 Forbidden", "application/json", body)
        if self._token and not self._has_cookie(environ):
            if not self._has_token(environ):
                told = "Open the address that `automl dashboard` has printed; each start has a new one.\n"
                return _answer(start_response, "403 Forbidden", "text/plain; charset=utf-8", told)
            if environ.get("PATH_INFO", "").startswith("/dashboard"):
                return self._hand_out(environ, start_response)
        return self._app(environ, _guarded(environ, start_response))

    def _refusal(self, environ: WSGIEnvironment) -> str:
        header = environ.get("HTTP_HOST", "")
        found = _HOST_HEADER.fullmatch(header)
        name = (found[1] or found[2]).lower() if found else ""
        if name not in self._names and not (self._any_address and _address(name)):
            return "The dashboard answers under the name of this machine only."
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin.lower() != f"http://{header}".lower():
            return "The dashboard answers its own pages only."
        if not self._edit and environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return "Nothing can be changed here; `automl dashboard RUN --edit` lets you."
        return ""

    def _has_token(self, environ: WSGIEnvironment) -> bool:
        given = parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])
        return environ["REQUEST_METHOD"] == "GET" and self._is_token(given[0])

    def _has_cookie(self, environ: WSGIEnvironment) -> bool:
        # Not http.cookies, which reads nothing behind a cookie of another program that it finds malformed.
        cookies = (part.strip().partition("=") for part in environ.get("HTTP_COOKIE", "").split(";"))
        return any(name == self._cookie and self._is_token(value) for name, _, value in cookies)

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode("utf-8", "surrogateescape"), self._token.encode())

    def _hand_out(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A page that goes on by itself, not a redirect: a browser that comes from elsewhere would follow that one
        # without a cookie that is SameSite=Strict.
        page = html.escape(quote(environ["PATH_INFO"]))
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        body = f'<!DOCTYPE html><title>automl</title><meta http-equiv="refresh" content="0; url={page}">\n'
        return _answer(start_response, "200 OK", "text/html; charset=utf-8", body, ("Set-Cookie", cookie))


def _answer(
    start_response: StartResponse, status: str, kind: str, body: str, *more: tuple[str, str]
) -> Iterable[bytes]:
    data = body.encode()
    length = ("Content-Length", str(len(data)))
    start_response(status, [("Content-Type", kind), length, ("Cache-Control", "no-store"), *_GUARDS, *more])
    return [data]


def _guarded(environ: WSGIEnvironment, start_response: StartResponse) -> StartResponse:
    """Leaves out the headers that let pages of other sites read an answer, and adds those that guard it."""
    guards = [*_GUARDS, _SANDBOX] if environ.get("PATH_INFO", "").lstrip("/").startswith("artifacts") else _GUARDS

    def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
        kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
        return start_response(status, [*kept, *guards], error)

    return start
