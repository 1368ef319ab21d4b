"""What the page begins with, before anything of Gradio's: the look, the scripts, the language that was chosen, and what
can be used while Gradio's scripts still run.

Gradio itself would add them when its own scripts have run. By then it has shown a page without a look, which jumps when
the look comes, and has asked the browser for its language.
"""

import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui.gradio_files import needed
from app.ui.markup import Markup
from app.ui.strings import CHINESE, ENGLISH, Strings, chosen_language
from app.ui.views.splash import splash

PAGE = "/"
HEAD, BODY = b"<head>", b"<body"
# What runs Gradio, and what `static/splash.js` makes such a script of when the splash has been drawn.
RUNS = re.compile(rb'<script type="module" crossorigin src="([^"]+)"></script>')
RUNS_LATER = rb'<link id="at-gradio" rel="modulepreload" crossorigin href="\1" data-needs="%s">'
LINKS = '<meta name="theme-color" content="#0f766b"><link rel="apple-touch-icon" href="atelier/icon/small.png">'
LIVES = "<script>window.atelierSplash()</script>"  # what stands above it is there by then
COLOURS = '<link rel="stylesheet" href="theme.css">'  # Gradio's, which it asks for later itself


class PageHead:
    """Middleware: the page's head begins with this text, and its body with the splash in the reader's language; for a
    reader who chose one the head also has a script that gives the browser that language."""

    def __init__(self, app: ASGIApp, head: str, strings: Strings) -> None:
        self._app = app
        self._head = head.encode()
        self._strings = strings
        self._splash = {name: (splash(strings.words(name)) + Markup(LIVES)).encode() for name in (ENGLISH, CHINESE)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the page with it; anything else is passed on as it is."""
        if not (scope["type"] == "http" and scope["path"] == PAGE and scope["method"] == "GET"):
            await self._app(scope, receive, send)
            return
        language = chosen_language(Headers(scope=scope).get("cookie", ""))
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        words = self._strings.for_request(HTTPConnection(scope))
        title = Markup("<title>{}</title>").format(words("app_name")).encode()  # Gradio's own comes with its scripts
        added = (language_script(language) if language else b"") + title + self._head
        packed = _packed(send) if "gzip" in Headers(scope=scope).get("accept-encoding", "") else send
        await self._app({**scope, "headers": plain}, receive, _with(packed, added, self._splash[words.language]))


def head_of(folder: Path, style: str, scripts: Sequence[str]) -> str:
    """The head with this style sheet and these scripts of `folder`."""
    script = "\n".join((folder / f"{name}.js").read_text("utf-8") for name in scripts)
    return f"{LINKS}{COLOURS}<style>{(folder / style).read_text('utf-8')}</style><script>{script}</script>"


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


def _with(send: Send, head: bytes, splash: bytes) -> Send:
    start: Message | None = None

    async def sending(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message  # its length is known when the body is
            return
        if start is not None:
            body: bytes = message.get("body", b"")
            changed = _spliced(body, head, splash)
            headers = MutableHeaders(scope=start)
            if "content-length" in headers:
                headers["content-length"] = str(int(headers["content-length"]) + len(changed) - len(body))
            await send(start)
            start, message = None, {**message, "body": changed}
        await send(message)

    return sending


def _spliced(page: bytes, head: bytes, splash: bytes) -> bytes:
    """The page with both; what has no head or no body, as an answer that leads to the login, stays as it is."""
    above, tag, rest = page.rpartition(BODY)
    attributes, end, below = rest.partition(b">")
    if not tag or not end:
        return page
    above = RUNS.sub(RUNS_LATER % needed().encode(), above, count=1)
    return above.replace(HEAD, HEAD + head, 1) + tag + attributes + end + splash + below
