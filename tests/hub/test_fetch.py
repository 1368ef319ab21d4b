"""A model from the hub: what is needed and no more, whole and checked, gone on with where it stopped."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

import app.hub.transfer as transfer
from app.core.errors import AtelierError, DiskFull, DownloadFailed, ModelNotInstalled, ModelRefused
from app.core.models import Presence
from app.hub.child import Wanted
from app.hub.disk import INCOMPLETE, OnDisk, hub_cache, on_disk, storage_folder
from app.hub.fetch import SPARE_BYTES, fetch, make_plan
from tests.hub.conftest import assert_same_files, error_of
from tests.hub_server import COMMIT, Hub

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.001)


def partials(wanted: Wanted) -> list[Path]:
    return list(storage_folder(wanted.repository).rglob(f"*{INCOMPLETE}"))


def test_a_model_is_brought_whole_and_without_what_nobody_needs(hub: Hub, wanted: Wanted) -> None:
    assert on_disk(wanted) == OnDisk(Presence.ABSENT)
    told: list[tuple[int, int]] = []
    folder = fetch(wanted, lambda done, of: told.append((done, of)))
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {"model_index.json", UNET, "tokenizer/tokenizer_config.json"} <= names
    assert not {"README.md", "pipeline.py", "unet/diffusion_pytorch_model.bin"} & names
    assert_same_files(folder, hub.folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert on_disk(wanted) == OnDisk(Presence.COMPLETE, size, size, folder)
    assert folder.name == COMMIT


def test_huggingface_hub_itself_finds_what_was_brought(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    assert snapshot_download(wanted.repository, cache_dir=hub_cache(), local_files_only=True) == str(folder)


def test_a_complete_model_asks_the_hub_for_nothing(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    hub.calls.clear()
    assert fetch(wanted) == folder
    assert hub.calls == []


def test_a_connection_that_is_cut_ten_times_only_costs_what_was_not_received(hub: Hub, wanted: Wanted) -> None:
    hub.cuts = [random.Random(3).randrange(1000, 400_000) for _ in range(10)]
    folder = fetch(wanted)
    assert hub.cuts == []
    assert_same_files(folder, hub.folder)
    assert sum(1 for _, asked in hub.calls if asked) >= 9
    assert hub.bytes_sent < 1.1 * on_disk(wanted).done
    assert partials(wanted) == []


def test_a_download_that_ended_goes_on_where_it_stopped(hub: Hub, wanted: Wanted) -> None:
    amounts = []
    for budget in (700_000, 1_500_000, 3_000_000):
        hub.budget = budget
        assert isinstance(error_of(wanted), DownloadFailed)
        found = on_disk(wanted)
        assert found.presence is Presence.PARTIAL
        assert found.folder is None
        amounts.append(found.done)
        assert partials(wanted)
    assert 0 < amounts[0] < amounts[1] < amounts[2]
    hub.budget = None
    sent_before = hub.bytes_sent
    assert_same_files(fetch(wanted), hub.folder)
    assert hub.bytes_sent - sent_before < on_disk(wanted).of - amounts[-1] + 10_000
    assert partials(wanted) == []


def test_a_hub_that_knows_no_ranges_is_read_from_the_start(hub: Hub, wanted: Wanted) -> None:
    hub.ranges = False
    hub.cuts = [200_000, 300_000]
    told: list[int] = []
    assert_same_files(fetch(wanted, lambda done, of: told.append(done)), hub.folder)
    assert told[-1] == on_disk(wanted).of


def test_a_damaged_file_is_not_kept(hub: Hub, wanted: Wanted) -> None:
    hub.damage = True
    error = error_of(wanted)
    assert isinstance(error, DownloadFailed)
    assert "checksum is wrong" in error.message
    assert on_disk(wanted).presence is Presence.PARTIAL
    hub.damage = False
    assert_same_files(fetch(wanted), hub.folder)


def test_a_partial_file_that_was_tampered_with_is_fetched_again(hub: Hub, wanted: Wanted) -> None:
    hub.budget = 1_000_000
    error_of(wanted)
    for file in partials(wanted):
        file.write_bytes(b"x" * file.stat().st_size)
    hub.budget = None
    assert "checksum" in error_of(wanted).message
    for _ in range(4):  # each try throws one more bad part away
        try:
            fetch(wanted)
        except DownloadFailed:
            continue
        break
    assert_same_files(fetch(wanted), hub.folder)


def test_a_transfer_that_is_stopped_asks_no_second_time(hub: Hub, wanted: Wanted) -> None:
    plan = make_plan(wanted)
    storage = storage_folder(wanted.repository)
    moved = transfer.FileTransfer(wanted.repository, plan, storage, transfer.Meter(0, plan.size, lambda *_: None))
    moved.stop()
    hub.calls.clear()
    with pytest.raises(DownloadFailed, match="was stopped"):
        moved.fetch(plan.files[0])
    assert len(hub.calls) == 1


# Refusals


def test_a_gated_model_says_how_to_log_in(hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status, hub.error_code, hub.files_only = 403, "GatedRepo", True
    error = error_of(wanted)
    assert isinstance(error, ModelNotInstalled)
    assert "is gated" in error.message
    assert "hf auth login" in str(error.hint)
    assert f"{hub.url}/{hub.repository}" in str(error.hint)
    hub.status = 0
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(wanted)
    assert hub.authorization[-1] == "Bearer hf_secret"


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "", ModelNotInstalled, "refuses"),
        (403, "", ModelNotInstalled, "refuses"),
        (404, "RepoNotFound", ModelNotInstalled, "no model 'someone/tiny', or it is private"),
        (404, "RevisionNotFound", ModelNotInstalled, "no such revision"),
        (500, "", DownloadFailed, "answered 500"),
        (503, "", DownloadFailed, "answered 503"),
    ],
)
def test_what_the_hub_refuses_is_told_in_plain_words(
    hub: Hub, wanted: Wanted, status: int, code: str, kind: type[AtelierError], words: str
) -> None:
    hub.status, hub.error_code = status, code
    error = error_of(wanted)
    assert type(error) is kind
    assert words in error.message
    assert not storage_folder(wanted.repository).exists()


def test_without_a_network_the_proxy_and_the_mirror_are_named(
    hub: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    error = error_of(wanted)
    assert isinstance(error, DownloadFailed)
    assert "http://127.0.0.1:9 cannot be reached" in error.message
    assert "HTTPS_PROXY" in str(error.hint)


def test_a_repository_that_is_no_diffusers_model_is_refused(hub: Hub, wanted: Wanted, tmp_path: Path) -> None:
    hub.folder = tmp_path / "empty"
    (hub.folder / "unet").mkdir(parents=True)
    (hub.folder / "weights.safetensors").write_bytes(b"x")
    assert "no model_index.json" in error_of(wanted).message
    (hub.folder / "model_index.json").write_text("{}")
    (hub.folder / "unet" / "model.bin").write_bytes(b"x")
    error = error_of(wanted)
    assert isinstance(error, ModelRefused)
    assert "no safetensors weights" in error.message


def test_a_name_that_is_no_hub_id_is_refused(hub: Hub) -> None:
    assert isinstance(error_of(Wanted("a b/../c")), ModelRefused)


def test_names_that_lead_out_of_the_folder_are_not_fetched(hub: Hub, wanted: Wanted) -> None:
    listing = hub.listing()
    evil = [
        {**listing[-1], "rfilename": name}
        for name in ("unet/..\\evil.json", "../evil.json", "unet/../../evil.json", "/a/evil.json")
    ]
    hub.listing = lambda: listing + evil
    folder = fetch(wanted)
    assert not any("evil" in file.name for file in folder.parents[3].rglob("*"))


def test_two_processes_do_not_write_the_same_files(hub: Hub, wanted: Wanted) -> None:
    hub.bytes_per_s = 300_000
    thread = threading.Thread(target=fetch, args=(wanted,))
    thread.start()
    while not on_disk(wanted).done:
        time.sleep(0.01)
    assert "by another process" in error_of(wanted).message
    hub.bytes_per_s = 0
    thread.join()
    assert on_disk(wanted).presence is Presence.COMPLETE


# The disk


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real file system with a little more room than a download asks for, as the hub's cache."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={SPARE_BYTES + 8 * 2**20}", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_with_too_little_room_is_told_before_anything_is_fetched(
    hub: Hub, wanted: Wanted, small_disk: Path
) -> None:
    (small_disk / "filler").write_bytes(bytes(6 * 2**20))
    error = error_of(wanted)
    assert isinstance(error, DiskFull)
    free = shutil.disk_usage(small_disk).free
    assert f"{free} bytes" in error.message
    assert f"{on_disk(wanted).of} bytes" in error.message
    assert not [path for path, _ in hub.calls if "resolve" in path]


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(hub: Hub, wanted: Wanted, small_disk: Path) -> None:
    hub.bytes_per_s = 500_000
    errors: list[AtelierError] = []
    thread = threading.Thread(target=lambda: errors.append(error_of(wanted)))
    thread.start()
    while on_disk(wanted).done < 100_000:
        time.sleep(0.01)
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        while shutil.disk_usage(small_disk).free:
            try:
                filler.write(bytes(2**20))
            except OSError:
                break
    hub.bytes_per_s = 0
    thread.join()
    [error] = errors
    assert isinstance(error, DiskFull)
    (small_disk / "filler").unlink()
    assert on_disk(wanted).done > 0
    assert_same_files(fetch(wanted), hub.folder)


def test_a_base_whose_transformer_is_a_file_of_its_own_comes_without_that(
    hub: Hub, wanted: Wanted, tmp_path: Path
) -> None:
    hub.folder = tmp_path / "repository"
    for part in ("transformer", "vae"):
        (hub.folder / part).mkdir(parents=True)
        (hub.folder / part / "config.json").write_text("{}")
        (hub.folder / part / "diffusion_pytorch_model.safetensors").write_bytes(bytes(1000))
    (hub.folder / "model_index.json").write_text(
        '{"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"],'
        ' "vae": ["diffusers", "AutoencoderKL"]}'
    )
    bare = Wanted(wanted.repository, transformer="mine.gguf")
    folder = fetch(bare)
    assert [file.parent.name for file in folder.rglob("*.safetensors")] == ["vae"]
    assert (folder / "transformer" / "config.json").is_file()
    assert on_disk(bare).presence is Presence.COMPLETE
    assert on_disk(wanted).presence is Presence.PARTIAL
    assert len(list(fetch(wanted).rglob("*.safetensors"))) == 2
    assert on_disk(bare).presence is Presence.COMPLETE
