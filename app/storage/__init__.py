"""Durable files: whole or not there at all, and still there after a power cut. For whatever keeps files."""

from app.storage.folder import TMP_SUFFIX, Folder, put_in_place
from app.storage.opening import check_store, open_store
from app.storage.store import Listed, Store

__all__ = ["TMP_SUFFIX", "Folder", "Listed", "Store", "check_store", "open_store", "put_in_place"]
