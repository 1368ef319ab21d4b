"""What a prompt file may be called and may say. Pure: names and bytes in, values or a readable refusal out."""

import errno
import hashlib
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from app.core.schema import MAX_PROMPT_CHARS

MAX_FILE_BYTES = 2**20
NO_FILE = "The {kind} must be a regular file, not a link, a pipe or a device."
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
    return parse_stem(name[: -len(".txt")]) if name.endswith(".txt") else None


def parse_claim(name: str) -> tuple[PromptName, str] | None:
    """The prompt and the claimant of a claimed file's name, or None for any other name."""
    stem, mark, claimant = name.partition(_CLAIM_MARK)
    prompt = parse_stem(stem) if mark and claimant else None
    return (prompt, claimant) if prompt else None


def parse_stem(stem: str) -> PromptName | None:
    """The parts of a name without its ending, or None for any other name."""
    match = _STEM.fullmatch(stem)
    return PromptName(stem, int(match["width"]), int(match["height"])) if match else None


@dataclass(frozen=True)
class Prompt:
    """What a prompt file says, and when it was written (nanoseconds, by the file system's clock)."""

    text: str
    written_ns: int


def read_prompt(file: Path) -> Prompt:
    """The prompt in a regular file, made fit for use.

    What is opened is what is judged: a link is not followed, a pipe does not block, and an exchange of the file under
    this name comes too late. A byte order mark is dropped (UTF-8 or UTF-16), line ends become `\\n`, other control
    characters become spaces, outer blanks go. Raises RefusedPrompt for what is no readable regular file with one name,
    and for text that is empty, too long or not Unicode; FileNotFoundError if it is gone.
    """
    data, written_ns = read_regular(file, "prompt", MAX_FILE_BYTES)
    return Prompt(_text_of(data), written_ns)


def key_of(name: PromptName, prompt: Prompt, beside: bytes, model: str | None) -> str:
    """The idempotency key of what is asked: the same for whoever works on this file, another for a new file. `beside`:
    the seal of the pictures beside it.

    A claim is a rename, so the time of writing is still the asker's: a new file of the same name and text has another.
    """
    seal = f"{name.stem}\0{prompt.written_ns}\0{prompt.text}".encode() + beside
    if model is not None:
        seal += f"\0model {model}".encode()
    return f"drop-{hashlib.sha256(seal).hexdigest()}"


def read_regular(file: Path, kind: str, most: int) -> tuple[bytes, int]:
    """What is in a regular file of at most so many bytes, and when it was written, as `read_prompt` reads it."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket or a device that nobody serves
            raise RefusedPrompt(NO_FILE.format(kind=kind)) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise RefusedPrompt(f"The {kind} file may not be read by the watcher.") from error
        raise
    with os.fdopen(opened, "rb") as stream:
        info = os.fstat(opened)
        if not stat.S_ISREG(info.st_mode):
            raise RefusedPrompt(NO_FILE.format(kind=kind))
        if info.st_nlink > 1:  # somebody else's file may be given a second name in here
            raise RefusedPrompt(f"The {kind} file has a second name elsewhere; copy it instead of linking it.")
        data = stream.read(most + 1)
    if len(data) > most:
        size = max(info.st_size, len(data))
        raise RefusedPrompt(f"The {kind} file has {size} bytes; at most {most} are allowed.")
    return data, info.st_mtime_ns


def _text_of(data: bytes) -> str:
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
