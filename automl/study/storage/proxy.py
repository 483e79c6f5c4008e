"""A study behind Optuna's gRPC proxy: one server that talks to the database, for workers that do not reach it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from automl.errors import MachineFailed, SettingsError
from automl.run.logs import quiet_optuna

if TYPE_CHECKING:
    from optuna.storages import GrpcStorageProxy

SCHEME = "grpc://"
READY = 10.0  # seconds that a proxy has to answer at first


def open_proxy(url: str, patience: float = 0.0) -> GrpcStorageProxy:
    """The storage behind the proxy at `grpc://HOST:PORT`, which has `patience` seconds to answer, 10 at least.

    Raises `SettingsError` for another form or without the package grpcio, `MachineFailed` when nobody answers.
    """
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError:  # the port is no number
        host = port = None
    if not host or not port or address.path.strip("/") or address.username or address.query:
        raise SettingsError(f"--storage: a proxy's address is {SCHEME}HOST:PORT and nothing else; it knows no password")
    if find_spec("grpc") is None or find_spec("google") is None:
        raise SettingsError(f"--storage {SCHEME}... needs the package grpcio: pip install 'automl[grpc]'")
    from optuna.storages import GrpcStorageProxy

    with quiet_optuna():
        storage = GrpcStorageProxy(host=host, port=port)
    try:
        storage.wait_server_ready(timeout=max(READY, patience))
    except ConnectionError:
        raise MachineFailed(f"storage {SCHEME}{host}:{port} does not answer; is its server running?") from None
    return storage


def lost_proxy(error: BaseException) -> str | None:
    """In a line why a call of a proxy failed; None for any other error."""
    if not type(error).__module__.startswith("grpc"):
        return None
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error).partition("\n")[0]
