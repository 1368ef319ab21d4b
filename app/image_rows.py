"""A saved image as a row of the `images` table, and back. The only place that knows how the two differ."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from app.core.schema import SavedImage


def image_row(image: SavedImage) -> dict[str, Any]:
    """The values of `image` for an insert into `images`: `created_at` becomes seconds since 1970 UTC."""
    row = {name: getattr(image, name) for name in SavedImage.model_fields}
    return row | {"created_at": image.created_at.timestamp()}


def image_of(row: Mapping[str, Any] | RowMapping) -> SavedImage:
    """The image of one row of `images` (`result.mappings()`); columns that an image does not have are left out."""
    values = {name: row[name] for name in SavedImage.model_fields}
    return SavedImage(**values | {"created_at": datetime.fromtimestamp(row["created_at"], UTC)})
