"""How the client speaks HTTP: sessions without a proxy, and an answer that says no as an error."""

from collections.abc import Mapping
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from app.core.errors import ServiceError


def session(headers: Mapping[str, str], retry: Retry) -> requests.Session:
    """A session with these headers for every call."""
    opened = requests.Session()
    opened.trust_env = False  # no proxy may ever stand between this machine's processes
    opened.headers.update(headers)
    adapter = HTTPAdapter(max_retries=retry, pool_maxsize=32)
    opened.mount("http://", adapter)
    opened.mount("https://", adapter)
    return opened


def part(text: str) -> str:
    """One part of an address's path, whatever an id or key holds."""
    return quote(text, safe="")


def refusal(answer: requests.Response) -> ServiceError:
    """What an answer of status 300 or more says, as problem+json or not."""
    try:
        problem = answer.json()
    except requests.RequestException:
        problem = None
    problem = problem if isinstance(problem, dict) else {}
    retry_after = answer.headers.get("Retry-After", "")
    return ServiceError(
        problem.get("detail") or problem.get("title") or f"{answer.url} answered {answer.status_code} {answer.reason}.",
        code=problem.get("code", "service_error"),
        http_status=answer.status_code,
        hint=problem.get("hint"),
        errors=problem.get("errors") or (),
        retry_after_s=float(retry_after) if retry_after.isdigit() else None,
    )
