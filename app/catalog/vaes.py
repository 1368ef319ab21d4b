"""VAEs that a request may choose in the place of its model's own."""

from pathlib import Path

from app.catalog.entry import ModelEntry
from app.core.errors import FieldError
from app.core.schema import GenerationRequest
from app.core.task import Task
from app.families import family_of
from app.weights.vaes import look_at_vae, vae_files

CHANNELS = 4  # of the latents of every family with a UNet


def takes_vaes(entry: ModelEntry) -> bool:
    """True if models of this family run with another VAE: those with a UNet, whose VAEs people have made."""
    family = family_of(entry.pipeline)
    return family.convolves and not family.only_enlarges


def vaes_of(folder: Path, entry: ModelEntry) -> tuple[str, ...]:
    """Every name that a request for this model may say, from the models `folder`."""
    if not takes_vaes(entry):
        return ()
    known = [look_at_vae(name, place) for name, place in vae_files(folder).items()]
    return tuple(file.name for file in known if file.refused is None and file.channels == CHANNELS)


def vae_errors(request: GenerationRequest, folder: Path, entry: ModelEntry) -> list[FieldError]:
    """What is wrong with the VAE that a request names."""
    name = request.vae
    if name is None:
        return []
    if not takes_vaes(entry) or request.task is Task.UPSCALE:
        what = "the task upscale" if takes_vaes(entry) else family_of(entry.pipeline).title
        return [FieldError("vae", name, f"allowed is none for {what}")]
    place = vae_files(folder).get(name)
    if place is None:
        known = ", ".join(vaes_of(folder, entry)) or "none: models/vae has none that fits"
        return [FieldError("vae", name, f"allowed is one of: {known}")]
    file = look_at_vae(name, place)
    if file.refused:
        return [FieldError("vae", name, file.refused)]
    if file.channels != CHANNELS:
        said = f"it reads {file.channels} channels, and the latents of {entry.key} have {CHANNELS}"
        return [FieldError("vae", name, said)]
    return []
