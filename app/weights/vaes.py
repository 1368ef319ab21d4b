"""VAEs of the models folder that stand in for a model's own: which there are, and how many channels each reads.

As A1111 has them: one file each, or a folder of diffusers; the name without the ending is what a request says.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import ModelRefused
from app.core.names import is_clean
from app.weights.header import read_header

VAE_FOLDER = "vae"
CONFIG, ENDING = "config.json", ".safetensors"
CLASS = "AutoencoderKL"
READS = "decoder.conv_in.weight"  # in diffusers' layout, and behind a prefix in that of the training code
MAX_CONFIG_BYTES = 2**20


@dataclass(frozen=True)
class VaeFile:
    """A VAE by its name: a file, or a folder of diffusers. `refused`: why it cannot be used."""

    name: str
    place: Path
    channels: int = 0
    refused: str | None = None


def vae_files(models_folder: Path) -> dict[str, Path]:
    """Name → file or folder; of two with one name, the first. Never raises."""
    try:
        places = sorted((models_folder / VAE_FOLDER).iterdir())
    except OSError:
        return {}
    found: dict[str, Path] = {}
    for place in places:
        is_one = place.is_file() if place.suffix == ENDING else (place / CONFIG).is_file()
        if is_one and is_clean(place.name) and not place.name.startswith("."):
            found.setdefault(place.stem if place.suffix == ENDING else place.name, place)
    return found


def look_at_vae(name: str, place: Path) -> VaeFile:
    """What a VAE says about itself, without opening its weights. Never raises."""
    try:
        files = sorted(place.glob(f"*{ENDING}")) if place.is_dir() else [place]
        if not files or (place.is_dir() and _class(place / CONFIG) != CLASS):
            raise ModelRefused(f"{place.name} holds no AutoencoderKL as safetensors.")
        shapes = {name: shape for file in files for name, shape in read_header(file).shapes.items()}
        found = [shape for tensor, shape in shapes.items() if tensor == READS or tensor.endswith(f".{READS}")]
        if len(found) != 1 or len(found[0]) != 4:
            raise ModelRefused(f"{place.name} is no VAE.")
    except ModelRefused as error:
        return VaeFile(name, place, refused=error.message)
    except (OSError, ValueError, RecursionError) as error:
        return VaeFile(name, place, refused=f"{place.name} cannot be read: {str(error)[:200]}")
    return VaeFile(name, place, int(found[0][1]))


def _class(config: Path) -> object:
    with config.open("rb") as stream:
        value = json.loads(stream.read(MAX_CONFIG_BYTES))
    return value.get("_class_name") if isinstance(value, dict) else None
