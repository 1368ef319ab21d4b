"""The models that come with Atelier, where it was installed as a package and its models folder is still empty."""

import os
import secrets
import shutil
from pathlib import Path

from app.core.settings import PROJECT_FOLDER

SHIPPED = PROJECT_FOLDER / "app" / "models"  # a checkout has none here: its models folder has them already
CATALOG_FILE = "catalog.toml"
WORD_FILES = "*.words.json"  # what a model knows, for whoever writes prompts for it


def unpack_shipped(models_folder: Path, shipped: Path = SHIPPED) -> None:
    """Copy what is shipped into a models folder without a catalog; does nothing in a checkout and the second time.

    The catalog comes last, so that an unpacking that was cut off is begun again. Raises OSError.
    """
    if not shipped.is_dir() or (models_folder / CATALOG_FILE).exists():
        return
    models_folder.mkdir(parents=True, exist_ok=True)
    for part in sorted(path for path in shipped.iterdir() if path.is_dir() and path.name != "__pycache__"):
        unfinished = models_folder / f".{part.name}-{secrets.token_hex(4)}"
        shutil.copytree(part, unfinished)
        if (models_folder / part.name).exists():
            shutil.rmtree(unfinished)
        else:
            unfinished.rename(models_folder / part.name)
    for file in (*sorted(shipped.glob(WORD_FILES)), shipped / CATALOG_FILE):
        unfinished = models_folder / f".{file.name}-{secrets.token_hex(4)}"
        shutil.copyfile(file, unfinished)
        os.replace(unfinished, models_folder / file.name)
