"""What every request must fulfil and every answer carries."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from viewer_api.problems import Problem, problem_response

_LONGEST_QUERY = 32 * 1024
_LONGEST_PATH = 8 * 1024
_LONGEST_HEADERS = 64 * 1024
_LONGEST_BODY = 64 * 1024
_LONGEST_WORKITEM = 1024 * 1024
_WORKITEMS = re.compile(r"/dicomweb/workitems(?:/.*)?")
_STREAMED = re.compile(r"/dicomweb/studies(?:/[^/]+)?")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_PAGE_POLICY = (
    "default-src 'self'; "
    # WebAssembly decoders; they are fetched from here and handed to workers as blobs.
    "script-src 'self' 'wasm-unsafe-eval' blob:; "
    "worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; "
    "img-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
# A worker takes its policy from its own script's answer. The decoders' glue code (Emscripten) makes
# functions from text, which no page of ours may do and workers must; they touch no page. OHIF makes
# some in its pages too, for segmentations and structured reports (ndarray): nothing but its own
# files is a script there, and it can call nobody else.
_COMPILING_POLICY = _PAGE_POLICY.replace("'wasm-unsafe-eval'", "'wasm-unsafe-eval' 'unsafe-eval'")


class SecurityHeaders:
    """ASGI middleware: the headers that keep browsers from being turned against the archive."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _policy(scope["path"])
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _policy(path: str) -> str:
    compiles = path.startswith("/ohif/") or (path.startswith("/assets/") and path.endswith(".js"))
    return _COMPILING_POLICY if compiles else _PAGE_POLICY


class RequestChecks:
    """ASGI middleware: refuses what is too large, malformed, or sent by another site's page."""

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._public_origin = _origin(public_url) if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the problem it has."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is not None:
            answer = problem_response(HTTPConnection(scope), problem)
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(answer)
            else:
                await answer(scope, receive, send)
            return
        if scope["type"] == "websocket" or _STREAMED.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        received, most = 0, _longest_body(scope)

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
            return message

        await self._app(scope, receive_bounded, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        query: bytes = scope["query_string"]
        if len(query) > _LONGEST_QUERY or len(scope.get("raw_path") or b"") > _LONGEST_PATH:
            return Problem(414, "uri_too_long", "The address is too long.")
        if sum(len(name) + len(value) for name, value in headers.raw) > _LONGEST_HEADERS:
            return Problem(431, "headers_too_large", "The request's headers are too large.")
        if b"%00" in query or "\0" in scope["path"]:
            return Problem(400, "bad_request", "The address holds a null character.")
        if not _HOST.fullmatch(headers.get("host", "localhost")):
            return Problem(400, "bad_request", "The Host header is not a host.")
        length = headers.get("content-length", "0")
        most = _longest_body(scope)
        if not _STREAMED.fullmatch(scope["path"]) and (not length.isdigit() or int(length) > most):
            return _too_large(most)
        # A line opens by GET, and reads: browsers let any page open one with our cookie.
        if scope.get("method") not in _SAFE_METHODS and not self._same_site(scope, headers):
            return Problem(403, "cross_site", "Another site's page may not do this.")
        return None

    def _same_site(self, scope: Scope, headers: Headers) -> bool:
        """Whether a write comes from our own pages or from a program.

        Browsers send Origin with every write across sites; programs send none, and cannot be made
        to send a cookie that is not theirs. A bearer token is no cookie: no page can borrow it.
        """
        origin = headers.get("origin")
        if "authorization" in headers:
            return True
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        scheme = scope["scheme"].replace("ws", "http")
        return origin in (f"{scheme}://{headers.get('host', '')}", self._public_origin)


def _longest_body(scope: Scope) -> int:
    return _LONGEST_WORKITEM if _WORKITEMS.fullmatch(scope["path"]) else _LONGEST_BODY


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"The body is larger than {most} bytes.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
