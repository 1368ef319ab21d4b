"""Which models there are: `models/catalog.toml`, and the folders and `.safetensors` files a user puts beside it.

Never loads weights and never asks the network: it reads a table and looks at file names, sizes and headers.
"""

from app.catalog.catalog import Catalog
from app.catalog.entry import ModelEntry, allowed_schedulers
from app.catalog.own import Skipped, file_entry, folder_entry, hub_entry, is_hub_id
from app.catalog.tasks import kinds_of, references_of, tasks_of
from app.weights.embeddings import EmbeddingFile
from app.weights.loras import LoraFile

__all__ = [
    "Catalog", "EmbeddingFile", "LoraFile", "ModelEntry", "Skipped",
    "allowed_schedulers", "file_entry", "folder_entry", "hub_entry", "is_hub_id", "kinds_of",
    "references_of", "tasks_of",
]  # fmt: skip
