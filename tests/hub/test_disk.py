"""What of a model is here, whoever brought it, and cleaning up after interrupted downloads."""

import json
import shutil

import pytest

from app.core.models import Presence
from app.hub.child import Wanted
from app.hub.disk import INCOMPLETE, OnDisk, clean, on_disk, repositories, storage_folder
from app.hub.download_plan import PLAN_FILE, read_plan
from app.hub.fetch import fetch
from tests.hub.conftest import assert_same_files, error_of
from tests.hub_server import COMMIT, Hub

UNET = "unet/diffusion_pytorch_model.safetensors"


def test_cleaning_removes_every_trace_of_a_part(hub: Hub, wanted: Wanted) -> None:
    hub.budget = 1_000_000
    error_of(wanted)
    there = sum(file.stat().st_size for file in (storage_folder(wanted.repository) / "blobs").iterdir())
    assert clean(wanted) == there > 0
    assert on_disk(wanted) == OnDisk(Presence.ABSENT)
    assert not storage_folder(wanted.repository).exists()
    assert clean(wanted) == 0


def test_cleaning_a_complete_model_takes_only_the_litter(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    litter = storage_folder(wanted.repository) / "blobs" / f"abc.12345678{INCOMPLETE}"
    litter.write_bytes(b"left by another tool")
    assert clean(wanted) == 20
    assert on_disk(wanted).folder == folder
    assert_same_files(folder, hub.folder)


def test_cleaning_takes_the_folders_of_a_snapshot_whose_files_are_gone(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    old = storage_folder(wanted.repository) / "snapshots" / ("f" * 40)
    (old / "unet" / "deep").mkdir(parents=True)
    (old / "unet" / "deep" / "weights").symlink_to("../../../../blobs/gone")
    clean(wanted)
    assert list(old.parent.iterdir()) == [folder]


def test_cleaning_takes_a_storage_of_which_only_a_reference_is_left(hub: Hub, wanted: Wanted) -> None:
    reference = storage_folder(wanted.repository) / "refs" / "deep" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    assert clean(wanted) == 0
    assert not storage_folder(wanted.repository).exists()


def test_a_file_of_the_wrong_length_in_a_snapshot_is_fetched_again(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    file = folder / UNET
    blob = file.resolve()
    file.unlink()
    file.write_bytes(blob.read_bytes()[:-1])  # where a system has no links, the file itself lies here
    blob.unlink()
    assert on_disk(wanted).presence is Presence.PARTIAL
    assert_same_files(fetch(wanted), hub.folder)
    assert file.resolve() == blob  # in the cache's own place, where other snapshots find it
    assert on_disk(wanted).presence is Presence.COMPLETE


def test_a_model_without_a_repository_is_nowhere_in_the_cache(hub: Hub) -> None:
    assert on_disk(Wanted("")) == OnDisk(Presence.ABSENT)
    assert clean(Wanted("")) == 0


def test_a_model_that_another_tool_downloaded_is_complete(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    plan = next(storage_folder(wanted.repository).glob("*.json"))
    plan.unlink()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert on_disk(wanted) == OnDisk(Presence.COMPLETE, size, size, folder)


@pytest.mark.parametrize("lost", [UNET, "model_index.json", "tokenizer", "scheduler"])
def test_a_model_that_another_tool_downloaded_in_part_is_partial(hub: Hub, wanted: Wanted, lost: str) -> None:
    folder = fetch(wanted)
    next(storage_folder(wanted.repository).glob("*.json")).unlink()
    path = folder / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert on_disk(wanted).presence is Presence.PARTIAL
    assert_same_files(fetch(wanted), hub.folder)
    assert on_disk(wanted).presence is Presence.COMPLETE


def test_a_shard_that_is_missing_makes_a_model_partial(hub: Hub, wanted: Wanted) -> None:
    folder = fetch(wanted)
    next(storage_folder(wanted.repository).glob("*.json")).unlink()
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "diffusion_pytorch_model.safetensors", "b": "diffusion_pytorch_model-2.safetensors"}}'
    )
    assert on_disk(wanted).presence is Presence.PARTIAL


def test_the_models_that_lie_here_are_named_as_the_hub_does(hub: Hub, wanted: Wanted) -> None:
    assert repositories() == []
    for name in ("models--owner--a--b", "models--gpt2", "datasets--owner--a"):
        (storage_folder(wanted.repository).parent / name).mkdir(parents=True)
    assert repositories() == ["owner/a--b"]


def test_a_plan_of_an_earlier_version_and_an_empty_file_are_read(hub: Hub, wanted: Wanted) -> None:
    file = {"path": "tokenizer/merges.txt", "size": 0, "blob": "0" * 40}
    plan = {"asked": "main", "commit": COMMIT, "variant": None, "files": [file]}
    storage = storage_folder(wanted.repository)
    storage.mkdir(parents=True)
    (storage / PLAN_FILE).write_text(json.dumps(plan))
    read = read_plan(storage)
    assert read is not None
    assert (read.bare, read.size, read.files[0].sha256) == (False, 0, None)
