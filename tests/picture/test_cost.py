"""No picture of up to 32 MB costs the service more than a moment and a share of its memory, whoever made it."""

import json
import os
import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from app.core.errors import UnreadablePicture
from app.core.settings import PROJECT_FOLDER
from app.picture import labels, outside, png
from app.picture.resize import resize
from tests.picture.bombs import MOST_CPU_S, a_jpeg, a_png, a_webp, chunk, measured
from tests.picture.conftest import a_png as one_of_ours

MEMORY_MB = 256


@pytest.fixture(scope="module")
def costs() -> dict[str, tuple[float, float, str]]:
    """CPU seconds, MiB and the end of every bomb at every reader, each in a process of its own."""
    command = [sys.executable, "-m", "tests.picture.bombs"]
    done = subprocess.run(command, cwd=PROJECT_FOLDER, capture_output=True, check=True, timeout=600, env={**os.environ})
    found: dict[str, tuple[float, float, str]] = json.loads(done.stdout)
    return found


def test_no_picture_costs_more_than_seconds_and_a_quarter_of_a_gigabyte(
    costs: dict[str, tuple[float, float, str]],
) -> None:
    assert len(costs) == len(measured())
    assert {name: cost for name, cost in costs.items() if cost[0] > MOST_CPU_S or cost[1] > MEMORY_MB} == {}
    assert {name: cost for name, cost in costs.items() if cost[2].startswith(("fault", "500"))} == {}


def test_pictures_of_full_size_are_still_served(costs: dict[str, tuple[float, float, str]]) -> None:
    for name in ("PNG of noise", "PNG of 64 bits a pixel", "JPEG of noise", "JPEG of all scans", "WebP of noise"):
        assert costs[f"{name}, extras"][2] == "200"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_size_and_texts_are_read_from_every_format_without_decoding(format: str) -> None:
    data = {"PNG": a_png(size=(70, 9)), "JPEG": a_jpeg(size=(70, 9)), "WEBP": a_webp(size=(70, 9))}[format]
    found = outside.read(data)
    assert (found.format, found.width, found.height) == (format, 70, 9)
    with pytest.raises(UnreadablePicture):
        outside.read(data[: len(data) // 4])


def test_a_scaled_picture_keeps_its_recipe_and_its_label() -> None:
    before = png.inspect(one_of_ours())
    after = png.inspect(resize(one_of_ours(), 2.0, "Lanczos"))
    assert (after.width, after.height) == (32, 32)
    assert (after.kind, after.recipe, after.labels) == ("atelier", before.recipe, before.labels)


@pytest.mark.parametrize("size", [(40, 10), (10, 40), (16, 16), (7, 31)])
def test_a_picture_that_fills_a_size_is_cut_evenly(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", (16, 16), "black")
    picture.paste("white", (4, 4, 12, 12))
    stream = BytesIO()
    picture.save(stream, "PNG")
    cut = Image.open(BytesIO(resize(stream.getvalue(), size, "Nearest", crop=True)))
    assert cut.size == size
    grey = cut.convert("L")
    assert grey.tobytes() == grey.transpose(Image.Transpose.ROTATE_180).tobytes()
    assert grey.getpixel((size[0] // 2, size[1] // 2)) == 255


def test_a_label_nested_deeper_than_any_real_one_says_nothing() -> None:
    says = '<d:CreatorTool xmlns:d="http://ns.adobe.com/xap/1.0/">x</d:CreatorTool>'

    def nested(depth: int) -> str:
        return "<a>" * depth + says + "</a>" * depth

    assert labels.read_labels(nested(labels.MAX_DEPTH - 1))["creator_tool"] == "x"
    assert labels.read_labels(nested(labels.MAX_DEPTH)) == {}


def test_texts_behind_the_sixty_fourth_are_ignored_even_if_all_before_are_broken() -> None:
    broken = chunk(b"zTXt", b"k\0\0not zlib")
    good = chunk(b"tEXt", b"Software\0gimp")
    assert png.inspect(a_png(broken * 63 + good)).texts == {"Software": "gimp"}
    assert png.inspect(a_png(broken * 64 + good)).texts == {}
