"""Small decoders: where those that entries ask for are, and what is missing."""

from pathlib import Path

from app.catalog.entry import ModelEntry
from app.families import family_of

DECODER_FOLDER = "decoders"  # in the models folder


def decoder_folder(folder: Path, entry: ModelEntry) -> Path | None:
    """Where the small decoder of an entry is, in the models `folder`; None if it asks for none, or there is none."""
    small = family_of(entry.pipeline).small_decoder
    return folder / DECODER_FOLDER / small.name if entry.decoder and small else None


def decoder_problem(folder: Path, entry: ModelEntry) -> str | None:
    """What keeps an entry from the small decoder that it asks for; None if nothing does."""
    if entry.decoder is None:
        return None
    small, place = family_of(entry.pipeline).small_decoder, decoder_folder(folder, entry)
    if small is None or place is None:
        return f'allowed is no decoder = "{entry.decoder}": there is no small one for {family_of(entry.pipeline).title}'
    if not (place / "config.json").is_file():
        return f"it needs {place.name} in models/{DECODER_FOLDER}: {small.command}"
    return None
