"""Names of other providers' models, and the models of ours that answer to them: the owner's table."""

from fnmatch import fnmatchcase

from app.catalog import Catalog, ModelEntry
from app.core.errors import UnknownModel
from app.core.settings import Settings


def entry_for(catalog: Catalog, settings: Settings, name: str | None) -> ModelEntry:
    """The model that answers to `name`: a catalog key, else the first alias that fits; the default model for None.

    Raises UnknownModel.
    """
    if name is None:
        return catalog.get(catalog.default_key)
    try:
        return catalog.get(name)
    except UnknownModel:
        for pattern, key in parse_aliases(settings.model_aliases):
            if fnmatchcase(name, pattern):
                return catalog.get(key or catalog.default_key)
        raise


def parse_aliases(text: str) -> list[tuple[str, str]]:
    """Pairs of a name (`*` = any ending) and a catalog key ("" = the default model), in the order written."""
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return [(name.strip(), key.strip()) for name, _, key in pairs]
