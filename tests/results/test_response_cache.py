"""Long answers of the dashboard, given again."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from automl.results.response_cache import FRESH, OLDEST, SLOW, Remembering


class App:
    """Answers with how often it was asked; an answer takes `seconds` of its own clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.asked, self.now = seconds, 0, 100.0
        self.made = threading.Event()
        self.status = "200 OK"

    def clock(self) -> float:
        return self.now

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.asked += 1
        self.now += self.seconds
        start_response(self.status, [("X", "y")])
        self.made.set()
        return [b"answer ", str(self.asked).encode()]


def ask(app: Remembering, path: str = "/api/studies/0", method: str = "GET", query: str = "after=0") -> bytes:
    told = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    body = b"".join(app(environ, lambda status, headers, error=None: told.append((status, headers))))  # type: ignore
    assert told
    assert told[0][1] == [("X", "y")]
    return body


@pytest.fixture
def slow() -> tuple[App, Remembering]:
    app = App(2 * SLOW)
    return app, Remembering(app, app.clock)


def test_a_long_answer_is_given_again_and_then_a_new_one_that_was_made_meanwhile(slow):
    app, remembering = slow
    assert [ask(remembering) for _ in range(3)] == [b"answer 1"] * 3
    app.now += FRESH + 0.1
    app.made.clear()
    assert ask(remembering) == b"answer 1"
    assert app.made.wait(10)
    while remembering._renewing:
        pass
    assert ask(remembering) == b"answer 2"
    assert app.asked == 2


def test_nobody_gets_an_answer_that_is_very_old(slow):
    app, remembering = slow
    ask(remembering)
    app.now += OLDEST
    assert ask(remembering) == b"answer 2"


def test_who_changes_something_sees_it_at_once(slow):
    _, remembering = slow
    ask(remembering)
    ask(remembering, path="/api/studies/0/1/note", method="PUT")
    assert ask(remembering) == b"answer 3"


def test_other_questions_quick_answers_and_errors_are_not_remembered(slow):
    app, remembering = slow
    assert [ask(remembering, path="/api/studies") for _ in range(2)] == [b"answer 1", b"answer 2"]
    assert ask(remembering, query="after=5") != ask(remembering, query="after=6")
    app.status = "404 Not Found"
    assert ask(remembering, query="after=7") != ask(remembering, query="after=7")
    quick = Remembering(app := App(SLOW / 2), app.clock)
    assert [ask(quick) for _ in range(2)] == [b"answer 1", b"answer 2"]
