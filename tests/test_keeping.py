"""What quick_start.sh started comes back whatever is killed, and goes on where it was."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.place import PROJECT, Place, a_place, installed
from tests.system.studio import WAYS, a_studio, kill_every_way

BACK_S = 5.0
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads process groups from /proc")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with a_place(tmp_path / "atelier") as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_is_killed_comes_back_within_five_seconds_and_every_job_is_made_once(place: Place) -> None:
    with a_studio(place) as studio:
        kills = kill_every_way([studio], 2, seed=3)
    print(kills.back_s)
    assert {way: len(times) for way, times in kills.back_s.items()} == dict.fromkeys(WAYS, 2)
    # One of two may have met a moment in which the clock below saw less of the load than the studio did.
    assert max(min(times) for times in kills.back_s.values()) <= BACK_S, kills.back_s
    assert max(max(times) for times in kills.back_s.values()) <= 2 * BACK_S, kills.back_s


def kept(times: int, seconds_each: int) -> list[str]:
    """The pauses that `keep` makes when a program ends again and again, having run so long by bash's clock."""
    script = (PROJECT / "quick_start.sh").read_text()
    keep = "keep() {" + script.partition("\nkeep() {")[2].partition("\n}\n")[0] + "\n}"
    code = f"""
set -euo pipefail
RUN="$PWD" LEFT={times}
say() {{ :; }}
sleep() {{ echo "$1" >>pauses; }}
wait() {{ builtin wait "$@" || true; SECONDS=$((SECONDS + {seconds_each})); }}
rm() {{ LEFT=$((LEFT - 1)); [ "$LEFT" -gt 0 ] || stopping=1; }}
touch program.ready
{keep}
keep program log false
"""
    subprocess.run(["bash", "-c", code], check=True, timeout=60)
    return Path("pauses").read_text().split()


def test_a_program_that_ends_at_once_again_and_again_is_started_more_and_more_seldom_but_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert kept(31, 0) == ["0.2"] * 3 + ["1"] * 2 + ["2", "4", "8", "16", "32", "64"] + ["60"] * 19


def test_ends_that_are_minutes_apart_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kept(31, 61) == ["0.2"] * 30


def test_the_log_of_the_last_run_is_kept_and_only_its_owner_reads_any(place: Place) -> None:
    installed(place)
    logs = place.folder / "logs"
    for number in (1, 2):
        assert place.run("generate", f"picture {number}")[0] == 0
        with (logs / "image_service.console.log").open("a") as stream:
            stream.write(f"run {number}\n")
    assert "run 1" in (logs / "image_service.console.log.1").read_text()
    assert "run 2" in (logs / "image_service.console.log").read_text()
    readable = [path.name for path in logs.iterdir() if path.stat().st_mode & 0o077]
    assert readable == []
    assert (place.folder / "data").stat().st_mode & 0o077 == 0


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    done = subprocess.run(["shellcheck", "quick_start.sh", ".ci/run"], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
