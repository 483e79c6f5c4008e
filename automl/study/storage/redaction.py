"""Storage URLs without their passwords, for records, logs and messages; also URLs that are no good."""

from __future__ import annotations

from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from automl.errors import SettingsError

UNREADABLE = "(unreadable storage URL)"
HIDDEN = "***"
FORM = "sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


def redact(url: str) -> str:
    """A storage URL without its password. Never raises: what cannot be read is not shown at all."""
    parsed = _parse(url)
    if parsed is None:
        return UNREADABLE
    # A password with an @ in it that was not written as %40 reaches into the host.
    parsed = parsed.set(host=parsed.host.rpartition("@")[2]) if parsed.host else parsed
    hidden = parsed.update_query_dict(dict.fromkeys(_secret_keys(parsed), HIDDEN))
    return hidden.render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


def scrub(text: str, url: str) -> str:
    """`text`, which a driver wrote about `url`, without the URL's secrets."""
    text = text.replace(url, redact(url))
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def check_url(url: str) -> None:
    """Raises `SettingsError` for a storage URL that is not of the right form; the message does not show what it is."""
    try:
        parsed = make_url(url)
        law = "there are two @ in it" if "@" in (parsed.host or "") else ""
    except ArgumentError:
        law = "not a URL"
    except ValueError:
        law = "the port must be a number"
    if law:
        written = "in a password, an @ is written %40, a : %3A, a / %2F"
        raise SettingsError(f"--storage {redact(url)}: {law}; use {FORM} ({written})") from None


def _parse(url: str) -> URL | None:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is no number
        return None


def _secret_keys(url: URL) -> list[str]:
    """PostgreSQL's drivers take passwords behind the question mark as well."""
    return [key for key in url.query if "pass" in key.lower() or "pwd" in key.lower()]


def _secrets(url: str) -> set[str]:
    """What must not be shown: the password as it is and as the URL has it, whatever a driver may have made of it."""
    parsed = _parse(url)
    found = set()
    if parsed is not None:
        found.add(str(parsed.password or ""))
        for key in _secret_keys(parsed):
            value = parsed.query[key]
            found |= {value} if isinstance(value, str) else set(value)
    # Also where it cannot be parsed: all that stands between the first colon of the login and the last @.
    login = url.partition("://")[2] or url
    found.add(login.rpartition("@")[0].partition(":")[2])
    return {secret for raw in found for secret in (raw, unquote(raw)) if secret}
