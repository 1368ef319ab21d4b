"""The styles there are: those that come along, and the owner's, from files of A1111 (CSV) and Fooocus (JSON)."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core.names import shown_name
from app.core.styles import Style

SHIPPED = Path(__file__).with_name("styles.json")
FILE, FOLDER = "styles.csv", "styles"  # in the models folder
MAX_FILE_BYTES = 4 * 2**20
MAX_STYLES = 5000  # of one file


@dataclass(frozen=True)
class UnreadStyles:
    """A file of styles that cannot be used, by its name, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Styles:
    """By name, in the order of their files; of two with one name the later, which is the owner's."""

    known: dict[str, Style]
    skipped: tuple[UnreadStyles, ...]


def read_styles(models_folder: Path) -> Styles:
    """All styles. A file that cannot be read is told as skipped, and in the way of no other. Never raises."""
    known: dict[str, Style] = {}
    skipped = []
    for file in (SHIPPED, *_files(models_folder)):
        try:
            known |= {style.name: style for style in _read(file)}
        except OSError as error:
            skipped.append(UnreadStyles(shown_name(file.name), f"it cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            skipped.append(UnreadStyles(shown_name(file.name), "it is no UTF-8 text"))
        except (ValueError, RecursionError, csv.Error) as error:
            skipped.append(UnreadStyles(shown_name(file.name), str(error)))
    return Styles(known, tuple(skipped))


def _files(models_folder: Path) -> list[Path]:
    try:
        listed = sorted((models_folder / FOLDER).iterdir())
    except OSError:
        listed = []
    found = [models_folder / FILE, *(file for file in listed if file.suffix.lower() in (".csv", ".json"))]
    return [file for file in found if file.is_file()]


def _read(file: Path) -> list[Style]:
    """The styles of a file. Raises OSError, and ValueError saying what is wrong with it."""
    with file.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
    text = data.decode("utf-8-sig")
    found = []
    for number, row in enumerate(_of_csv(text) if file.suffix.lower() == ".csv" else _of_json(text), 1):
        if number > MAX_STYLES:
            raise ValueError(f"it has more than {MAX_STYLES} styles")
        try:
            style = Style.model_validate(row)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise ValueError(f"style {number}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
        if style.prompt or style.negative_prompt:  # else a line that parts others, as A1111 has them
            found.append(style)
    return found


def _of_csv(text: str) -> Iterator[dict[str, Any]]:
    """As A1111 reads `styles.csv`: an older one calls the prompt `text`, and `#` begins a comment."""
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    if "name" not in (rows.fieldnames or ()):
        raise ValueError("it is no table of styles: its first line must be name,prompt,negative_prompt")
    for row in rows:
        if row["name"] and not row["name"].startswith("#"):
            prompt = row.get("prompt") or row.get("text") or ""
            yield {"name": row["name"], "prompt": prompt, "negative_prompt": row.get("negative_prompt") or ""}


def _of_json(text: str) -> Iterator[dict[str, Any]]:
    """As Fooocus reads its files: a list of `name`, `prompt`, `negative_prompt`."""
    try:
        rows = json.loads(text)
    except ValueError:
        raise ValueError("it is no readable JSON") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it is no list of styles")
    for row in rows:
        yield {name: row.get(name, "") or "" for name in Style.model_fields}
