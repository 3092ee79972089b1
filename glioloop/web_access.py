"""Who may use the web page and the interface: tokens, and sessions of those who logged in with one.

Without any token everybody on this machine may, and the service listens to no other.
"""

from __future__ import annotations

import hmac
import html
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from glioloop import audit_events
from glioloop.audit_trail import acting
from glioloop.settings_network import Web
from glioloop.site import Site
from glioloop.web_input import fields_of, person_of
from listener.limits import Meter
from study.errors import RefusedError

SHORTEST = 20
"""Characters of a token; ``openssl rand -hex 32`` makes one of 64."""
COOKIE = "glioloop"
OPEN = ("/health", "/login")
"""Paths that are answered without a token."""
WRONG_PER_MINUTE = 20
"""Wrong tokens of one address, before it is told to wait."""


def tokens(settings: Web) -> dict[str, str]:
    """Names and tokens of those who may use the interface.

    Raises
    ------
    RefusedError
        If there is none and other machines reach the interface, or one is too short, or the file
        cannot be read, or is open to everyone.
    """
    known = _of_file(settings.tokens_file) if settings.tokens_file else {}
    if settings.token is not None:
        known["token"] = settings.token.get_secret_value()
    for name, token in known.items():
        if len(token) < SHORTEST:
            raise RefusedError(
                f"the web token of {name!r} has {len(token)} characters; {SHORTEST} are the least:"
                " openssl rand -hex 32"
            )
    if not known and not is_loopback(settings.host):
        raise RefusedError(
            f"web.host is {settings.host}, which other machines reach, and there is no token: set"
            " web.tokens_file or web.token, or listen on 127.0.0.1"
        )
    return known


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of_file(path: Path) -> dict[str, str]:
    """Names and tokens of a file: one of each in a line."""
    try:
        if path.stat().st_mode & 0o007:
            raise RefusedError(f"web.tokens_file {path} is open to everyone: chmod 600 {path}")
        lines = [line.split() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        raise RefusedError(f"web.tokens_file {path} cannot be read ({kind})") from error
    said = [words for words in lines if words and not words[0].startswith("#")]
    if any(len(words) != 2 for words in said):
        raise RefusedError(f"web.tokens_file {path}: a line holds a name and a token")
    return dict(said)


class Sessions:
    """Those who logged in, in memory: after a restart they log in again.

    Parameters
    ----------
    known
        Names and tokens.
    last_s
        How long a session lasts.
    clock
        Seconds; for tests.
    """

    def __init__(
        self, known: Mapping[str, str], last_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._known = {name: token.encode() for name, token in known.items()}
        self._last_s = last_s
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[str, float]] = {}

    def name_of(self, token: str) -> str | None:
        """Whose token that is; as long in finding out, whatever it is."""
        found = None
        for name, known in self._known.items():
            if hmac.compare_digest(known, token.encode("utf-8", "replace")):
                found = name
        return found

    def begin(self, name: str) -> str:
        """Begin a session, and return what its cookie holds."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            alive = {c: s for c, s in self._sessions.items() if s[1] > now}
            self._sessions = {**alive, cookie: (name, now + self._last_s)}
        return cookie

    def user(self, cookie: str) -> str | None:
        """Whose session that is; None when it ended."""
        with self._lock:
            name, until = self._sessions.get(cookie, ("", 0.0))
        return name if name and until > self._clock() else None

    def end(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(cookie, None)


class Access:
    """Lets in who shows a token, or a session that began with one, and names them to the audit.

    Parameters
    ----------
    app
        What is behind.
    site
        Whose interface it is.
    known
        Names and tokens; without any, everybody is let in.
    """

    def __init__(self, app: ASGIApp, site: Site, known: Mapping[str, str]) -> None:
        settings = site.settings.web
        self._app = app
        self._site = site
        self._needed = bool(known)
        self._secure = settings.tls is not None
        self._sessions = Sessions(known, 3600 * settings.session_hours)
        self._wrong = Meter(WRONG_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say that a token is needed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if not self._needed:
            with acting(person_of(request), _address(request)):
                await self._app(scope, receive, send)
        elif scope["path"] in ("/login", "/logout"):
            await (await self._session(request))(scope, receive, send)
        elif scope["path"] in OPEN:
            await self._app(scope, receive, send)
        else:
            await self._judged(request, scope, receive, send)

    async def _judged(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes with a token or a session."""
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        user = self._sessions.user(request.cookies.get(COOKIE, ""))
        if kind.lower() == "bearer":
            user = self._sessions.name_of(shown.strip())
            if user is None:
                await self._denied(request)(scope, receive, send)
                return
        if user is None:
            wants_page = "text/html" in request.headers.get("accept", "")
            refusal: Response = (
                RedirectResponse("/login", 303)
                if wants_page
                else _unauthorised("a token is needed")
            )
            await refusal(scope, receive, send)
            return
        named = person_of(request).removeprefix("web").removeprefix(": ")
        with acting(f"{user}: {named}" if named else user, _address(request)):
            await self._app(scope, receive, send)

    def _denied(self, request: Request) -> Response:
        """Answer to a wrong token."""
        address = _address(request)
        if not self._wrong.allows(address):
            return JSONResponse({"error": "too many wrong tokens; wait a minute"}, 429)
        audit_events.login(self._site, "", address, "a wrong token")
        return _unauthorised("that token is not known")

    async def _session(self, request: Request) -> Response:
        """Log in or out; the form of it to who only looks."""
        if request.method != "POST":
            return HTMLResponse(_form(""), headers=dict(ALONE))
        if request.url.path == "/logout":
            self._sessions.end(request.cookies.get(COOKIE, ""))
            answer: Response = RedirectResponse("/login", 303)
            answer.delete_cookie(COOKIE)
            return answer
        shown = (await fields_of(request)).get("token", "").strip()
        name = self._sessions.name_of(shown)
        if name is None:
            denied = self._denied(request)
            why = "too many" if denied.status_code == 429 else "that token is not known"
            return HTMLResponse(_form(why), denied.status_code, headers=dict(ALONE))
        audit_events.login(self._site, name, _address(request))
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(name),
            httponly=True,
            secure=self._secure,
            samesite="strict",
            path="/",
        )
        return answer


ALONE: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def _form(why: str) -> str:
    """The page on which a token is typed."""
    said = f"<p>{html.escape(why)}</p>" if why else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Glioloop</title>'
        f'<h1>Glioloop</h1>{said}<form method="post" action="/login"><label>Token '
        '<input type="password" name="token" autocomplete="current-password" required></label> '
        "<button>log in</button></form></html>"
    )


def _unauthorised(why: str) -> Response:
    """Answer to who shows no token."""
    return JSONResponse({"error": why}, 401, headers={"WWW-Authenticate": "Bearer"})


def _address(request: Request) -> str:
    """IP address of who asks."""
    return request.client.host if request.client else ""
