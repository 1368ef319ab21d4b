"""The library: every saved picture as a file that explains itself, and a row to find it by."""

from app.library.by_job import JobImages
from app.library.groups import Group
from app.library.library import Library
from app.library.search import Filter
from app.library.upkeep import RebuildReport

__all__ = ["Filter", "Group", "JobImages", "Library", "RebuildReport"]
