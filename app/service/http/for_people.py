"""What a person sees who opens the service in a browser: what it is, where the page is, and that an address is none.

Programs get JSON as ever: whoever does not ask for HTML first is one.
"""

from html import escape
from http import HTTPStatus

from flask import Flask, Response, jsonify, request

from app.core.settings import Settings
from app.service.http.errors import Failure, answer_errors_with
from app.service.http.problem_json import problem

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
TEXTS = {
    "en": {
        "title": "Atelier's image service",
        "what": "This address is for programs. Pictures are made on the page, or by a program that calls this service.",
        "nothing": "There is nothing at this address.",
        "page": "Open the page",
        "docs": "Read how programs talk to the service",
    },
    "zh": {
        "title": "Atelier 图像服务",
        "what": "这个地址供程序使用。图片在网页上生成,或由与本服务通信的程序生成。",
        "nothing": "此地址没有内容。",
        "page": "打开网页",
        "docs": "阅读程序如何与本服务通信",
    },
}
PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto 0; padding: 0 1.5rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
<ul><li><a href="{page_url}">{page}</a></li><li><a href="/docs">{docs}</a></li></ul>
</body>
</html>
"""


def register(app: Flask, settings: Settings) -> None:
    """Answer at `/`, and at addresses that are none, to those who come with a browser; errors of no door are problems.

    A door's own errors are its own to write.
    """

    def front() -> Response:
        if _is_a_person():
            return _page("what", 200, settings)
        return _told_apart(jsonify({"service": "atelier", "docs": "/docs", "openapi": "/openapi.json"}))

    def error(failure: Failure) -> Response:
        if failure.status != HTTPStatus.NOT_FOUND or request.url_rule is not None:
            return problem(failure)
        return _page("nothing", 404, settings) if _is_a_person() else _told_apart(problem(failure))

    app.add_url_rule("/", view_func=front)
    answer_errors_with(app, error)


def _is_a_person() -> bool:
    wanted = request.accept_mimetypes
    return request.method in ("GET", "HEAD") and wanted["text/html"] > wanted["application/json"]


def _page(text: str, status: int, settings: Settings) -> Response:
    language = request.accept_languages.best_match(list(TEXTS), default="en")
    words = TEXTS[language]
    host = request.host if request.host.endswith("]") else request.host.rpartition(":")[0] or request.host
    body = PAGE.format(
        language=language,
        title=words["title"],
        text=words[text],
        page=words["page"],
        docs=words["docs"],
        page_url=escape(f"http://{host}:{settings.ui_port}/", quote=True),
    )
    answer = Response(body, status=status, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Content-Language"] = language
    return _told_apart(answer)


def _told_apart(answer: Response) -> Response:
    answer.vary.update(("Accept", "Accept-Language"))
    return answer
