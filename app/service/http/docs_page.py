"""The OpenAPI document at /openapi.json and a page to read it at /docs. Both work without a network."""

from pathlib import Path
from typing import Any

import flask_openapi3_swagger
from flask import Response, jsonify, send_from_directory
from flask_openapi3.openapi import OpenAPI

ASSETS = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
FILES = {"ui.js": "js/swagger-ui-bundle.js", "ui.css": "css/swagger-ui.css"}
# No inline script, so that the policy can forbid them.
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Atelier: the image service's API</title>
<link rel="stylesheet" href="/docs/ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/ui.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# validatorUrl: the page would otherwise ask a server on the internet about our document.
START = """window.SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null});
"""


class DocumentedApi(OpenAPI):
    """flask-openapi3's app, whose document names our own shape for errors, whatever the address."""

    def generate_spec_json(self) -> None:
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        for operations in self.spec_json["paths"].values():
            for operation in operations.values():
                # flask-openapi3 adds a 422 where none is documented, a list; none of ours is one.
                content = operation["responses"].get("422", {}).get("content", {})
                if content.get("application/json", {}).get("schema", {}).get("type") == "array":
                    del operation["responses"]["422"]


def register(app: OpenAPI) -> None:
    """Serve document and page; both need no key, for they say nothing about anyone's work."""

    def document() -> Response:
        return jsonify(app.api_doc)

    def page() -> Response:
        return _with_policy(Response(PAGE, content_type="text/html; charset=utf-8"))

    def start() -> Response:
        return Response(START, content_type="text/javascript")

    def asset(name: str) -> Any:
        return send_from_directory(ASSETS, FILES[name], max_age=3600)

    app.add_url_rule("/openapi.json", view_func=document)
    app.add_url_rule("/docs", view_func=page)
    app.add_url_rule("/docs/start.js", view_func=start)
    app.add_url_rule(f"/docs/<any({', '.join(map(repr, FILES))}):name>", view_func=asset)


def _with_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response
