"""What a request's body may cost before anybody looks at it: how long it is, how deep and how finely it is divided."""

import json
from typing import Any

from flask import current_app, request
from flask.json.provider import DefaultJSONProvider

MAX_JSON_BYTES = 2**20  # two prompts of 20,000 characters are at most 480 kB of JSON
MAX_PICTURE_BYTES = 64 * 2**20
MAX_DEPTH = 33  # the body itself, and what is inside `extra` up to 32 deep
MAX_PARTS = 50_000  # commas and colons: two prompts of nothing else have 40,000, and each part may be a wrong field
# Addresses that take pictures: as they are, or as base64 in JSON. All others take 1 MiB of JSON.
TAKES_PICTURES = frozenset(
    {
        "/api/inspect",
        "/api/inputs",
        "/sdapi/v1/png-info",
        "/sdapi/v1/extra-single-image",
        "/sdapi/v1/extra-batch-images",
        "/sdapi/v1/img2img",
        "/sdapi/v1/txt2img",
        "/controlnet/detect",
        "/v1/images/edits",
        "/v1/images/variations",
    }
)


class StrictJson(DefaultJSONProvider):
    """JSON as RFC 8259 has it (no NaN, no Infinity), at most 33 levels deep. Raises ValueError for any other text."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Called by Flask for the body of a request."""
        comma, colon = (b",", b":") if isinstance(s, bytes) else (",", ":")
        if s.count(comma) + s.count(colon) > MAX_PARTS:  # type: ignore[arg-type]
            raise ValueError(f"it has more than {MAX_PARTS} parts")
        try:
            value = json.loads(s, parse_constant=_refuse_constant, **kwargs)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if _is_deep(value):
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        return value


def limit_body() -> None:
    """Set how long the body of the request being served may be: whoever reads more gets 413."""
    most: int = current_app.config["MAX_CONTENT_LENGTH"]
    rule = request.url_rule.rule if request.url_rule is not None else ""
    request.max_content_length = min(MAX_PICTURE_BYTES if rule in TAKES_PICTURES else MAX_JSON_BYTES, most)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for part in level if isinstance(part, dict | list) for item in _items(part)]
        if not level:
            return False
    return True


def _items(part: dict[str, Any] | list[Any]) -> Any:
    return part.values() if isinstance(part, dict) else part


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
