"""The language that a reader chose in the page: told to Gradio, which asks the browser alone."""

import json

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui.strings import chosen_language

PAGE = "/"
HEAD = b"<head>"


class ChosenLanguage:
    """Middleware: the page of a reader who chose a language begins with a script that gives the browser that language.

    It has to be the page's first script: Gradio looks at the browser before it runs what its own `head=` holds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the page with the script in it; anything else is passed on as it is."""
        wanted = scope["type"] == "http" and scope["path"] == PAGE and scope["method"] == "GET"
        language = chosen_language(Headers(scope=scope).get("cookie", "")) if wanted else None
        if language is None:
            await self._app(scope, receive, send)
            return
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, _with_script(send, script(language)))


def script(language: str) -> bytes:
    """What makes a browser say that its language is this one."""
    said = json.dumps(language)
    text = f"for (const [name, value] of [['language', {said}], ['languages', [{said}]]]) "
    text += "Object.defineProperty(navigator, name, { get: () => value });"
    return f"<script>{text}</script>".encode()


def _with_script(send: Send, added: bytes) -> Send:
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
