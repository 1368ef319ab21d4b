"""Wildcards: text files of the owner, of which a prompt takes a line at random."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from app.core.dynamic_prompts import expand, is_dynamic
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import MAX_PROMPT_CHARS, GenerationRequest

FOLDER = "wildcards"  # in the models folder
MAX_FILE_BYTES = 2**20
MAX_NAMED = 50  # in an error
_NEGATIVE = 2**33  # beyond every seed: the negative prompt draws on its own


def drawn(request: GenerationRequest, models_folder: Path) -> GenerationRequest:
    """The request with its choices and wildcards drawn by its seed; one without such signs comes back as it is, and
    where the owner has no wildcards at all, their signs are text. Raises InvalidRequest.
    """
    if not (is_dynamic(request.prompt) or is_dynamic(request.negative_prompt)):
        return request
    made, folder = {}, models_folder / FOLDER
    read = partial(lines, folder) if any(folder.rglob("*.txt")) else None
    for name, seed in (("prompt", request.seed), ("negative_prompt", request.seed + _NEGATIVE)):
        text = getattr(request, name)
        try:
            made[name] = expand(text, seed, read, max_chars=MAX_PROMPT_CHARS)
        except ValueError as error:
            raise InvalidRequest([FieldError(name, text, str(error))]) from error
    return request.model_copy(update=made)


def lines(folder: Path, name: str) -> Sequence[str]:
    """The lines of a wildcard file, without empty ones and comments (#). Raises ValueError if there are none.

    The name is one that `dynamic_prompts` read: words, spaces, hyphens and slashes, so it leads nowhere else.
    """
    file = folder / f"{name}.txt"
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"the wildcard file {name}.txt has more than {MAX_FILE_BYTES} bytes")
        text = file.read_text("utf-8-sig")
    except OSError:
        raise ValueError(_missing(folder, name)) from None
    except UnicodeDecodeError:
        raise ValueError(f"the wildcard file {name}.txt is no UTF-8 text") from None
    found = [line for line in map(str.strip, text.replace("\0", "").splitlines()) if line and not line.startswith("#")]
    if not found:
        raise ValueError(f"the wildcard file {name}.txt has no lines")
    return found


def _missing(folder: Path, name: str) -> str:
    known = sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.txt"))[:MAX_NAMED]
    words = f"allowed is one of: {', '.join(known)}, or write \\__ for the signs themselves"
    return f"there is no wildcard __{name}__; {words}"
