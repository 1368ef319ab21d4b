"""Files that visitors hand in: named here, read once, bounded, and never on the disk."""

import pytest

from app.ui.uploads import KEPT_S, MAX_FILES_EACH, NoRoom, Uploads


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def handed_in(uploads: Uploads, owner: str, data: bytes) -> str:
    name = uploads.reserve(owner, len(data))
    uploads.add(name, data)
    uploads.finish(name)
    return name


def test_a_file_is_read_once_by_whoever_handed_it_in() -> None:
    uploads = Uploads()
    name = handed_in(uploads, "ada", b"picture")
    assert uploads.take("bob", name) is None
    assert uploads.take("ada", name) == b"picture"
    assert uploads.take("ada", name) is None


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "/dev/zero", "http://127.0.0.1/"])
def test_a_name_that_was_not_given_out_is_no_file(name: str) -> None:
    assert Uploads().take("ada", name) is None


def test_a_file_that_has_not_arrived_whole_cannot_be_read() -> None:
    uploads = Uploads()
    name = uploads.reserve("ada", 3)
    uploads.add(name, b"ab")
    assert uploads.take("ada", name) is None
    with pytest.raises(NoRoom):
        uploads.add(name, b"cd")


def test_a_third_file_of_one_visitor_takes_the_place_of_the_first() -> None:
    uploads = Uploads()
    names = [handed_in(uploads, "ada", b"x") for _ in range(MAX_FILES_EACH + 1)]
    assert uploads.take("ada", names[0]) is None
    assert [uploads.take("ada", name) for name in names[1:]] == [b"x"] * MAX_FILES_EACH


def test_all_visitors_together_have_a_limit_that_counts_what_is_still_to_come() -> None:
    uploads = Uploads(max_bytes=10)
    uploads.reserve("slow", 8)
    with pytest.raises(NoRoom):
        uploads.reserve("ada", 3)
    assert handed_in(uploads, "ada", b"ab")


def test_a_file_that_nobody_reads_is_forgotten() -> None:
    clock = Clock()
    uploads = Uploads(max_bytes=10, now=clock)
    name = handed_in(uploads, "ada", b"0123456789")
    clock.now = KEPT_S + 1
    assert uploads.take("ada", name) is None
    assert handed_in(uploads, "bob", b"0123456789")
