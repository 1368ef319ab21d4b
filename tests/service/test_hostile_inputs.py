"""Every kind of hostile or unlucky picture at the door where jobs get theirs: refused by name, nothing of it kept."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from app.inputs.files import input_path
from tests.inputs.conftest import picture
from tests.picture.bombs import a_png, chunk
from tests.service.conftest import House

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def written(mode: str, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (8, 8), 7).save(stream, format, **options)
    return stream.getvalue()


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def of_size(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


HOSTILE = {
    "0 bytes": b"",
    "60,000 x 60,000 in the header": of_size(60_000, 60_000),
    "a side of 2^31 - 1": of_size(2**31 - 1, 1),
    "a bomb of 16,777,217 pixels": of_size(16_777_217, 1),
    "an SVG named PNG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "a page named PNG": b"<!doctype html><script>alert(1)</script>",
    "a program named PNG": b"\x7fELF" + bytes(100),
    "a GIF named PNG": written("L", "GIF"),
    "a TIFF named PNG": written("L", "TIFF"),
    "an animated GIF": animated("GIF"),
    "an animated WebP": animated("WEBP"),
    "an animated PNG": animated("PNG"),
    "a PNG with a wrong checksum": a_png()[:20] + b"\xff" + a_png()[21:],
    **{f"a PNG cut at {part}/20": a_png()[: len(a_png()) * part // 20] for part in range(1, 20)},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_picture_is_refused_with_its_field_and_the_limits_and_nothing_of_it_is_kept(
    house: House, kind: str
) -> None:
    before = house.service.parts.inputs.used_bytes()
    answer = house.client.post("/api/inputs", data=HOSTILE[kind], content_type="image/png")
    assert answer.status_code == 422
    [error] = answer.get_json()["errors"]
    assert error["field"] == "picture"
    assert (
        "allowed is one still PNG, JPEG or WebP picture of at most 20971520 bytes and 16777216 pixels"
        in error["allowed"]
    )
    assert house.service.parts.inputs.used_bytes() == before


TURNED = b"MM\0*" + struct.pack(">LHHHLHHL", 8, 1, 0x0112, 3, 1, 6, 0, 0)


@pytest.mark.parametrize(
    ("data", "size", "mode"),
    [
        (written("CMYK", "JPEG"), (8, 8), "RGB"),
        (written("I;16", "PNG"), (8, 8), "L"),
        (written("P", "PNG"), (8, 8), "RGB"),
        (written("RGB", "JPEG", exif=TURNED), (8, 8), "RGB"),
    ],
    ids=["CMYK", "16 bits", "a palette", "turned"],
)
def test_an_odd_picture_is_made_plain(house: House, data: bytes, size: tuple[int, int], mode: str) -> None:
    kept = house.client.post("/api/inputs", data=data, content_type="application/octet-stream").get_json()
    assert ((kept["width"], kept["height"]), kept["mode"]) == (size, mode)


def sent(house: House, data: bytes, role: str) -> dict[str, str]:
    kept = house.client.post("/api/inputs", data=data, content_type="image/png").get_json()
    return {"role": role, "sha256": kept["sha256"]}


def test_a_mask_of_another_size_is_brought_to_that_of_the_picture(house: House) -> None:
    inputs = [sent(house, picture(1), "image"), sent(house, written("L", "PNG"), "mask")]
    assert house.finished(house.submit("a mask", task="inpaint", inputs=inputs)["id"])["state"] == "succeeded"


def test_a_picture_that_is_deleted_while_its_job_waits_fails_that_job_by_name_and_no_other(
    make_house: Callable[..., House],
) -> None:
    house = make_house(start_paused=True)
    start = sent(house, picture(2), "image")
    waiting = house.submit("from what is gone", task="image", inputs=[start])
    other = house.submit("a red apple")
    (house.service.parts.settings.output_folder / input_path(start["sha256"])).unlink()
    house.client.post("/api/queue/resume")
    failed = house.finished(waiting["id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "unknown_input")
    assert start["sha256"] in failed["error"]["message"]
    assert house.finished(other["id"])["state"] == "succeeded"
