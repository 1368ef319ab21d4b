"""What the page begins with, before anything of Gradio's: the look, the scripts, and the language that was chosen.

Gradio itself would add them when its own scripts have run. By then it has shown a page without a look, which jumps when
the look comes, and has asked the browser for its language.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui.strings import chosen_language

PAGE = "/"
HEAD = b"<head>"
LINKS = '<meta name="theme-color" content="#0f766b"><link rel="apple-touch-icon" href="atelier/icon/small.png">'


class PageHead:
    """Middleware: the page's head begins with this text; for a reader who chose a language, also with a script that
    gives the browser that language."""

    def __init__(self, app: ASGIApp, head: str) -> None:
        self._app = app
        self._head = head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the page with it; anything else is passed on as it is."""
        if not (scope["type"] == "http" and scope["path"] == PAGE and scope["method"] == "GET"):
            await self._app(scope, receive, send)
            return
        language = chosen_language(Headers(scope=scope).get("cookie", ""))
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        added = (language_script(language) if language else b"") + self._head
        packed = _packed(send) if "gzip" in Headers(scope=scope).get("accept-encoding", "") else send
        await self._app({**scope, "headers": plain}, receive, _with_head(packed, added))


def head_of(folder: Path, style: str, scripts: Sequence[str]) -> str:
    """The head with this style sheet and these scripts of `folder`."""
    script = "\n".join((folder / f"{name}.js").read_text("utf-8") for name in scripts)
    return f"{LINKS}<style>{(folder / style).read_text('utf-8')}</style><script>{script}</script>"


def language_script(language: str) -> bytes:
    """What makes a browser say that its language is this one."""
    said = json.dumps(language)
    text = f"for (const [name, value] of [['language', {said}], ['languages', [{said}]]]) "
    text += "Object.defineProperty(navigator, name, { get: () => value });"
    return f"<script>{text}</script>".encode()


def _packed(send: Send) -> Send:
    """The page itself is a hundred kilobytes that repeat themselves."""
    start: Message | None = None
    gzip = zlib.compressobj(level=6, wbits=zlib.MAX_WBITS + 16)

    async def sending(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        more = message.get("more_body", False)
        body = gzip.compress(message.get("body", b"")) + (b"" if more else gzip.flush())
        if start is not None:
            headers = MutableHeaders(scope=start)
            headers["content-encoding"] = "gzip"
            headers.add_vary_header("accept-encoding")
            if more:
                del headers["content-length"]
            else:
                headers["content-length"] = str(len(body))
            await send(start)
            start = None
        await send({**message, "body": body})

    return sending


def _with_head(send: Send, added: bytes) -> Send:
    start: Message | None = None

    async def sending(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message  # its length is known when the body is
            return
        if start is not None:
            body: bytes = message.get("body", b"")
            changed = body.replace(HEAD, HEAD + added, 1)
            headers = MutableHeaders(scope=start)
            if "content-length" in headers:
                headers["content-length"] = str(int(headers["content-length"]) + len(changed) - len(body))
            await send(start)
            start, message = None, {**message, "body": changed}
        await send(message)

    return sending
