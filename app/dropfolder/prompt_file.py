"""What a prompt file may be called and may say. Pure: names and bytes in, values or a readable refusal out."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from app.core.schema import MAX_PROMPT_CHARS

MAX_FILE_BYTES = 2**20
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_STEM = re.compile(
    rf"(?P<user>{_UUID})-(?P<message>[A-Za-z0-9_.:=+@~-]{{1,100}})-(?P<width>\d{{1,5}})x(?P<height>\d{{1,5}})"
)
_CLAIM_MARK = ".txt.claimed-by-"


class RefusedPrompt(Exception):
    """The prompt file cannot become a picture; the message is what the error file says."""


@dataclass(frozen=True)
class PromptName:
    """The name `UUID-MESSAGEID-WIDTHxHEIGHT.txt`, taken apart. Sizes are pixels, not yet checked."""

    stem: str
    width: int
    height: int

    @property
    def prompt(self) -> str:
        """The name of the prompt file."""
        return f"{self.stem}.txt"

    @property
    def picture(self) -> str:
        """The name of the answer."""
        return f"{self.stem}.png"

    @property
    def error(self) -> str:
        """The name of the answer when there is no picture."""
        return f"{self.stem}-error.txt"

    def claim(self, claimant: str) -> str:
        """The name of the prompt file while `claimant` works on it."""
        return f"{self.stem}{_CLAIM_MARK}{claimant}"


def parse_name(name: str) -> PromptName | None:
    """The parts of a prompt file's name, or None for any other name (which the watcher leaves alone)."""
    return _of_stem(name[: -len(".txt")]) if name.endswith(".txt") else None


def parse_claim(name: str) -> tuple[PromptName, str] | None:
    """The prompt and the claimant of a claimed file's name, or None for any other name."""
    stem, mark, claimant = name.partition(_CLAIM_MARK)
    prompt = _of_stem(stem) if mark and claimant else None
    return (prompt, claimant) if prompt else None


def _of_stem(stem: str) -> PromptName | None:
    match = _STEM.fullmatch(stem)
    return PromptName(stem, int(match["width"]), int(match["height"])) if match else None


def read_prompt(file: Path) -> str:
    """The prompt in a regular file, made fit for use.

    A byte order mark is dropped (UTF-8 or UTF-16), line ends become `\\n`, other control characters become
    spaces, outer blanks go. Raises RefusedPrompt for text that is empty, too long or not Unicode.
    """
    data = file.read_bytes()
    if len(data) > MAX_FILE_BYTES:
        raise RefusedPrompt(f"The prompt file has {len(data)} bytes; at most {MAX_FILE_BYTES} are allowed.")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RefusedPrompt(
            f"The prompt file is not valid {encoding[:6].upper()} text (byte {error.start})."
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(" " if unicodedata.category(char) == "Cc" and char not in "\n\t" else char for char in text).strip()
    if not text:
        raise RefusedPrompt("The prompt file is empty.")
    if len(text) > MAX_PROMPT_CHARS:
        raise RefusedPrompt(f"The prompt has {len(text)} characters; at most {MAX_PROMPT_CHARS} are allowed.")
    return text
