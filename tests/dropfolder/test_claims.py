"""Several watchers on one folder: who has which file."""

import os
import threading
import time
from pathlib import Path

import pytest

from app.client import ImageServiceClient
from app.dropfolder import Watcher
from app.dropfolder.claims import Claims

USER = "0b5c2c4e-6f8e-4e0e-9a53-0a7c9a8a3a11"


def drop(folder: Path, message: str) -> Path:
    file = folder / f"{USER}-{message}-64x64.txt"
    file.write_text("a cat")
    return file


def test_of_two_watchers_one_gets_the_file(tmp_path: Path) -> None:
    one, two = Claims(tmp_path, dead_after_s=30), Claims(tmp_path, dead_after_s=30)
    drop(tmp_path, "1")
    [name] = one.waiting()
    assert two.waiting() == [name]
    claimed = one.take(name)
    assert claimed is not None
    assert one.claimant in claimed.name
    assert two.take(name) is None
    assert two.waiting() == []


def test_a_new_file_under_the_name_of_one_in_work_waits_for_its_end(tmp_path: Path) -> None:
    one, two = Claims(tmp_path, dead_after_s=30), Claims(tmp_path, dead_after_s=30)
    drop(tmp_path, "1").write_text("the first")
    claimed = one.take(one.waiting()[0])
    drop(tmp_path, "1").write_text("the second")
    other = drop(tmp_path, "2")
    assert [name.prompt for name in one.waiting()] == [name.prompt for name in two.waiting()] == [other.name]
    assert claimed is not None
    assert claimed.read_text() == "the first"
    claimed.unlink()
    assert len(one.waiting()) == 2


def test_the_oldest_file_comes_first(tmp_path: Path) -> None:
    for age, message in ((1, "young"), (9, "old"), (5, "middle")):
        os.utime(drop(tmp_path, message), (time.time() - age,) * 2)
    waiting = Claims(tmp_path, dead_after_s=30).waiting()
    assert [name.stem.split("-")[5] for name in waiting] == ["old", "middle", "young"]


def test_a_living_watcher_keeps_its_claims(tmp_path: Path) -> None:
    one, two = Claims(tmp_path, dead_after_s=30), Claims(tmp_path, dead_after_s=30)
    one.beat()
    drop(tmp_path, "1")
    one.take(one.waiting()[0])
    assert two.take_over_from_the_dead() == []


def test_a_dead_watchers_claim_is_taken_over_once(tmp_path: Path) -> None:
    dead, one, two = (Claims(tmp_path, dead_after_s=30) for _ in range(3))
    dead.beat()
    file = drop(tmp_path, "1")
    written_at = file.stat().st_mtime_ns
    dead.take(dead.waiting()[0])
    os.utime(tmp_path / f".watcher-{dead.claimant}", (time.time() - 60,) * 2)
    [(name, path)] = one.take_over_from_the_dead()
    assert name.prompt == file.name
    assert path.stat().st_mtime_ns == written_at
    assert two.take_over_from_the_dead() == []


def test_a_watcher_that_ended_properly_frees_its_claims_at_once(tmp_path: Path) -> None:
    gone, one = Claims(tmp_path, dead_after_s=30), Claims(tmp_path, dead_after_s=30)
    gone.beat()
    drop(tmp_path, "1")
    gone.take(gone.waiting()[0])
    gone.stop()
    assert len(one.take_over_from_the_dead()) == 1


def test_what_long_dead_watchers_left_is_swept_away(tmp_path: Path) -> None:
    old = time.time() - 1000
    for name in (".watcher-gone-1234", ".atelier-gone-1234-99"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (old, old))
    (tmp_path / "notes.txt").write_text("mine")
    one = Claims(tmp_path, dead_after_s=30)
    one.take_over_from_the_dead()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".watcher-{one.claimant}", "notes.txt"]


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_ages_are_those_of_the_file_server_whose_clock_may_be_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    beat = Claims.beat

    def beat_by_the_servers_clock(claims: Claims) -> None:
        beat(claims)
        os.utime(tmp_path / f".watcher-{claims.claimant}", (time.time() + ahead_s,) * 2)

    monkeypatch.setattr(Claims, "beat", beat_by_the_servers_clock)
    living, dead, one = (Claims(tmp_path, dead_after_s=30) for _ in range(3))
    for claims, message in ((living, "1"), (dead, "2")):
        claims.beat()
        drop(tmp_path, message)
        claims.take(claims.waiting()[0])
    os.utime(tmp_path / f".watcher-{dead.claimant}", (time.time() + ahead_s - 60,) * 2)
    assert [name.stem.split("-")[5] for name, _ in one.take_over_from_the_dead()] == ["2"]
    assert sorted(path.name for path in tmp_path.glob(".watcher-*")) == sorted(
        f".watcher-{claims.claimant}" for claims in (living, dead, one)
    )


def test_a_heartbeat_never_touches_what_a_link_points_to(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("")
    os.utime(mine, (1000, 1000))
    one = Claims(tmp_path, dead_after_s=30)
    (tmp_path / f".watcher-{one.claimant}").symlink_to(mine)
    with pytest.raises(OSError, match="symbolic links"):
        one.beat()
    assert mine.stat().st_mtime == 1000


def test_folders_with_the_names_of_claims_and_heartbeats_stop_nothing(tmp_path: Path) -> None:
    old = time.time() - 1000
    for name in (".watcher-gone-1", ".atelier-gone-1", f"{USER}-9-64x64.txt.claimed-by-gone-1", f"{USER}-8-64x64.txt"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (old, old))
    drop(tmp_path, "1")
    one = Claims(tmp_path, dead_after_s=30)
    assert one.take_over_from_the_dead() == []
    assert one.mine() == []
    assert [name.stem.split("-")[5] for name in one.waiting()] == ["1"]


def test_each_beat_renews_the_heartbeat_and_leaves_nothing_open(tmp_path: Path) -> None:
    one, two = Claims(tmp_path, dead_after_s=30), Claims(tmp_path, dead_after_s=30)
    one.beat()
    drop(tmp_path, "1")
    one.take(one.waiting()[0])
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        os.utime(tmp_path / f".watcher-{one.claimant}", (1000, 1000))
        one.beat()
    assert two.take_over_from_the_dead() == []
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_file_that_vanishes_while_it_is_listed_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = drop(tmp_path, "1"), drop(tmp_path, "2")
    claims, listed = Claims(tmp_path, dead_after_s=30), os.scandir

    def listed_and_then_gone(folder: Path) -> list[os.DirEntry[str]]:
        entries = sorted(listed(folder), key=lambda entry: entry.name)
        gone.unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(claims, "_claimed", list)  # it lists the folder as well, and would be the one that is deceived
    monkeypatch.setattr(os, "scandir", listed_and_then_gone)
    assert [name.prompt for name in claims.waiting()] == [kept.name]


def test_a_look_at_the_folder_does_not_cause_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    look = Claims.take_over_from_the_dead
    monkeypatch.setattr(Claims, "take_over_from_the_dead", lambda claims: looks.append(1) or look(claims))
    with ImageServiceClient("http://127.0.0.1:9") as client:  # there is nothing to say to it
        watcher = Watcher(tmp_path, client, scan_s=60, settle_s=0.02)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        (tmp_path / "note.txt").write_text("a change")
        time.sleep(1)
        watcher.stop()
        thread.join(60)
    # One at the start, and those that the note caused. Each touches the heartbeat, which would be some twenty a second.
    assert 1 <= len(looks) <= 5
