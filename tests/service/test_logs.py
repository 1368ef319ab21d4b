"""Logs say what happened, and nothing that anybody sent: no key, no prompt, no address; one line stays one line."""

import json
import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from flask_openapi3.openapi import OpenAPI

from app.core import log_files
from app.core.log_lines import MAX_CHARS, Plain, plain
from app.core.logs import configure_logs
from app.core.settings import Settings
from app.service import Parts
from tests.service.conftest import House


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Puts the logging of the test run back."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def mode(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode)


def test_files_are_for_the_owner_alone_even_when_somebody_else_made_them(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "service.log"
    configure_logs("INFO", file)
    logging.getLogger("x").info("one")
    assert mode(file) == 0o600
    assert mode(file.parent) == mode(file.parent.parent) == 0o700
    open_one = tmp_path / "open.log"
    open_one.touch(0o644)
    configure_logs("INFO", open_one)
    assert mode(open_one) == 0o600


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\ud800"])
def test_control_characters_reach_neither_file_nor_console(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], character: str
) -> None:
    configure_logs("INFO", tmp_path / "service.log")
    log = structlog.stdlib.get_logger("a")
    log.info(f"event{character}end", path=f"value{character}end", parts=[character])
    logging.getLogger("b").info("plain %s", character)
    console = capfd.readouterr().err
    lines = (tmp_path / "service.log").read_text("utf-8").splitlines()
    assert len(lines) == 2
    assert len(console.splitlines()) == 2
    assert character not in "".join(lines) + console.replace("\n", "")
    assert json.loads(lines[0])["path"] == "value" + character.encode("unicode_escape").decode() + "end"


def test_a_traceback_names_files_and_lines_but_no_value(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("INFO", tmp_path / "service.log")

    def broken(canary: str) -> None:
        try:
            int(canary)
        except ValueError as error:
            raise RuntimeError(f"no number: {canary}") from error

    structlog.contextvars.bind_contextvars(request_id="r-1")
    try:
        broken("canary")
    except RuntimeError:
        logging.getLogger("x").exception("It broke")
    finally:
        structlog.contextvars.clear_contextvars()
    told = json.loads((tmp_path / "service.log").read_text("utf-8"))["exception"]
    for text in (told, capfd.readouterr().err):
        assert "canary" not in text.replace("int(canary)", "").replace('broken("canary")', "").replace("{canary}", "")
        assert text.index("builtins.ValueError") < text.index("builtins.RuntimeError")
        assert __file__ in text


def test_outside_of_requests_and_at_debug_an_exception_says_its_message(tmp_path: Path) -> None:
    for level, serving in (("INFO", {}), ("DEBUG", {"request_id": "r-2"})):
        event = Plain(verbose=level == "DEBUG")(None, "error", {"exc_info": OSError("no such disk"), **serving})
        assert event["exception"].endswith("builtins.OSError: no such disk")
    quiet = Plain(verbose=False)(None, "error", {"exc_info": OSError("no such disk"), "job_id": "j"})
    assert quiet["exception"].endswith("builtins.OSError")


def test_a_deep_or_endless_failure_is_told_shortly() -> None:
    def deeper(level: int) -> None:
        deeper(level + 1)

    first: BaseException | None = None
    for _ in range(50):
        try:
            if first is None:
                deeper(0)
            raise ValueError("x" * 10**6) from first
        except (RecursionError, ValueError) as error:
            first = error
    event = Plain(verbose=True)(None, "error", {"exc_info": first})
    assert len(event["exception"]) < 6 * (MAX_CHARS + 200)
    assert len(Plain(verbose=True)(None, "info", {"event": "y" * 10**7})["event"]) == MAX_CHARS


def test_a_key_that_got_into_a_line_is_masked() -> None:
    assert plain("Bearer atelier_abcdefghijklmnopqrstuvwxyz-_0123456789") == "Bearer atelier_…"


def test_a_line_that_cannot_be_written_costs_nobody_their_answer_and_tells_no_value(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs("INFO", tmp_path / "service.log")
    logging.getLogger("x").info("%d canary", "canary")
    err = capfd.readouterr().err
    assert "canary" not in err
    assert "A log line of x could not be written: TypeError" in err


def test_a_console_that_is_a_file_is_turned_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "MAX_LOG_BYTES", 2_000)
    file = tmp_path / "console.log"
    with file.open("a") as stream:
        logger = logging.Logger("console")
        logger.addHandler(log_files.Console(stream))
        for number in range(100):
            logger.info("line %d %s", number, "x" * 90)
    assert file.stat().st_size < 2_200
    kept = Path(f"{file}.1")
    assert kept.stat().st_size < 2_200
    assert mode(kept) == 0o600
    numbers = [int(line.split()[1]) for text in (kept, file) for line in text.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 100))  # nothing is lost between the two


def test_a_console_that_would_leave_a_hole_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "MAX_LOG_BYTES", 500)
    with (tmp_path / "console.log").open("w") as stream:
        logger = logging.Logger("console")
        logger.addHandler(log_files.Console(stream))
        for _ in range(20):
            logger.info("x" * 90)
    assert (tmp_path / "console.log").read_text().count("\n") == 20


def test_a_surprise_tells_the_caller_nothing_and_the_log_where_it_was(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    def broken() -> None:
        raise RuntimeError("the secret reason")

    def door(app: OpenAPI, _parts: Parts) -> None:
        app.add_url_rule("/broken", view_func=broken)

    house = make_house(doors=(door,), look="\nGET /broken")
    configure_logs("INFO", tmp_path / "service.log")
    answer = house.client.get("/broken?prompt=canary", headers={"X-Request-Id": "my-1", "Authorization": "Bearer k"})
    assert answer.status_code == 500
    assert answer.get_json()["code"] == "internal_error"
    assert "secret" not in answer.text
    text = (tmp_path / "service.log").read_text("utf-8")
    error = next(line for line in map(json.loads, text.splitlines()) if line["event"] == "unexpected_error")
    assert error["request_id"] == "my-1"
    assert " broken: raise RuntimeError" in error["exception"]
    assert error["exception"].endswith("builtins.RuntimeError")
    assert "canary" not in text


def test_the_address_of_the_database_is_never_shown(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(database_url="postgresql+psycopg://me:canary@db/atelier")
    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.resolved_database_url == "postgresql+psycopg://me:canary@db/atelier"
