"""What a picture was made from, and what it became.

A picture that a job starts from is kept with what its file said, so a picture of this library is known by the id in its
recipe. Variations start from noise: their request says whose, in `extra`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, select

from app.core.answers import Chain, Image, Parent
from app.core.schema import VARIATION_OF, InputRole, SavedImage
from app.database import images, inputs, job_inputs, reading
from app.image_rows import image_of
from app.library.search import NEWEST_FIRST

MOST = 100  # that a picture became


def chain_of(database: Engine, image: SavedImage) -> Chain:
    """One step each way: its parents as the request names them, and its children, the newest first."""
    with reading(database) as connection:
        return Chain(made_from=tuple(_parents(connection, image)), became=tuple(_children(connection, image)))


def _parents(connection: Connection, image: SavedImage) -> list[Parent]:
    found = []
    for role, sha256 in _starts(image.recipe):
        said = connection.scalar(select(inputs.c.said).where(inputs.c.sha256 == sha256)) or {}
        recipe = said.get("recipe")
        image_id = recipe.get("image_id") if isinstance(recipe, Mapping) else None
        found.append(_parent(connection, role, sha256, image_id))
    request = image.recipe.get("request") or {}
    other = (request.get("extra") or {}).get(VARIATION_OF)
    if isinstance(other, str) and request.get("subseed_strength"):
        found.append(_parent(connection, "variation", None, other))
    return found


def _parent(connection: Connection, role: str, sha256: str | None, image_id: Any) -> Parent:
    if not isinstance(image_id, str):
        return Parent(role=role, sha256=sha256)
    row = connection.execute(select(images).where(images.c.id == image_id)).mappings().first()
    here = None if row is None else Image(**dict(image_of(row)))
    return Parent(role=role, sha256=sha256, image_id=image_id, image=here, deleted=here is None)


def _children(connection: Connection, image: SavedImage) -> list[Image]:
    started = (
        select(job_inputs.c.job_id)
        .join(inputs, inputs.c.sha256 == job_inputs.c.sha256)
        .where(inputs.c.said["recipe"]["image_id"].as_string() == image.id)
    )
    extra = images.c.recipe["request"]["extra"][VARIATION_OF]
    # All variations of a picture have its seed, for which there is an index.
    varied: ColumnElement[bool] = (images.c.seed == image.seed) & (extra.as_string() == image.id)
    # Two queries in one would look at every row.
    ids = set(connection.scalars(select(images.c.id).where(images.c.job_id.in_(started)).limit(MOST)))
    ids |= set(connection.scalars(select(images.c.id).where(varied).limit(MOST)))
    wanted = select(images).where(images.c.id.in_(ids), images.c.id != image.id)
    rows = connection.execute(wanted.order_by(*NEWEST_FIRST).limit(MOST)).mappings()
    return [Image(**dict(image_of(row))) for row in rows]


def _starts(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Role and hash of each picture that a recipe starts from; a mask is none."""
    named = (recipe.get("request") or {}).get("inputs") or ()
    return [(item.get("role") or InputRole.IMAGE.value, item["sha256"]) for item in named
            if item.get("role") != InputRole.MASK]  # fmt: skip
