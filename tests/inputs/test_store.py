"""Uploaded pictures: kept once, within their limits, and freed exactly when nothing names them."""

import hashlib
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from app.core.errors import InputsFull, InvalidRequest, StorageUnavailable, UnknownInput
from app.core.schema import JobError, JobState
from app.core.task import Task
from app.database import inputs, reading
from app.engine.base import Picture
from app.inputs import upkeep
from app.jobs.retention import forget_finished
from app.picture.png import inspect
from app.storage import Folder
from tests.inputs.conftest import Cellar, picture, request_with
from tests.picture.conftest import a_png as one_of_ours


def test_the_same_pixels_are_kept_once_and_come_back_as_they_are(cellar: Cellar) -> None:
    store = cellar.store()
    kept = store.put(picture(1))
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture(1))).save(stream, "WEBP", lossless=True)
    assert store.put(stream.getvalue()) == kept
    assert (kept.width, kept.height, kept.mode, kept.said) == (8, 6, "RGB", {})
    data = store.open(kept.sha256)
    assert hashlib.sha256(data).hexdigest() == kept.sha256
    assert (len(data), cellar.files()) == (kept.bytes, {f"{kept.sha256}.png"})
    assert store.ref(kept.sha256) == kept


def test_a_label_made_by_ai_is_kept_beside_the_pixels_also_when_they_come_again_without(cellar: Cellar) -> None:
    store = cellar.store()
    kept = store.put(one_of_ours("a red apple"))
    assert kept.said["kind"] == "atelier"
    assert kept.said["labels"]["ai_generated"] is True
    assert kept.said["labels"]["aigc"]["Label"] == "1"
    assert kept.said["recipe"]["request"]["prompt"] == "a red apple"
    again = store.put(store.open(kept.sha256))
    assert again.sha256 == kept.sha256
    assert store.ref(kept.sha256).said == kept.said


def test_a_recipe_without_end_is_not_kept_but_its_label_is(cellar: Cellar) -> None:
    kept = cellar.store().put(one_of_ours("apple " * 3000, extra={"long": "x" * 60_000}))
    assert "recipe" not in kept.said
    assert kept.said["labels"]["ai_generated"] is True


def test_a_picture_that_is_refused_is_named_with_its_limits(cellar: Cellar) -> None:
    store = cellar.store(max_input_pixels=4096, max_input_bytes=2048)
    for data in (b"", b"GIF89a", picture(size=(100, 100)), picture() + bytes(2048)):
        with pytest.raises(InvalidRequest, match=r"^mask: .*at most 2048 bytes and 4096 pixels") as caught:
            store.put(data, field="mask")
        assert caught.value.errors[0].field == "mask"
    assert cellar.files() == set()


def test_an_unknown_a_lost_and_a_damaged_picture_are_all_said_to_be_none(cellar: Cellar) -> None:
    store = cellar.store()
    with pytest.raises(UnknownInput):
        store.open("0" * 64)
    kept = store.put(picture())
    file = cellar.folder / "inputs" / f"{kept.sha256}.png"
    file.write_bytes(b"damaged")
    with pytest.raises(UnknownInput, match="damaged"):
        store.open(kept.sha256)
    file.unlink()
    with pytest.raises(UnknownInput, match="gone"):
        store.open(kept.sha256)
    assert store.open(store.put(picture()).sha256)  # sent again, it is there again


def test_a_submit_that_names_what_is_not_here_is_refused_by_name(cellar: Cellar) -> None:
    kept = cellar.store().put(picture())
    unknown = kept.model_copy(update={"sha256": "f" * 64})
    with pytest.raises(InvalidRequest, match=r"inputs\.1\.sha256: 'f{64}' is not allowed") as caught:
        cellar.table.submit(request_with(kept, unknown), origin="api")
    assert [error.field for error in caught.value.errors] == ["inputs.1.sha256"]
    assert cellar.table.counts()[JobState.QUEUED] == 0


def test_a_fresh_upload_and_one_of_an_open_job_stay(cellar: Cellar) -> None:
    store = cellar.store()
    used, idle = store.put(picture(1)), store.put(picture(2))
    job, _ = cellar.table.submit(request_with(used), origin="api")
    assert store.free_unused() == 0
    cellar.age()
    assert store.free_unused() == 1
    assert cellar.files() == {f"{used.sha256}.png"}
    with pytest.raises(UnknownInput):
        store.ref(idle.sha256)
    [running] = cellar.table.claim()
    assert (running.id, store.free_unused()) == (job.id, 0)
    cellar.table.fail(running, JobError(code="x", message="x"))
    assert store.free_unused() == 1
    assert cellar.files() == set()


def test_what_a_saved_picture_was_made_from_stays_until_the_picture_is_deleted(cellar: Cellar) -> None:
    store, table, library = cellar.store(), cellar.table, cellar.library
    kept = store.put(picture(1))
    table.submit(request_with(kept), origin="api")
    [job] = table.claim()
    how = {"model": "pocket", "seconds": 1.0}
    saved = library.write(job, Picture(0, job.request.seed, 8, 6, bytes(8 * 6 * 3), how))
    assert table.finish(job, [saved], 1.0)
    cellar.age()
    assert forget_finished(cellar.database, 1e-9) in (0, 1)
    assert store.free_unused() == 0
    assert saved.recipe["request"]["inputs"][0]["sha256"] == kept.sha256
    assert f"Init image hash: {kept.sha256}".encode() in library.open(saved.id)
    library.delete(saved.id)
    assert cellar.files() == set()
    with pytest.raises(UnknownInput):
        store.ref(kept.sha256)


@pytest.mark.parametrize(("start", "kind"), [(picture(), "composite"), (one_of_ours(), "")], ids=["photograph", "ours"])
def test_what_is_made_from_a_photograph_is_labelled_as_a_composite(cellar: Cellar, start: bytes, kind: str) -> None:
    kept, mask = cellar.store().put(start), cellar.store().put(picture(9))
    cellar.table.submit(request_with(kept, mask, task=Task.INPAINT), origin="api")
    [job] = cellar.table.claim()
    saved = cellar.library.write(job, Picture(0, job.request.seed, 8, 6, bytes(8 * 6 * 3), {"model": "pocket"}))
    file = Folder(cellar.folder).read(saved.path)
    said = inspect(file).labels
    name = said["digital_source_type"].rpartition("/")[2]
    assert name == (f"{kind}WithTrainedAlgorithmicMedia" if kind else "trainedAlgorithmicMedia")
    assert (said["ai_generated"], saved.recipe["composite"]) == (True, bool(kind))


def test_an_input_that_two_jobs_share_stays_with_the_second(cellar: Cellar) -> None:
    store, table = cellar.store(), cellar.table
    kept = store.put(picture(1))
    first, _ = table.submit(request_with(kept), origin="api")
    second, _ = table.submit(request_with(kept), origin="api")
    cellar.age()
    table.cancel(first.id)
    assert store.free_unused() == 0
    table.cancel(second.id)
    assert store.free_unused() == 1


def test_the_same_picture_may_be_named_twice(cellar: Cellar) -> None:
    kept = cellar.store().put(picture(1))
    job, new = cellar.table.submit(request_with(kept, kept), origin="api")
    assert (new, [item.sha256 for item in job.request.inputs]) == (True, [kept.sha256] * 2)


def test_the_quota_holds_however_many_upload_at_once(cellar: Cellar) -> None:
    store = cellar.store(inputs_max_bytes=2**20)
    noise = [os.urandom(300 * 300 * 3) for _ in range(8)]  # 270 kB each: three fit

    def put(rgb: bytes) -> bool:
        stream = io.BytesIO()
        Image.frombytes("RGB", (300, 300), rgb).save(stream, "PNG", compress_level=0)
        try:
            store.put(stream.getvalue())
        except InputsFull:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(put, noise, timeout=120))
    assert done.count(True) == 3
    assert store.used_bytes() <= 2**20
    cellar.age()
    assert put(os.urandom(300 * 300 * 3))  # what nobody uses makes room
    assert store.used_bytes() < 2**19


def test_of_many_exactly_the_unused_are_freed(cellar: Cellar) -> None:
    store, table = cellar.store(), cellar.table
    kept = [store.put(picture(number)) for number in range(120)]
    used = kept[::7]
    for ref in used:
        table.submit(request_with(ref), origin="api")
    cellar.age()
    fresh = store.put(picture(1))
    assert store.free_unused() == len(kept) - len(used) - 1
    wanted = {ref.sha256 for ref in (*used, fresh)}
    assert cellar.files() == {f"{sha256}.png" for sha256 in wanted}
    with reading(cellar.database) as connection:
        assert set(connection.scalars(select(inputs.c.sha256))) == wanted


def test_whoever_sends_a_picture_while_it_is_freed_finds_it_there(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cellar.store()
    kept = store.put(picture(1))
    cellar.age()
    look = Folder.read

    def freed_first(self: Folder, path: str) -> bytes:
        data = look(self, path)
        monkeypatch.setattr(Folder, "read", look)
        assert store.free_unused() == 1  # between the sender's look at the file and its row
        return data

    monkeypatch.setattr(Folder, "read", freed_first)
    assert store.put(picture(1)) == kept
    assert store.open(kept.sha256)


def test_what_a_crash_left_goes_and_files_of_another_database_stay(cellar: Cellar) -> None:
    folder = cellar.folder / "inputs"
    folder.mkdir(parents=True)
    old, young, older = (f"{letter * 64}.png" for letter in "abc")
    for name in (old, young, older, ".x.png.1234.tmp"):
        (folder / name).write_bytes(b"x")
    store = cellar.store()
    used = store.put(picture())
    cellar.table.submit(request_with(used), origin="api")
    cellar.age(5 * 3600)
    now = time.time()
    for name, age in ((old, 7200), (young, 60), (older, 24 * 3600), (".x.png.1234.tmp", 7200)):
        os.utime(folder / name, (now - age, now - age))
    store.free_unused()
    assert cellar.files() == {young, older, f"{used.sha256}.png"}


def test_a_disk_that_cannot_free_keeps_the_row(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cellar.store()
    kept = store.put(picture())
    cellar.age()

    def refuse(root: Path, path: str) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "remove", refuse)
        with pytest.raises(StorageUnavailable):
            store.free_unused()
    assert store.open(kept.sha256)
    assert store.free_unused() == 1


def test_a_rebuild_gives_pictures_back_what_they_were_made_from(new_cellar: Callable[..., Cellar]) -> None:
    cellar = new_cellar()
    store, table = cellar.store(), cellar.table
    kept, gone = store.put(picture(1)), store.put(picture(2))
    table.submit(request_with(kept, gone), origin="api")
    [job] = table.claim()
    cellar.library.write(job, Picture(0, job.request.seed, 8, 6, bytes(8 * 6 * 3), {"model": "pocket"}))
    (cellar.folder / "inputs" / f"{gone.sha256}.png").unlink()
    lost = new_cellar("other.db")
    assert lost.store().free_unused(0) == 0
    assert lost.library.rebuild().restored == 1
    assert lost.store().ref(kept.sha256) == kept
    with pytest.raises(UnknownInput):
        lost.store().ref(gone.sha256)
    lost.age()
    assert lost.store().free_unused() == 0
    lost.library.delete(lost.library.search().items[0].id)
    assert lost.files() == set()


def test_a_batch_that_found_jobs_meanwhile_does_not_hold_the_janitor_up(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, table = cellar.store(), cellar.table
    kept = store.put(picture(1))
    cellar.age()
    free = upkeep._free

    def taken_first(*arguments: object) -> int:
        table.submit(request_with(kept), origin="api")
        return free(*arguments)

    monkeypatch.setattr(upkeep, "_free", taken_first)
    assert store.free_unused() == 0
    assert store.open(kept.sha256)
