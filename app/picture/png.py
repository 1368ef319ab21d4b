"""Picture files: writing a PNG with its recipe and labels, and reading what any file says about itself."""

from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin

from app import __version__
from app.core.answers import Inspection
from app.core.errors import UnreadablePicture
from app.core.schema import GenerationRequest
from app.picture import avif, foreign, infotext, labels, outside, recipe
from app.picture.chunks import MAX_TEXTS
from app.picture.exif import user_comment
from app.picture.grid_recipe import load_grid

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 33_000_000  # of a picture from outside; larger ones are refused before a pixel is decoded
MAX_SHOWN_BYTES = 16 * 1024  # of one field of a picture from outside
# 6 is zlib's own default; 9 costs five times the time for 1 % of the size.
COMPRESS_LEVEL = 6
INFOTEXT = "parameters"


def encode(
    request: GenerationRequest, picture_rgb: bytes, width: int, height: int, made: Mapping[str, Any], *, image_id: str
) -> bytes:
    """The bytes of a PNG file with `parameters`, the recipe `made` of this `request`, and the XMP label.

    `picture_rgb` is `width * height * 3` bytes, 8 bit sRGB, row by row. The same arguments give the same bytes.
    Raises ValueError if the pixels do not fit the size.
    """
    values = dict(made)
    how = values["how"]
    texts = PngImagePlugin.PngInfo()
    texts.add_text(INFOTEXT, infotext.build(request, values["seed"], how))
    texts.add_itxt(recipe.KEYWORD, recipe.dump(values))
    packet = labels.xmp_packet(
        system=str(how.get("model") or request.model or ""),
        version=__version__,
        revision=str(how.get("revision") or ""),
        created=datetime.fromisoformat(values["created_at"]),
        image_id=image_id,
        prompt=request.prompt,
        composite=values.get("composite") is True,
    )
    texts.add_itxt(labels.KEYWORD, packet)
    stream = BytesIO()
    picture = Image.frombytes("RGB", (width, height), picture_rgb)
    picture.save(stream, "PNG", pnginfo=texts, compress_level=COMPRESS_LEVEL)
    return stream.getvalue()


def inspect(data: bytes) -> Inspection:
    """What the file `data` says about itself; no pixel is decoded. `recipe` is ours only.

    Raises UnreadablePicture if it is no PNG, JPEG, WebP or AVIF, is damaged, or has more than 33 million pixels.
    """
    file = avif.read(data) if avif.is_avif(data) else outside.read(data)
    width, height, texts, comment = file.width, file.height, file.texts, user_comment(file.exif)
    if width * height > MAX_PIXELS:
        raise UnreadablePicture(f"The picture has {width}x{height} pixels; allowed is at most {MAX_PIXELS} in all.")
    said = labels.read_labels(file.xmp)
    own = texts.get(recipe.KEYWORD, "") or labels.read_recipe(file.xmp)
    made = recipe.load(own)
    if made is not None:
        request = recipe.request_of(made).model_dump(mode="json")
        parameters = foreign.infotext_of(texts, comment) or None
        return Inspection(
            kind="atelier",
            made_by="Atelier",
            width=width,
            height=height,
            recipe=made,
            request=request,
            parameters=parameters,
            labels=said,
            c2pa=file.c2pa,
        )
    of_grid = load_grid(own)
    if of_grid is not None:
        return Inspection(
            kind="atelier",
            made_by="Atelier",
            width=width,
            height=height,
            recipe=of_grid[0],
            grid=of_grid[1],
            request=of_grid[1].request.model_dump(mode="json"),
            parameters=foreign.infotext_of(texts, comment) or None,
            labels=said,
            c2pa=file.c2pa,
        )
    kind, made_by = foreign.recognise(texts, comment, said)
    text = foreign.infotext_of(texts, comment)
    found = foreign.recipe_of(kind, texts, comment)
    return Inspection(
        kind=kind,
        made_by=made_by,
        width=width,
        height=height,
        request=found.request if found else None,
        unusable=found.unusable if found else {},
        model=found.model if found else "",
        parameters=_cut(text if kind == "a1111" else infotext.build_of(found)) if found else None,
        labels=_cut_all(said),
        c2pa=file.c2pa,
        **_shown(texts, comment),
    )


def _cut(text: str) -> str:
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= MAX_SHOWN_BYTES else raw[:MAX_SHOWN_BYTES].decode("utf-8", "ignore")


def _cut_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _cut(value) if isinstance(value, str) else value for key, value in values.items()}


def _shown(texts: Mapping[str, str], comment: str) -> dict[str, Any]:
    fields = dict(texts) | ({"UserComment": comment} if comment else {})
    fields.pop(labels.KEYWORD, None)
    short = {_cut(key): _cut(value) for key, value in list(fields.items())[:MAX_TEXTS]}
    return {"texts": short, "cut": tuple(key for key, value in short.items() if value != fields.get(key))}
