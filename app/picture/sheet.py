"""The sheet of a grid: all its pictures in one PNG, with the values beside them, and the grid as its recipe."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from app import __version__
from app.core.errors import AtelierError
from app.core.grids import Grid, GridAxis
from app.picture import labels, recipe
from app.picture.grid_recipe import A1111_TYPES, grid_infotext
from app.picture.png import COMPRESS_LEVEL, INFOTEXT

MAX_PIXELS = 2**24  # of a sheet; pictures that would make it larger are scaled down, all by one factor
MARGIN, TITLE_SHARE = 8, 0.09  # of a cell's height, for words
LEAST_CELL, EMPTY_CELL = 16, 256  # pixels; EMPTY_CELL of a grid without any picture
FONT_SIZES = (12, 40)  # pixels, least and most
WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (228, 228, 228)
# Values in Chinese need a font of this machine: the one inside Pillow has none of its characters.
CJK_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "PingFang.ttc", "msyh.ttc", "NotoSansSC-Regular.otf")
_one_at_a_time = threading.Lock()  # a canvas and one picture in memory, however many ask
Opened = tuple[bytes, Mapping[str, Any]]  # a picture's file and its recipe


def sheet(grid: Grid, opened: Callable[[str], Opened]) -> bytes:
    """The PNG of a grid's pictures by their ids, as far as they are there; the same pictures give the same bytes.

    Columns are the x axis, rows the y axis, and a table follows below for each value of z. `opened` may raise for a
    picture that is gone. At most 16 million pixels, and one picture beside them in memory.
    """
    with _one_at_a_time:
        layout = Layout(grid)
        canvas = Image.new("RGB", layout.size, WHITE)
        composite = False
        for cell in grid.cells:
            box = layout.box(cell.x, cell.y, cell.z)
            try:
                data, made = opened(cell.image.id) if cell.image else (b"", {})
            except AtelierError:
                data, made = b"", {}
            composite |= made.get("composite") is True
            if not data:
                canvas.paste(GREY, (*box, box[0] + layout.width, box[1] + layout.height))
                continue
            with Image.open(BytesIO(data), formats=["PNG"]) as picture:
                width, height = (max(1, round(side * layout.factor)) for side in picture.size)
                scaled = picture.convert("RGB")
            if scaled.size != (width, height):
                scaled = scaled.resize((width, height), Image.Resampling.LANCZOS)
            canvas.paste(scaled, (box[0] + (layout.width - width) // 2, box[1] + (layout.height - height) // 2))
        layout.write(canvas)
        stream = BytesIO()
        canvas.save(stream, "PNG", pnginfo=_texts(grid, composite), compress_level=COMPRESS_LEVEL)
    return stream.getvalue()


class Layout:
    """Where everything stands on a sheet, in pixels."""

    def __init__(self, grid: Grid) -> None:
        self._axes: Sequence[GridAxis] = grid.asked().axes
        self.columns, self.rows, self.tables = ([len(axis.values) for axis in self._axes] + [1, 1])[:3]
        sides = [(cell.image.width, cell.image.height) for cell in grid.cells if cell.image]
        width, height = (max(side) for side in zip(*sides, strict=True)) if sides else (EMPTY_CELL, EMPTY_CELL)
        self.factor = 1.0
        self._measure(width, height)
        for _ in range(20):  # words do not shrink with the pictures: the first factor need not be enough
            most = self.size[0] * self.size[1]
            if most <= MAX_PIXELS or max(self.width, self.height) <= LEAST_CELL:
                break
            self.factor *= min(0.98, (MAX_PIXELS / most) ** 0.5)
            self._measure(width, height)

    def _measure(self, width: int, height: int) -> None:
        self.width, self.height = (max(1, round(side * self.factor)) for side in (width, height))
        least, most = FONT_SIZES
        self._font = min(most, max(least, round(self.height * TITLE_SHARE)))
        self.head = 3 * self._font + MARGIN  # two lines above the columns
        self.side = max(6 * self._font, self.width // 3) if self.rows > 1 else 0
        self._title = 2 * self._font + MARGIN if self.tables > 1 else 0
        table = self._title + self.head + self.rows * (self.height + MARGIN)
        self.size = (self.side + self.columns * (self.width + MARGIN) + MARGIN, self.tables * table + MARGIN)
        self._table = table

    def box(self, x: int, y: int, z: int) -> tuple[int, int]:
        """The left upper corner of a cell."""
        left = self.side + MARGIN + x * (self.width + MARGIN)
        return left, z * self._table + self._title + self.head + y * (self.height + MARGIN)

    def write(self, canvas: Image.Image) -> None:
        """Write the values beside the pictures."""
        pen = ImageDraw.Draw(canvas)
        words = [[label(axis, value) for value in axis.values] for axis in self._axes]
        fonts = _fonts(self._font, "".join(word for axis in words for word in axis))
        for z in range(self.tables):
            if self.tables > 1:
                middle = (canvas.width // 2, z * self._table + self._title // 2 + MARGIN)
                self._say(pen, fonts, words[2][z], middle, canvas.width)
            for x, text in enumerate(words[0]):
                left, top = self.box(x, 0, z)
                self._say(pen, fonts, text, (left + self.width // 2, top - self.head // 2), self.width)
            for y, text in enumerate(words[1] if self.rows > 1 else ()):
                _, top = self.box(0, y, z)
                self._say(pen, fonts, text, (self.side // 2 + MARGIN // 2, top + self.height // 2), self.side)

    def _say(self, pen: ImageDraw.ImageDraw, font: Any, text: str, middle: tuple[int, int], width: int) -> None:
        lines = _lines(text, lambda words: pen.textlength(words, font=font) <= width - MARGIN)
        pen.multiline_text(middle, "\n".join(lines), fill=BLACK, font=font, anchor="mm", align="center")


def label(axis: GridAxis, value: Any) -> str:
    """A value as it stands beside the pictures: numbers with their name, words alone."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return " ".join(shown.split())
    return f"{A1111_TYPES.get(axis.name, axis.name.replace('_', ' '))}: {shown}"


def _lines(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text in at most two lines that fit, the end left out with an ellipsis."""
    lines: list[str] = []
    rest = text[:400]
    for last in (False, True):
        if not rest or fits(rest):
            return [*lines, rest] if rest else lines
        cut = next((at for at in range(len(rest) - 1, 0, -1) if fits(rest[:at] + ("…" if last else ""))), 1)
        if not last and (space := rest.rfind(" ", 0, cut + 1)) > 0:
            cut = space
        lines.append(rest[:cut].rstrip() + ("…" if last else ""))
        rest = rest[cut:].lstrip()
    return lines


def _fonts(size: int, text: str) -> Any:
    if any(char >= "⺀" for char in text):
        for name in CJK_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


def _texts(grid: Grid, composite: bool) -> PngImagePlugin.PngInfo:
    asked, created = grid.asked(), grid.created_at
    cells = [
        {"image_id": cell.image.id, "seed": cell.image.seed, "sha256": cell.image.sha256} if cell.image else None
        for cell in grid.cells
    ]
    said: dict[str, Any] = {"grid_id": grid.id, "origin": grid.origin, "created_at": created.isoformat()}
    said |= {"grid": asked.model_dump(mode="json"), "cells": cells, "version": __version__}
    texts = PngImagePlugin.PngInfo()
    texts.add_text(INFOTEXT, grid_infotext(asked))
    texts.add_itxt(recipe.KEYWORD, recipe.dump(said))
    texts.add_itxt(labels.KEYWORD, _label(grid, created, composite))
    return texts


def _label(grid: Grid, created: datetime, composite: bool) -> str:
    return labels.xmp_packet(
        system=str(grid.request.model or ""),
        version=__version__,
        revision="",
        created=created,
        image_id=grid.id,
        prompt=grid.request.prompt,
        composite=composite,
    )
