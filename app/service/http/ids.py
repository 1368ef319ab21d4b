"""Ids of jobs, grids, images and uploaded pictures as they stand in addresses."""

import re

from app.core.errors import UnknownGrid, UnknownImage, UnknownInput, UnknownJob

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def no_unknown_id(kind: str, id: str) -> None:
    """Raise UnknownJob and the like for what cannot be an id of ours, so that it never reaches table or disk."""
    if not _ID.fullmatch(id):
        raise {"job": UnknownJob, "image": UnknownImage, "input": UnknownInput, "grid": UnknownGrid}[kind]()
