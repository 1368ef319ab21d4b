"""Finding images: by words, model, seed and favourite; page by page; in groups."""

from collections.abc import Callable
from typing import Any

import pytest

from app.core.errors import InvalidRequest
from app.library import full_text, search
from tests.library.conftest import Shelf


@pytest.fixture
def shelf(shelf_on_each: Shelf) -> Shelf:
    """Every test here must pass on both databases."""
    return shelf_on_each


def found(shelf: Shelf, **wanted: Any) -> list[str]:
    return [image.prompt for image in shelf.library.search(**wanted).items]


def test_words_are_found_inside_prompts_in_any_order_and_case(shelf: Shelf) -> None:
    shelf.save("A red apple on a white table")
    shelf.save("a green pear")
    assert found(shelf, q="TABLE appl") == ["A red apple on a white table"]
    assert found(shelf, q="a") == ["a green pear", "A red apple on a white table"]
    assert found(shelf, q="apple pear") == []
    assert len(found(shelf, q="   ")) == 2


@pytest.mark.parametrize("words", ["苹果", "红", "白色的", "红色的苹果"])
def test_chinese_is_found_by_one_two_and_more_characters(shelf: Shelf, words: str) -> None:
    shelf.save("白色的桌子上有一个红色的苹果")
    shelf.save("a red apple")
    assert found(shelf, q=words) == ["白色的桌子上有一个红色的苹果"]


@pytest.mark.parametrize("most", [0, 4_000])
def test_short_words_are_found_wherever_they_stand_however_rare_they_are(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """At the beginning, in the middle, at the end, and alone; with an index of the rare ones, and row by row."""
    monkeypatch.setattr(full_text, "MOST_FEW", most)
    monkeypatch.setattr(search, "WINDOWS", ())
    prompts = ["zq first", "in the ZQ middle", "at the end zq", "zq", "only a z", "z", "猫", "一只猫", "É zoo"]
    prompts.append("Zq, long zq")
    for prompt in prompts:
        shelf.save(prompt)
    for words in ("zq", "Q", "z", "猫", "zq lon", "É", "xj"):
        wanted = [each for each in prompts[::-1] if all(word in each.lower() for word in words.lower().split())]
        assert found(shelf, q=words) == wanted, words
        assert shelf.library.count(search.Filter(words)) == len(wanted)
        assert sum(group.count for group in shelf.library.groups(q=words).items) == len(wanted)


@pytest.mark.parametrize(
    "words",
    [
        '"',
        "''",
        "50%",
        "a_b",
        "*",
        "apple*",
        "NEAR(apple",
        "prompt:apple",
        "-apple",
        "(",
        "AND",
        "OR apple",
        "\\",
        "😀",
    ],
)
def test_signs_that_mean_something_to_the_database_are_only_text(shelf: Shelf, words: str) -> None:
    shelf.save("a red apple")
    assert found(shelf, q=words) == []
    shelf.save(f"so {words} it is")
    assert found(shelf, q=words) == [f"so {words} it is"]


def test_a_percent_sign_and_an_underscore_match_themselves_only(shelf: Shelf) -> None:
    shelf.save("50% grey")
    shelf.save("500 grey")
    assert found(shelf, q="0%") == ["50% grey"]
    assert found(shelf, q="_g") == []


@pytest.mark.parametrize("words", ["a\0b", "\ud800", "x" * 1001, " ".join(map(chr, range(0x4E00, 0x4E00 + 65)))])
def test_words_that_no_prompt_can_hold_are_refused(shelf: Shelf, words: str) -> None:
    with pytest.raises(InvalidRequest, match="q: "):
        shelf.library.search(q=words)
    with pytest.raises(InvalidRequest, match="q: "):
        shelf.library.groups(q=words)


def test_very_many_words_are_only_slow(shelf: Shelf) -> None:
    shelf.save("a red apple")
    assert found(shelf, q="apple " * 166) == ["a red apple"]
    assert found(shelf, q="a " * 500) == ["a red apple"]
    assert found(shelf, q=" ".join(map(chr, range(0x4E00, 0x4E00 + 64)))) == []


def test_model_seed_and_favourite_narrow_the_search_together(shelf: Shelf) -> None:
    (one,) = shelf.save("one", seed=1)
    shelf.save("two", seed=2**32)
    shelf.save("three", seed=1, model="other")
    shelf.library.favourite(one.id, True)
    assert found(shelf, seed=1) == ["three", "one"]
    assert found(shelf, seed=2**32) == ["two"]
    assert found(shelf, seed=1, model="pocket") == ["one"]
    assert found(shelf, favourite=True) == ["one"]
    assert found(shelf, favourite=False) == ["three", "two"]


@pytest.mark.parametrize("words", [None, "prompt", "no"])  # none, in the index, too short for it
def test_the_oldest_come_first_page_by_page(shelf: Shelf, words: str | None) -> None:
    for number in range(3):
        shelf.save(f"prompt no {number}", count=2)
    seen: list[str] = []
    cursor = None
    while True:
        page = shelf.library.search(q=words, limit=2, cursor=cursor, oldest=True)
        seen += [f"{image.prompt}/{image.index}" for image in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert seen == [f"prompt no {number}/{index}" for number in range(3) for index in range(2)]


def test_pages_give_every_image_once_even_when_images_come_and_go(shelf: Shelf) -> None:
    for number in range(7):
        shelf.save(f"prompt {number}", count=2)
    seen: list[str] = []
    cursor = None
    while True:
        page = shelf.library.search(limit=3, cursor=cursor)
        seen += [f"{image.prompt}/{image.index}" for image in page.items]
        if page.next is None:
            break
        cursor = page.next
        shelf.save("newer than the cursor")
        shelf.library.delete(page.items[-1].id)
    assert seen == [f"prompt {number}/{index}" for number in (6, 5, 4, 3, 2, 1, 0) for index in (1, 0)]


@pytest.mark.parametrize(
    "cursor", ["", "x", "bnVsbA", "WzEsMl0", "WyJhIiwxXQ", "[1.0, 2]", "WzEuMCwgMWUzMDBd", "é", "\ud800"]
)
def test_a_cursor_that_is_none_is_refused(shelf: Shelf, cursor: str) -> None:
    for call in (shelf.library.search, shelf.library.groups):
        with pytest.raises(InvalidRequest, match="cursor: "):
            call(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_limit_out_of_range_is_refused(shelf: Shelf, limit: int) -> None:
    for call in (shelf.library.search, shelf.library.groups):
        with pytest.raises(InvalidRequest, match=r"limit: .* allowed is 1 to 200"):
            call(limit=limit)


def test_images_of_one_prompt_and_model_are_one_group_with_their_time(shelf: Shelf) -> None:
    first = shelf.save("apple", count=2, seed=1)
    shelf.save("pear")
    shelf.save("apple", model="other")
    again = shelf.save("apple", seed=9)
    groups = shelf.library.groups().items
    assert [(group.prompt, group.model, group.count) for group in groups] == [
        ("apple", "pocket", 3),
        ("apple", "other", 1),
        ("pear", "pocket", 1),
    ]
    assert groups[0].images == (*again, *reversed(first))
    assert groups[0].seconds == pytest.approx(4.5)
    assert groups[0].job_id == again[0].job_id
    assert groups[0].created_at == again[0].created_at


def test_groups_by_job_are_one_for_each_job(shelf: Shelf) -> None:
    first = shelf.save("apple", count=2)
    second = shelf.save("apple", count=3)
    groups = shelf.library.groups(by="job").items
    assert [group.job_id for group in groups] == [second[0].job_id, first[0].job_id]
    assert [group.seconds for group in groups] == [pytest.approx(4.5), pytest.approx(3.0)]


def test_groups_count_only_what_fits_the_search(shelf: Shelf) -> None:
    one, _ = shelf.save("apple", count=2)
    shelf.save("pear")
    shelf.library.favourite(one.id, True)
    (group,) = shelf.library.groups(favourite=True).items
    assert [image.id for image in group.images] == [one.id]
    assert group.count == 1
    assert [group.prompt for group in shelf.library.groups(q="pea").items] == ["pear"]


def test_pages_of_groups_give_every_group_once(shelf: Shelf) -> None:
    for number in range(7):
        shelf.save(f"prompt {number}")
    seen: list[str] = []
    cursor = None
    while True:
        page = shelf.library.groups(limit=2, cursor=cursor)
        seen += [group.prompt for group in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [f"prompt {number}" for number in (6, 5, 4, 3, 2, 1, 0)]


def test_pages_are_the_same_however_few_of_the_newest_are_looked_through_first(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words are looked for among the newest images first; rows were not always inserted in the order of their times."""
    start = shelf.time
    for number in (5, 1, 8, 3, 9, 2, 7, 4, 6, 0, 12, 11):
        shelf.time = start + 10 * (number // 2)  # two of each moment
        shelf.save(f"{'apple' if number % 3 else 'a big pear'} {number % 4}", count=1 + number % 2, seed=number)

    def every(page: Callable[..., Any], **wanted: Any) -> list[Any]:
        found, cursor = [], None
        while True:
            one = page(limit=2, cursor=cursor, **wanted)
            found += one.items
            cursor = one.next
            if cursor is None:
                return found

    for q in ("apple", "pear", "ig", "apple 1", "nowhere"):
        calls = [(shelf.library.search, {}), (shelf.library.groups, {}), (shelf.library.groups, {"by": "job"})]
        monkeypatch.setattr(search, "WINDOWS", ())
        whole = [every(page, q=q, **more) for page, more in calls]
        assert len(whole[0]) == shelf.library.count(search.Filter(q))
        assert len(whole[0]) == sum(group.count for group in whole[1]) == sum(group.count for group in whole[2])
        monkeypatch.setattr(search, "WINDOWS", (3, 7))
        assert [every(page, q=q, **more) for page, more in calls] == whole


def test_a_group_shows_at_most_64_images_and_says_how_many_there_are(shelf: Shelf) -> None:
    images = shelf.save("apple", count=66)
    (group,) = shelf.library.groups().items
    assert group.count == 66
    assert group.images == tuple(reversed(images[2:]))


def test_a_changed_or_deleted_prompt_is_not_found_any_more(shelf: Shelf) -> None:
    (image,) = shelf.save("a red apple")
    shelf.library.delete(image.id)
    shelf.save("a green pear")
    assert found(shelf, q="apple") == []
    assert found(shelf, q="pear") == ["a green pear"]
