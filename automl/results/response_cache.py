"""Long answers of the dashboard, given again at once while a new one is made.

Its page asks for the whole study every ten seconds. With 2,000 trials an answer has 5 MB and takes seconds of CPU,
which are longer where a search keeps all cores busy.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STUDY = re.compile(r"/api/studies/\d+")
SLOW = 0.2  # seconds from which on an answer is remembered
FRESH = 5.0  # seconds after which a new one is made in the background
OLDEST = 60.0  # seconds after which nobody gets the old one any more
KEPT = 4  # answers: the page asks for the trials from some number on


class Answer(NamedTuple):
    """What an application answered, and when, on the clock that only goes forward."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    made: float


class Remembering:
    """A WSGI application that answers as `app`, but gives long answers about a study again; see this file's head.

    Whoever changes something, which is any request but a GET, makes it forget what it has.
    """

    def __init__(self, app: WSGIApplication, clock: Callable[[], float] = time.monotonic):
        self._app = app
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Answer] = {}
        self._renewing: set[str] = set()
        self._changes = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        if environ["REQUEST_METHOD"] != "GET":
            self._forget()
            try:
                return list(self._app(environ, start_response))
            finally:
                self._forget()
        if not STUDY.fullmatch(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        answer = self._answer(environ)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        key = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        with self._lock:
            known = self._known.get(key)
            age = self._clock() - known.made if known else OLDEST
            renew = FRESH < age < OLDEST and key not in self._renewing
            if renew:
                self._renewing.add(key)
        if known is None or age >= OLDEST:
            return self._make(key, environ)
        if renew:
            again = {**environ, "wsgi.input": io.BytesIO()}
            threading.Thread(target=self._renew, args=(key, again), name="renewing an answer", daemon=True).start()
        return known

    def _renew(self, key: str, environ: WSGIEnvironment) -> None:
        try:
            self._make(key, environ)
        finally:
            with self._lock:
                self._renewing.discard(key)

    def _make(self, key: str, environ: WSGIEnvironment) -> Answer:
        began, changes = self._clock(), self._changes
        told: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            told[:] = status, headers
            return lambda data: None

        body = b"".join(self._app(environ, start_response))
        answer = Answer(told[0], told[1], body, self._clock())
        with self._lock:
            self._known.pop(key, None)
            if answer.made - began > SLOW and answer.status.startswith("200") and changes == self._changes:
                self._known[key] = answer
                for oldest in list(self._known)[:-KEPT]:
                    del self._known[oldest]
        return answer

    def _forget(self) -> None:
        with self._lock:
            self._changes += 1
            self._known.clear()
