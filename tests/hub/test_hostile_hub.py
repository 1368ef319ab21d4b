"""A hub, a mirror or a file beside a model that lies: nothing is written or read outside, nothing unchecked is kept."""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import tests.hub_server as hub_server
from app.core.errors import AtelierError, DownloadFailed
from app.core.models import Presence
from app.hub import transfer
from app.hub.child import Wanted
from app.hub.disk import on_disk, storage_folder
from app.hub.download_plan import PLAN_FILE, DownloadPlan, PlannedFile, is_inside, is_revision, read_plan
from app.hub.fetch import fetch
from tests.hub_server import COMMIT, Hub

INDEX = "model_index.json"
Change = Callable[[list[dict[str, Any]]], object]


def lie(hub: Hub, monkeypatch: pytest.MonkeyPatch, change: Change, commit: str = COMMIT) -> None:
    """Let the listing say what it must not."""
    told = hub.listing()
    change(told)
    monkeypatch.setattr(hub, "listing", lambda: told)
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.001)
    true_answer = hub_server.answer

    def answer(request: BaseHTTPRequestHandler, served: Hub) -> None:
        if "/revision/" in request.path:
            info = {"id": served.repository, "sha": commit, "siblings": served.listing()}
            hub_server._reply(request, served, json.dumps(info).encode(), 200, {"Content-Type": "application/json"})
        else:
            true_answer(request, served)

    monkeypatch.setattr(hub_server, "answer", answer)


def refusal(wanted: Wanted) -> AtelierError:
    with pytest.raises(AtelierError) as failed:
        fetch(wanted)
    return failed.value


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "commit",
    ["../../../../outside", "..", "/tmp/outside", "", "main", COMMIT.upper(), COMMIT + "\n", COMMIT[:39], "a\\b"],
)
def test_a_commit_that_is_none_is_refused_before_anything_is_written(
    hub: Hub, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: str
) -> None:
    lie(hub, monkeypatch, lambda told: None, commit)
    before = everything(tmp_path)
    assert isinstance(refusal(wanted), DownloadFailed)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        {"size": -1}, {"size": 2**60}, {"blobId": "../../x"}, {"blobId": "main"}, {"blobId": "A" * 40},
        {"lfs": {"sha256": "../../../x", "size": 3, "pointerSize": 1}},
        {"lfs": {"sha256": "0" * 63, "size": 3, "pointerSize": 1}},
    ],
)  # fmt: skip
def test_a_size_or_checksum_that_is_none_is_refused_before_anything_is_written(
    hub: Hub, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any]
) -> None:
    lie(hub, monkeypatch, lambda told: [item.update(words) for item in told if item["rfilename"] == INDEX])
    before = everything(tmp_path)
    refusal(wanted)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["../x/a.json", "unet/../../a.json", "/etc/a.json", "..\\..\\a.json", "C:/a.json", "a\x1b/b.json", "unet//a.json"],
)
def test_a_name_that_leads_out_is_not_taken(
    hub: Hub, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert not is_inside(name)
    lie(hub, monkeypatch, lambda told: told.append({"rfilename": name, "size": 3, "blobId": "0" * 40}))
    with contextlib.suppress(AtelierError):
        fetch(wanted)
    outside = everything(tmp_path) - {path for path in everything(tmp_path) if path.startswith("hub cache")}
    assert not {path for path in outside if path.endswith("a.json") or path.endswith("b.json")}
    assert not any("\x1b" in path or "\\" in path for path in everything(tmp_path))


def test_a_small_file_with_another_content_is_not_kept(
    hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the same length: only git's own checksum can tell.
    lie(hub, monkeypatch, lambda told: [item.update(blobId="0" * 40) for item in told if item["rfilename"] == INDEX])
    assert "checksum is wrong" in refusal(wanted).message
    assert on_disk(wanted).presence is not Presence.COMPLETE
    assert not (storage_folder(wanted.repository) / "blobs" / ("0" * 40)).exists()


def test_a_file_that_is_longer_than_promised_is_not_kept(
    hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie(hub, monkeypatch, lambda told: [item.update(size=3) for item in told if item["rfilename"] == INDEX])
    monkeypatch.setattr(transfer, "TRIES", 2)
    assert "is longer than the 3 bytes" in refusal(wanted).message
    left = [file for file in storage_folder(wanted.repository).rglob("*") if file.is_file() and file.name != PLAN_FILE]
    assert all(file.stat().st_size != (hub.folder / INDEX).stat().st_size for file in left)


def test_a_file_that_is_empty_though_promised_otherwise_is_not_kept(
    hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (hub.folder / INDEX).stat().st_size
    lie(hub, monkeypatch, lambda told: [item.update(size=size + 1) for item in told if item["rfilename"] == INDEX])
    monkeypatch.setattr(transfer, "TRIES", 2)
    assert f"ended after {size} of {size + 1} bytes" in refusal(wanted).message


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_to_another_kind_of_address_is_not_followed(
    hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    true_answer = hub_server.answer
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(transfer, "TRIES", 2)

    def answer(request: BaseHTTPRequestHandler, served: Hub) -> None:
        if "/resolve/" in request.path:
            hub_server._reply(request, served, b"", 302, {"Location": target})
        else:
            true_answer(request, served)

    monkeypatch.setattr(hub_server, "answer", answer)
    refusal(wanted)
    kept = [file for file in storage_folder(wanted.repository).rglob("*") if file.is_file() and file.name != PLAN_FILE]
    assert all(file.stat().st_size == 0 for file in kept)


def test_what_a_redirect_leads_to_is_kept_only_if_it_is_the_promised_file(
    hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = b"what another program of this machine tells"
    asked: list[str] = []

    class Private(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(str(self.headers.get("Authorization")))
            self.send_response(200)
            self.send_header("Content-Length", str(len(secret)))
            self.end_headers()
            self.wfile.write(secret)

        def log_message(self, *_: object) -> None:
            pass

    true_answer = hub_server.answer
    with ThreadingHTTPServer(("127.0.0.1", 0), Private) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()

        def answer(request: BaseHTTPRequestHandler, served: Hub) -> None:
            if "/resolve/" in request.path:
                place = f"http://127.0.0.1:{server.server_port}/secret"
                hub_server._reply(request, served, b"", 302, {"Location": place})
            else:
                true_answer(request, served)

        monkeypatch.setattr(hub_server, "answer", answer)
        monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.001)
        monkeypatch.setattr(transfer, "TRIES", 2)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        refusal(wanted)
        server.shutdown()
        thread.join()
    assert set(asked) <= {"None"}  # the token never goes to another address
    blobs = storage_folder(wanted.repository) / "blobs"
    finished = [file for file in blobs.iterdir() if not file.name.endswith(".incomplete")] if blobs.is_dir() else []
    assert finished == []


def test_a_reference_or_a_plan_that_leads_out_is_not_followed(hub: Hub, wanted: Wanted, tmp_path: Path) -> None:
    folder = fetch(wanted)
    storage = storage_folder(wanted.repository)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / INDEX).write_bytes((folder / INDEX).read_bytes())
    plan = json.loads((storage / PLAN_FILE).read_bytes())
    (storage / PLAN_FILE).write_text(json.dumps(plan | {"commit": "../../../secret", "files": []}))
    assert read_plan(storage) is None
    for commit in ("../../../secret", str(secret), COMMIT + "/../../../../secret", "\xff"):
        (storage / "refs" / "main").write_text(commit, encoding="latin-1")
        assert on_disk(wanted).folder is None
    (storage / "refs" / "main").write_text(COMMIT)
    assert on_disk(wanted).folder == folder


def test_only_names_that_stay_below_are_paths() -> None:
    for good in ("a", "unet/model.safetensors", "苹果/x.json", "a..b", ".hidden"):
        assert is_inside(good)
    for bad in (
        "",
        "..",
        "a/..",
        "./a",
        "/a",
        "a//b",
        "a/",
        "a\\b",
        "a:b",
        "a\x00",
        "a\n",
        "\udcff",
        "x" * 300,
        None,
        3,
    ):
        assert not is_inside(bad)
    for good in ("main", "v1.0", "refs/pr/1", COMMIT):
        assert is_revision(good)
    for bad in ("../x", "/x", "a b", "", "-x", "a/../b", None):
        assert not is_revision(bad)
    with pytest.raises(ValueError, match="no file of a model"):
        PlannedFile("a", True, "0" * 40)
    with pytest.raises(ValueError, match="no revision"):
        DownloadPlan("main", "main", None, ())


def test_bytes_beyond_the_promise_never_reach_the_blob(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    for file in folder.rglob("*"):
        if file.is_file():
            blob = Path(os.path.realpath(file))
            data = blob.read_bytes()
            sums = {hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
            assert blob.name in sums
