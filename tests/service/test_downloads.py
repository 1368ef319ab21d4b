"""Downloads over the API: told as they go, cancelled, gone on with, cleaned, refused with the reason."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.hub.disk import storage_folder
from tests.hub_server import Hub, serve_hub
from tests.pipelines import make_tiny_sd
from tests.service.conftest import House

LISTED = "somebody/other"  # key `other` in the catalog


@pytest.fixture(scope="module")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_sd(tmp_path_factory.mktemp("hub") / "tiny")


@pytest.fixture
def hub(tiny_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that the children of this test ask."""
    with serve_hub(LISTED, tiny_repository) as hub:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


@pytest.fixture(scope="module")
def online(make_house: Callable[..., House]) -> House:
    return make_house(offline=False)


def model(house: House, key: str) -> Any:
    return house.client.get(f"/api/models/{key}").get_json()


def wait(house: House, key: str, done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 30
    while not done(now := model(house, key)):
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return now


def there(now: Any) -> bool:
    return now["installed"] and now["download"] is None


def start(house: House, key: str) -> None:
    answer = house.client.post(f"/api/models/{key}/download")
    assert answer.status_code == 202, answer.text


def events(house: House, key: str) -> list[tuple[str, Any]]:
    with house.client.get(f"/api/models/{key}/events") as answer:
        blocks = answer.get_data(as_text=True).split("\n\n")
    pairs = [block.split("\n") for block in blocks if block.startswith("event: ")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in pairs]


def test_a_download_is_told_until_it_is_there(online: House, hub: Hub) -> None:
    assert model(online, "other")["files"] == "absent"
    hub.bytes_per_s = 5_000_000
    start(online, "other")
    told = events(online, "other")
    assert told[-1][0] == "downloaded"
    steps = [data for kind, data in told if kind == "downloading" and data["of"]]
    assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
    assert any(step["bytes_per_s"] and step["eta_s"] is not None for step in steps)
    now = model(online, "other")
    assert (now["installed"], now["files"], now["download"], now["bytes_on_disk"]) == (
        True,
        "complete",
        None,
        told[-1][1]["of"],
    )
    asked = len(hub.calls)
    start(online, "other")  # it is there: nothing happens
    assert model(online, "other")["download"] is None
    assert len(hub.calls) == asked


def test_a_cancelled_download_keeps_its_part_goes_on_and_is_cleaned(online: House, hub: Hub) -> None:
    hub.bytes_per_s = 400_000
    start(online, "other")
    part = wait(online, "other", lambda now: now["download"] and now["download"]["done"] > 100_000)
    assert part["download"]["state"] == "downloading"
    busy = online.client.post("/api/models/other/clean")
    assert (busy.status_code, busy.get_json()["code"]) == (409, "model_busy")
    cancelled = online.client.delete("/api/models/other/download").get_json()
    assert (cancelled["download"], cancelled["files"]) == (None, "partial")
    assert cancelled["bytes_on_disk"] >= part["download"]["done"]
    wait_for_no_child()
    assert online.client.delete("/api/models/other/download").status_code == 200  # again: nothing changes
    hub.bytes_per_s = 0
    start(online, "other")
    wait(online, "other", there)
    whole = model(online, "other")["bytes_on_disk"]
    assert hub.bytes_sent < whole + 700_000  # the tail of what was on its way
    assert any(asked for _, asked in hub.calls)


def test_what_is_partial_is_removed_by_a_call(online: House, hub: Hub) -> None:
    hub.budget = 1_000_000
    start(online, "other")
    wait(online, "other", lambda now: now["bytes_on_disk"] > 500_000)
    online.client.delete("/api/models/other/download")
    wait_for_no_child()
    before = model(online, "other")
    assert before["files"] == "partial"
    answer = online.client.post("/api/models/other/clean").get_json()
    assert answer["freed_bytes"] >= before["bytes_on_disk"]
    assert model(online, "other")["files"] == "absent"
    assert not storage_folder(LISTED).exists()


def test_a_killed_download_is_told_and_goes_on(online: House, hub: Hub) -> None:
    hub.bytes_per_s = 400_000
    start(online, "other")
    wait(online, "other", lambda now: now["download"] and now["download"]["done"] > 100_000)
    for child in children():
        os.kill(child.pid, signal.SIGKILL)
    failed = wait(online, "other", lambda now: now["download"] and now["download"]["state"] == "failed")
    assert "ended unexpectedly" in failed["download"]["error"]["message"]
    assert failed["files"] == "partial"
    hub.bytes_per_s = 0
    start(online, "other")
    wait(online, "other", there)


def test_any_hub_id_can_be_downloaded_and_is_then_in_the_list(online: House, hub: Hub) -> None:
    hub.repository = "somebody/free"
    assert online.client.get("/api/models/somebody/free").status_code == 404
    start(online, "somebody%2Ffree")
    now = wait(online, "somebody/free", there)
    assert (now["key"], now["own"], now["pipeline"]) == ("somebody/free", True, "StableDiffusionPipeline")
    listed = {item["key"]: item for item in online.client.get("/api/models").get_json()["items"]}
    assert listed["somebody/free"]["files"] == "complete"
    assert online.client.post("/api/models/somebody/free/load").status_code == 202
    assert online.client.get("/api/models/somebody/free/load").status_code == 405


def test_a_repository_that_the_catalog_lists_is_the_catalogs_model(online: House, hub: Hub) -> None:
    start(online, LISTED)
    assert wait(online, "other", there)["key"] == "other"
    assert online.client.get(f"/api/models/{LISTED}").get_json()["key"] == "other"
    keys = [item["key"] for item in online.client.get("/api/models").get_json()["items"]]
    assert keys.count("other") == 1
    assert LISTED not in keys


def test_a_failed_download_says_why_until_it_is_dismissed(online: House, hub: Hub) -> None:
    start(online, "nobody/nothing")
    failed = wait(online, "nobody/nothing", lambda now: now["download"]["state"] == "failed")
    error = failed["download"]["error"]
    assert error["code"] == "model_not_installed"
    assert "no model 'nobody/nothing'" in error["message"]
    assert online.client.delete("/api/models/nobody/nothing/download").status_code == 200
    assert online.client.get("/api/models/nobody/nothing").status_code == 404
    hub.status, hub.error_code, hub.files_only = 403, "GatedRepo", True
    start(online, "other")
    failed = wait(online, "other", lambda now: now["download"]["state"] == "failed")
    assert "hf auth login" in failed["download"]["error"]["hint"]
    online.client.delete("/api/models/other/download")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("pocket", 409, "not_downloadable"),
        ("no-such-key", 404, "unknown_model"),
        ("a--b/c", 404, "unknown_model"),
        ("..%2F..", 404, "unknown_model"),
    ],
)
def test_what_cannot_be_downloaded_is_refused(online: House, hub: Hub, key: str, status: int, code: str) -> None:
    answer = online.client.post(f"/api/models/{key}/download")
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_an_offline_service_downloads_nothing(house: House, hub: Hub) -> None:
    answer = house.client.post("/api/models/other/download")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_downloadable")
    assert "HF_HUB_OFFLINE" in answer.get_json()["hint"]
    assert hub.calls == []


def test_a_stopping_service_ends_its_download(make_house: Callable[..., House], hub: Hub) -> None:
    house = make_house(offline=False)
    hub.bytes_per_s = 300_000
    start(house, "other")
    wait(house, "other", lambda now: now["download"] and now["download"]["done"] > 50_000)
    house.service.stop(drain_s=0)
    wait_for_no_child()


def children() -> list[psutil.Process]:
    mine = psutil.Process().children(recursive=True)
    return [child for child in mine if "app.hub.child" in " ".join(_command(child))]


def wait_for_no_child() -> None:
    deadline = time.monotonic() + 10
    while children():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
