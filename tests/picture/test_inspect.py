"""Pictures from outside: recognised, limited, and never a danger."""

import json
import struct
import time
import tracemalloc
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from app.core.errors import UnreadablePicture
from app.picture import png
from app.picture.exif import user_comment
from tests.picture.conftest import a_png

A1111 = "a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model: v1-5"
GRAPH = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})


def a_file(format: str = "PNG", size: tuple[int, int] = (8, 6), exif: Image.Exif | None = None, **texts: str) -> bytes:
    """A picture of another program with these PNG texts."""
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    stream = BytesIO()
    more = {"exif": exif} if exif is not None else {}
    Image.new("RGB", size).save(stream, format, pnginfo=info, **more)
    return stream.getvalue()


def with_comment(text: str, encoding: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0131] = "Software"  # Pillow leaves out a block of a PNG that has no tag at its top
    prefix = b"UNICODE\0" if encoding.startswith("utf-16") else b"ASCII\0\0\0"
    exif.get_ifd(0x8769)[0x9286] = prefix + text.encode(encoding)
    return exif


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(*chunks: bytes) -> bytes:
    whole = a_file()
    return whole[:33] + b"".join(chunks) + whole[33:]  # after the signature and IHDR


@pytest.mark.parametrize(
    ("texts", "kind", "made_by"),
    [
        ({"parameters": A1111}, "a1111", "Stable Diffusion WebUI (A1111)"),
        ({"parameters": A1111 + ", Version: v1.10.1"}, "a1111", "Stable Diffusion WebUI (A1111)"),
        ({"parameters": A1111 + ", Version: f2.0.1v1.10.1"}, "a1111", "Stable Diffusion WebUI Forge"),
        ({"parameters": A1111 + ", App: SD.Next, Version: 1"}, "a1111", "SD.Next"),
        ({"parameters": A1111 + ", Version: stable-diffusion.cpp"}, "a1111", "stable-diffusion.cpp"),
        ({"parameters": A1111, "prompt": GRAPH}, "a1111", "Stable Diffusion WebUI (A1111)"),
        ({"prompt": GRAPH, "workflow": "{}"}, "comfyui", "ComfyUI"),
        ({"prompt": GRAPH}, "comfyui", "ComfyUI"),
        ({"invokeai_metadata": '{"positive_prompt": "a"}'}, "invokeai", "InvokeAI"),
        ({"sd-metadata": "{}"}, "invokeai", "InvokeAI"),
        ({"parameters": '{"sui_image_params": {"prompt": "a"}}'}, "swarmui", "SwarmUI"),
        ({"parameters": '{"base_model": "x", "prompt": "a"}', "fooocus_scheme": "fooocus"}, "fooocus", "Fooocus"),
        ({"Comment": '{"prompt": "a", "base_model": "x"}'}, "fooocus", "Fooocus"),
        ({"Software": "NovelAI", "Comment": '{"prompt": "a", "steps": 28}'}, "novelai", "NovelAI"),
        ({"prompt": "a", "negative_prompt": "b"}, "easydiffusion", "Easy Diffusion"),
        ({"Software": "gimp"}, "none", ""),
        ({"parameters": "just words"}, "none", ""),
        ({}, "none", ""),
    ],
)
def test_a_picture_says_which_program_made_it(texts: dict[str, str], kind: str, made_by: str) -> None:
    seen = png.inspect(a_file(**texts))
    assert (seen.kind, seen.made_by, seen.recipe) == (kind, made_by, None)
    assert seen.texts == texts
    assert (seen.request is not None) == (kind == "a1111" or "invokeai_metadata" in texts)


def test_a1111s_settings_are_read_into_our_fields() -> None:
    seen = png.inspect(a_file(parameters=A1111))
    assert seen.parameters == A1111
    assert seen.request == {
        "prompt": "a cat",
        "negative_prompt": "a dog",
        "num_inference_steps": 20,
        "guidance_scale": 7.0,
        "width": 512,
        "height": 512,
        "seed": 5,
        "scheduler": "Euler a",
    }


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "ascii"])
def test_an_exif_comment_is_read_from_every_format(format: str, encoding: str) -> None:
    seen = png.inspect(a_file(format, exif=with_comment(A1111, encoding)))
    assert (seen.kind, seen.width, seen.height) == ("a1111", 8, 6)
    assert seen.request["prompt"] == "a cat"


def test_draw_things_is_known_by_its_xmp() -> None:
    comment = json.dumps({"c": "a cat", "uc": "a dog", "sampler": "Euler"})
    packet = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:exif='
        '"http://ns.adobe.com/exif/1.0/"><exif:UserComment><rdf:Alt><rdf:li>' + comment.replace("<", "&lt;")
        + "</rdf:li></rdf:Alt></exif:UserComment></rdf:Description></rdf:RDF>"
    )  # fmt: skip
    seen = png.inspect(a_file(**{"XML:com.adobe.xmp": packet}))
    assert seen.kind == "drawthings"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        a_file()[:-5],
        a_file()[:60],
        a_file()[:40] + b"x" + a_file()[41:],
        a_file("GIF"),
        a_file("BMP"),
        a_file("JPEG")[:20],
        a_file("WEBP")[:20],
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**32 - 1) + b"tEXt",
    ],
)
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        png.inspect(data)


@pytest.mark.parametrize("side", [6000, 12_000, 20_000, 2**31 - 1])
def test_a_picture_with_too_many_pixels_is_refused_before_they_are_decoded(side: int) -> None:
    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    with pytest.raises(UnreadablePicture, match="33000000"):
        png.inspect(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IEND", b""))


def test_a_jpeg_with_too_many_pixels_is_refused() -> None:
    stream = BytesIO()
    Image.new("L", (10_000, 10_000)).save(stream, "JPEG")
    with pytest.raises(UnreadablePicture):
        png.inspect(stream.getvalue())


def test_a_compressed_bomb_in_a_text_costs_no_memory_and_hides_nothing_else() -> None:
    bomb = zlib.compress(bytes(200 * 2**20), 9)
    data = with_chunks(
        chunk(b"zTXt", b"parameters\0\0" + bomb),
        chunk(b"iTXt", b"atelier\0\1\0\0\0" + bomb),
        chunk(b"tEXt", b"Software\0gimp"),
    )
    del bomb
    tracemalloc.start()
    seen = png.inspect(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (seen.kind, seen.texts) == ("none", {"Software": "gimp"})
    assert peak < 8 * 2**20


def test_compressed_texts_of_a_sensible_size_are_read() -> None:
    packed = zlib.compress(A1111.encode())
    assert png.inspect(with_chunks(chunk(b"zTXt", b"parameters\0\0" + packed))).kind == "a1111"
    assert png.inspect(with_chunks(chunk(b"iTXt", b"parameters\0\1\0\0\0" + packed))).kind == "a1111"


def test_only_64_fields_of_16_kib_are_shown_and_the_longer_ones_are_named() -> None:
    texts = {f"key{number}": "苹" * 10_000 for number in range(100)}
    seen = png.inspect(a_file(**texts))
    assert len(seen.texts) == 64
    assert max(len(text.encode()) for text in seen.texts.values()) <= 16 * 1024
    assert seen.texts["key0"] == "苹" * 5461
    assert len(seen.cut) == 64


def test_a_long_infotext_is_cut_where_it_is_shown() -> None:
    seen = png.inspect(a_file(parameters="x" * 30_000 + "\n" + A1111))
    assert len(seen.parameters) == 16 * 1024
    assert seen.cut == ("parameters",)
    assert "prompt" not in seen.request  # over the 20,000 characters of a request


@pytest.mark.parametrize(
    "value",
    [
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "</textarea>",
        "x" * 10_000_000,
        "[" * 200_000,
        '{"a":' * 100_000,
    ],
)
@pytest.mark.parametrize("key", ["parameters", "atelier", "prompt", "Comment"])
def test_hostile_texts_are_only_text(key: str, value: str) -> None:
    start = time.process_time()
    seen = png.inspect(a_file(**{key: value}))
    assert seen.kind == "none"
    assert seen.texts[key] == value[: 16 * 1024]
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "body",
    [b"", b"key", b"key\0", b"\0\0\0", b"key\0\1\0", b"key\0\0\0\xff\0\xff\0\xff\xff", b"key\0\1\0\0\0not zlib"],
)
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_malformed_text_chunk_is_passed_over(kind: bytes, body: bytes) -> None:
    assert png.inspect(with_chunks(chunk(kind, body), chunk(b"tEXt", b"parameters\0" + A1111.encode()))).kind == "a1111"


@pytest.mark.parametrize(
    "exif", [b"", b"MM", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\x69\x87" * 40]
)
def test_broken_exif_is_no_reason_to_refuse_a_picture(exif: bytes) -> None:
    assert png.inspect(with_chunks(chunk(b"eXIf", exif))).kind == "none"


@given(st.binary(max_size=200))
def test_no_exif_block_makes_the_reader_fail(block: bytes) -> None:
    user_comment(b"II*\0" + block)
    user_comment(b"Exif\0\0MM\0*" + block)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_but_for_saying_that_they_are_no_picture(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"):
        with pytest.raises(UnreadablePicture):
            png.inspect(start + data)


def test_a_forged_recipe_gives_a_request_that_is_valid_or_none_at_all() -> None:
    forged = a_png("a").replace(b'"width":16', b'"width":-1')
    at = forged.index(b"iTXtatelier") - 4
    (length,) = struct.unpack_from(">I", forged, at)
    fixed = forged[:at] + chunk(b"iTXt", forged[at + 8 : at + 8 + length]) + forged[at + 12 + length :]
    assert png.inspect(fixed).kind == "a1111"
