"""The dashboard's csv of a study, with cells that a spreadsheet takes for text: names may be anybody's."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from automl.foreign_text import cell

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/csv/"


class PlainCsv:
    """A WSGI application that answers as `app`, but that no cell of a csv is a formula (`automl.foreign_text`)."""

    def __init__(self, app: WSGIApplication):
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        if not environ.get("PATH_INFO", "").startswith(PATH):
            return self._app(environ, start_response)
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            told[:] = status, headers
            return lambda data: None

        body = b"".join(self._app(environ, start))
        status, headers = told
        if status.startswith("200"):
            file = io.StringIO()
            rows = csv.reader(io.StringIO(body.decode(), newline=""))
            csv.writer(file).writerows([cell(text) for text in row] for row in rows)
            body = file.getvalue().encode()
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]
