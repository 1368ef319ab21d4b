"""Which store the settings name."""

from app.core.settings import Settings
from app.storage.bucket import Bucket
from app.storage.folder import Folder
from app.storage.store import Store


def open_store(settings: Settings) -> Store:
    """Where saved pictures and those that jobs start from are kept. Raises WrongSettings if a package lacks."""
    return Bucket(settings.output_bucket) if settings.output_bucket else Folder(settings.output_folder)
