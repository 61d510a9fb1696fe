"""Who may ask, for what, how much: what stands before the application, for HTTP and WebSocket alike.

A request is judged by its head alone: Host, Origin, where it came from, its token or cookie, its method.
Then its body is read, within limits, before the application sees any of it. `docs/security.md` has every case
and its answer.
"""

import asyncio
import hmac
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from digitlab.live.visitors import Visitor, network_of
from digitlab.web.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Role = Literal["owner", "visitor"]

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "cache-control": "no-store",
}
"""On every answer; the application may say another of them."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MAY_VISITORS = frozenset({"/api/train", "/api/train/cancel", "/api/predict"})
"""What a class may do besides looking."""
_TAKES_PICTURES = "/api/predict"
_HEAVY = {_TAKES_PICTURES: "pictures are being read", "/api/reports/": "reports are being written"}
"""Each takes a thread for seconds; so many at once that no thread is left would stop all else."""

_log = logging.getLogger("digitlab.web")


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    role: Role
    visitor: Visitor | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered, in a sentence with its remedy."""

    status: int
    says: str


@dataclass(frozen=True)
class Exchange:
    """A link with a token was opened: its token becomes a cookie.

    target:  the same address without the token
    cookies: to be set, as whole headers
    is_foreign: the link stood on another site
    """

    target: str
    cookies: tuple[str, ...]
    is_foreign: bool


@dataclass(frozen=True)
class Again:
    """A link without a token was opened from another site, from which browsers send no cookie: once more."""

    target: str


Judgement = Caller | Refusal | Exchange | Again

_NEW_LINK = "open the link that `digitlab serve` printed when it started"
_NO_ORIGIN = (
    "the request does not say where it comes from (Origin); send it from the page, or with the header "
    "`Authorization: Bearer TOKEN`"
)
_HTML_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>digitlab</title>'
)


class Guard:
    """Lets through to the application what may pass; see the module."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._in_work = Counter[tuple[str, Role]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        judgement = judged(scope, self._settings)
        if scope["type"] == "websocket":
            if isinstance(judgement, Caller):
                scope.setdefault("state", {})["caller"] = judgement
                await self._app(scope, receive, send)
            else:
                refusal = judgement if isinstance(judgement, Refusal) else Refusal(401, f"{_NEW_LINK}")
                await refuse_socket(scope, receive, send, refusal)
            return
        answer = _Answer(send)
        if isinstance(judgement, Exchange):
            await _exchanged(answer, judgement)
        elif isinstance(judgement, Again):
            await _once_more(answer, judgement.target)
        elif isinstance(judgement, Refusal):
            await _refuse(answer, judgement, is_page=_wants_page(scope), close=_has_body(scope))
        else:
            await self._let_in(scope, receive, answer, judgement)

    async def _let_in(self, scope: Scope, receive: Receive, answer: "_Answer", caller: Caller) -> None:
        """Hand a request on, unless too many like it are in work."""
        kind = next((start for start in _HEAVY if scope["path"].startswith(start)), None)
        if kind is None:
            await self._pass_on(scope, receive, answer, caller)
            return
        place = (kind, caller.role)
        if self._in_work[place] >= self._settings.limits.heavy_requests:
            says = f"{self._in_work[place]} {_HEAVY[kind]} already; send it again in a moment"
            await _refuse(answer, Refusal(429, says), close=_has_body(scope))
            return
        self._in_work[place] += 1
        try:
            await self._pass_on(scope, receive, answer, caller)
        finally:
            self._in_work[place] -= 1

    async def _pass_on(self, scope: Scope, receive: Receive, answer: "_Answer", caller: Caller) -> None:
        limits = self._settings.limits
        most = limits.picture_bytes if scope["path"] == _TAKES_PICTURES else limits.body_bytes
        try:
            async with asyncio.timeout(limits.body_seconds):
                body = await _body(scope, receive, most)
        except TimeoutError:
            body = Refusal(408, f"the request did not arrive within {limits.body_seconds:g} s; send it again")
        if body is None:  # whoever asked has gone
            return
        if isinstance(body, Refusal):
            await _refuse(answer, body, close=True)
            return
        scope.setdefault("state", {})["caller"] = caller
        try:
            await self._app(scope, _replayed(body, receive), answer)
        except Exception:  # noqa: BLE001  # whatever it is, who asked gets a sentence, and the log the rest
            _log.exception("a request was not answered")
            if not answer.has_begun:
                says = "something went wrong in the server; the terminal in which it runs says what"
                await _refuse(answer, Refusal(500, says))


def judged(scope: Scope, settings: Settings) -> Judgement:
    """What is to be done with a request, by its head alone."""
    headers = _Headers(scope["headers"])
    hosts = headers.all("host")
    host = hosts[0].lower() if len(hosts) == 1 else ""
    if host not in settings.authorities:
        return Refusal(403, f"this server answers at {settings.hosts[0]}:{settings.port} only; {_NEW_LINK}")
    origins = headers.all("origin")
    if any(origin.lower() != f"http://{host}" for origin in origins):
        return Refusal(403, f"other sites may not use this server; {_NEW_LINK}")
    is_socket = scope["type"] == "websocket"
    method = "GET" if is_socket else scope["method"]
    site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
    is_foreign = site in ("cross-site", "same-site")
    is_opened = method in ("GET", "HEAD") and mode == "navigate" and not is_socket
    if is_foreign and not (is_opened and headers.get("sec-fetch-dest") in ("document", "")):
        return Refusal(403, f"other sites may not use this server; {_NEW_LINK}")
    if method in ("GET", "HEAD") and not is_socket:
        exchange = _exchange(scope, headers, settings, is_foreign=is_foreign)
        if exchange is not None:
            return exchange
    caller = _caller(headers, settings)
    if isinstance(caller, Refusal):
        if is_foreign and is_opened and not scope["path"].startswith("/api/"):
            return Again(_target(scope, []))
        return caller
    by_cookie = not headers.all("authorization")
    if by_cookie and not origins and (is_socket or method not in _SAFE):
        return Refusal(403, _NO_ORIGIN)
    if caller.role == "visitor" and method not in _SAFE and scope["path"] not in _MAY_VISITORS:
        return Refusal(403, "this is for the teacher alone; ask them to do it")
    return caller


def _caller(headers: "_Headers", settings: Settings) -> Caller | Refusal:
    """Who asks, by a token in the header or by the cookie."""
    given = headers.all("authorization")
    visitor = settings.visitors.find(headers.cookie(settings.visitor_cookie))
    if given:
        scheme, _, token = given[0].partition(" ")
        role = _role(token.strip(), settings) if scheme.lower() == "bearer" and len(given) == 1 else None
    else:
        token = headers.cookie(settings.cookie)
        role = _role(token, settings)
    if role is not None:
        return Caller(role, visitor if role == "visitor" else None)
    if token:
        return Refusal(401, f"this token is from an earlier start of the server; {_NEW_LINK}")
    return Refusal(401, f"this server answers only who has its token; {_NEW_LINK}")


def _role(token: str, settings: Settings) -> Role | None:
    given = token.encode()
    if hmac.compare_digest(given, settings.token.encode()):
        return "owner"
    if settings.class_token is not None and hmac.compare_digest(given, settings.class_token.encode()):
        return "visitor"
    return None


def _exchange(
    scope: Scope, headers: "_Headers", settings: Settings, *, is_foreign: bool
) -> Exchange | Refusal | None:
    """What to do with a token in the address; None: there is none."""
    if scope["path"].startswith("/api/"):
        return None
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in query if name == "token"]
    if not tokens:
        return None
    role = _role(tokens[0], settings)
    if role is None:
        return Refusal(401, f"this link is from an earlier start of the server; {_NEW_LINK}")
    common = "; Path=/; HttpOnly; SameSite=Strict"
    cookies = [f"{settings.cookie}={tokens[0]}{common}"]
    if role == "visitor" and settings.visitors.find(headers.cookie(settings.visitor_cookie)) is None:
        secret, _ = settings.visitors.welcome(network_of((scope.get("client") or ("",))[0]))
        cookies.append(f"{settings.visitor_cookie}={secret}{common}")
    rest = [(name, value) for name, value in query if name != "token"]
    return Exchange(_target(scope, rest), tuple(cookies), is_foreign)


def _target(scope: Scope, query: list[tuple[str, str]]) -> str:
    """The address of a request, on this server whatever its path looks like; with another query."""
    raw: bytes = scope.get("raw_path") or b"/"
    path = "/" + raw.decode("latin-1").lstrip("/\\")
    if not query and b"token=" not in scope["query_string"] and scope["query_string"]:
        return f"{path}?{scope['query_string'].decode('latin-1')}"
    return f"{path}?{urlencode(query)}" if query else path


class _Headers:
    """Headers of a request by their names in small letters."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._found: dict[str, list[str]] = {}
        for name, value in headers:
            self._found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def all(self, name: str) -> list[str]:
        return self._found.get(name, [])

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def cookie(self, name: str) -> str:
        for header in self.all("cookie"):
            for part in header.split(";"):
                found, _, value = part.strip().partition("=")
                if found == name:
                    return value
        return ""


def _has_body(scope: Scope) -> bool:
    """Whether a body follows: one that is not read would keep the connection for as long as it comes."""
    headers = _Headers(scope["headers"])
    return bool(headers.all("transfer-encoding")) or headers.get("content-length") not in ("", "0")


async def _body(scope: Scope, receive: Receive, most: int) -> bytes | Refusal | None:
    """The whole body; None: whoever sent it has gone."""
    refusal = Refusal(413, f"the request is larger than the {most:,} bytes that are taken; send less")
    length = _Headers(scope["headers"]).get("content-length")
    if length.isdecimal() and int(length) > most:
        return refusal
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return refusal
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the application reads: the body in one piece, and then whether whoever asked has gone."""
    is_read = False

    async def read() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


class _Answer:
    """Sends an answer, with the headers that all have."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_begun = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = list(message.get("headers", ()))
            said = {name.lower() for name, _ in headers}
            headers += [
                (name.encode(), value.encode())
                for name, value in HEADERS.items()
                if name.encode() not in said
            ]
            message = {**message, "headers": headers}
        await self._send(message)

    async def whole(self, status: int, kind: str, body: bytes, *more: tuple[str, str]) -> None:
        headers = [("content-type", kind), ("content-length", str(len(body))), *more]
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        await self({"type": "http.response.start", "status": status, "headers": encoded})
        await self({"type": "http.response.body", "body": body})


async def _exchanged(answer: _Answer, exchange: Exchange) -> None:
    cookies = [("set-cookie", cookie) for cookie in exchange.cookies]
    if exchange.is_foreign:  # a redirect would still count as the other site's, and go without the cookie
        await _once_more(answer, exchange.target, *cookies)
    else:
        await answer.whole(303, "text/plain", b"", ("location", exchange.target), *cookies)


async def _once_more(answer: _Answer, target: str, *headers: tuple[str, str]) -> None:
    """A page that opens the address again, from this site."""
    place = escape(target)
    text = (
        f'{_HTML_HEAD}<meta http-equiv="refresh" content="0; url={place}">'
        f'<p><a href="{place}">Open digitlab</a></p></html>'
    )
    await answer.whole(200, "text/html; charset=utf-8", text.encode(), *headers)


def _wants_page(scope: Scope) -> bool:
    accepts = _Headers(scope["headers"]).get("accept")
    return "text/html" in accepts and not scope["path"].startswith("/api/")


def refusal_document(refusal: Refusal) -> bytes:
    """A refusal as the API says it."""
    return json.dumps({"says": refusal.says, "field": None}).encode()


async def _refuse(answer: _Answer, refusal: Refusal, *, is_page: bool = False, close: bool = False) -> None:
    more = [("connection", "close")] if close else []
    if is_page:
        text = f"{_HTML_HEAD}<h1>digitlab</h1><p>{escape(refusal.says)}</p></html>"
        await answer.whole(refusal.status, "text/html; charset=utf-8", text.encode(), *more)
    else:
        await answer.whole(refusal.status, "application/json", refusal_document(refusal), *more)


def refusing(refusal: Refusal) -> App:
    """An application that answers every request with a refusal, and closes its connection."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await _refuse(_Answer(send), refusal, is_page=_wants_page(scope), close=True)

    return app


async def refuse_socket(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """Answer a WebSocket's request with a refusal, before it is one."""
    if (await receive())["type"] != "websocket.connect":
        return
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.says[:120]})
        return
    body = refusal_document(refusal)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
