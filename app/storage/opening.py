"""Which store the settings name."""

import importlib.util

from app.core.settings import Settings, WrongSettings
from app.storage.bucket import Bucket
from app.storage.folder import Folder
from app.storage.store import Store


def open_store(settings: Settings) -> Store:
    """Where saved pictures and those that jobs start from are kept. Raises WrongSettings as `check_store` does."""
    check_store(settings)
    return Bucket(settings.output_bucket) if settings.output_bucket else Folder(settings.output_folder)


def check_store(settings: Settings) -> None:
    """Raise WrongSettings if pictures are to be in a bucket and the package that reaches it is not here."""
    if settings.output_bucket and importlib.util.find_spec("obstore") is None:
        raise WrongSettings(
            f"ATELIER_OUTPUT_BUCKET is {settings.output_bucket!r}, and the package obstore is not installed.",
            hint="pip install -r requirements-s3.txt",
        )
