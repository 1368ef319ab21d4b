"""No field of a request becomes a path: the page opens, lists and calls nothing that a visitor names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from app.client import ImageServiceClient
from app.ui.gradio_blocks import MAX_DEPTH, FileRefused, refuse_files
from tests.running import RunningService, WatchedPage
from tests.ui.calls import functions_of
from tests.ui.foreign import Stranger, stranger

EVENTS = "/gradio_api/run/predict"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, service: RunningService) -> Iterator[WatchedPage]:
    """A page that tells what it opens and calls."""
    with WatchedPage(tmp_path_factory.mktemp("watched"), service.url) as page:
        yield page


@pytest.fixture(scope="module")
def http() -> requests.Session:
    """Calls without any proxy of this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


@pytest.fixture(scope="module")
def functions(http: requests.Session, watched: WatchedPage) -> list[dict[str, Any]]:
    """Every function of the page that can be called, as the page tells the browser."""
    found = functions_of(http, watched.url)
    assert len(found) > 20
    return found


@pytest.fixture
def elsewhere() -> Iterator[Stranger]:
    """A stranger's server, that nobody may call."""
    with stranger() as running:
        yield running


def file_at(path: str) -> dict[str, Any]:
    """What Gradio takes for a file."""
    return {"path": path, "url": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}


def shapes(path: str) -> list[tuple[Any, Any]]:
    """Ways to put a file into a call: as any input, and as what a pressed button says."""
    file, inside = file_at(path), json.dumps({"prompt": file_at(path), "model": file_at(path), "width": file_at(path)})
    return [
        (file, None),
        ([file], None),
        ({"jobs": [], "request": {"prompt": file, "model": "pocket"}}, None),
        ({"__type__": "update", "value": file}, None),
        (path, {"act": "handed-in", "id": path}),
        (None, {"act": "apply", "request": inside}),
        (None, {"act": "example", "text": file}),
        (None, {"act": "use", "id": file}),
        (None, file),
    ]


def test_no_function_of_the_page_opens_or_calls_what_a_visitor_names(
    http: requests.Session,
    watched: WatchedPage,
    functions: list[dict[str, Any]],
    elsewhere: Stranger,
    client: ImageServiceClient,
    tmp_path: Path,
) -> None:
    image = client.generate({"prompt": "somebody's picture"}).images[0]
    secret = tmp_path / "secret-canary.png"
    secret.write_bytes(client.image_bytes(image.id))
    for target in (str(secret), "/dev/zero", f"{elsewhere.same_site}/cat.png"):
        for value, pressed in shapes(target):
            for function in functions:
                body = {
                    "data": [value] * len(function["inputs"]),
                    "event_data": pressed,
                    "fn_index": function["id"],
                    "session_hash": "somebody",
                }
                answer = http.post(watched.url + EVENTS, json=body, timeout=30)
                if value == file_at(target) and function["inputs"]:
                    assert not answer.ok, function
    opened = watched.opened
    assert "socket.connect" in opened  # the watch works: it calls the service
    assert "secret-canary" not in opened
    assert "'/dev/zero'" not in opened
    assert str(elsewhere.port) not in opened
    assert elsewhere.asked == []


def test_gradio_itself_would_refuse_a_path_that_it_did_not_make(page_inside: dict[str, Any]) -> None:
    assert page_inside["refuses"]


# Keys of three letters: none of them is `path`.
@given(st.recursive(st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)))
def test_a_file_is_found_however_deep_it_lies(value: Any) -> None:
    refuse_files(value)
    for hidden in ([value, {"a": ({"path": "x"},)}], {"a": value, "path": 1}):
        with pytest.raises(FileRefused):
            refuse_files(hidden)


def test_what_is_too_deep_to_look_through_is_refused() -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(FileRefused):
        refuse_files(deep)
