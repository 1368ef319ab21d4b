"""Files and texts made to do harm, opened on the Inspect tab or sent to any address of the page."""

import http.client
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, expect

from tests.running import RunningPage
from tests.ui.addresses_probed import TRAVERSALS
from tests.ui.calls import functions_of
from tests.ui.steps import open_tab

ATTACK = "</pre></textarea></script>\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{constructor}}"
XMP = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:AISystemUsed="{
    ATTACK.replace("<", "&lt;").replace('"', "&quot;")
}"/></rdf:RDF></x:xmpmeta>"""
HTML = b"<!doctype html><script>alert(3)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(4)"><script>alert(5)</script></svg>'


def picture(**texts: bytes) -> bytes:
    """A PNG with these texts in it, as they are."""
    written = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(written, "PNG")
    data = written.getvalue()
    chunks = b"".join(
        chunk(b"tEXt", name.encode() + b"\0" + text)
        if name != "XMP"
        else chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text)
        for name, text in texts.items()
    )
    return data[:33] + chunks + data[33:]  # behind the signature and IHDR


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


HOSTILE = {
    "parameters": picture(parameters=f"{ATTACK}\nNegative prompt: {ATTACK}\nSteps: 4, Model: {ATTACK}".encode()),
    "atelier": picture(atelier=b'{"request": {"prompt": "' + ATTACK.replace('"', '\\"').encode() + b'"}}'),
    "labels": picture(XMP=XMP.encode()),
    "other texts": picture(**{"workflow": ATTACK.encode(), "<img src=x onerror=alert(6)>": ATTACK.encode()}),
    "paths": picture(parameters=b"../../../../etc/passwd\nSteps: 4, Model: ../../etc/passwd, VAE: /etc/passwd"),
    "no text": picture(parameters=b"\xff\xfe\x00\x80 \xed\xa0\x80"),
    "long": picture(parameters=b"<b>" * 300_000),
    "html": HTML,
    "svg": SVG,
    "html behind a picture": picture() + HTML,
    "gif": b"GIF89a/*" + HTML,
    "nothing": b"",
}


@pytest.mark.browser
def test_no_hostile_file_that_is_inspected_does_anything(page: Page) -> None:
    alarms: list[str] = []
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda sent: alarms.append(sent.url) if sent.url.endswith(("/x", "passwd")) else None)
    open_tab(page, "Inspect")
    shown = page.locator("#at-inspect")
    for number, (name, data) in enumerate(HOSTILE.items()):
        with page.expect_response(lambda answer: "handed-in" in (answer.request.post_data or "")):
            page.locator("#at-inspect-file input[type=file]").set_input_files(
                {"name": f"{number}.png", "mimeType": "image/png", "buffer": data}
            )
        expect(shown.locator(".at-notice").first).to_be_visible()
        for details in shown.locator("details").all():
            details.evaluate("part => { part.open = true; }")
        assert shown.locator("script, iframe, object, svg[onload], [onerror], img[src='x']").count() == 0, name
        use = shown.get_by_role("button", name="Use as new settings")
        if use.count():
            use.click()
            expect(page.locator("#at-toast .at-notice").first).to_be_visible()
            open_tab(page, "Inspect")
    assert alarms == []


def test_what_was_handed_in_is_shown_at_no_address(page_process: RunningPage) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for data in (HTML, SVG, HOSTILE["html behind a picture"]):
            told = session.post(page_process.url + "/atelier/upload", data=data).json()
            assert list(told) == ["name"]
            for path in ("/atelier/upload/", "/atelier/upload?name=", "/gradio_api/file=", "/file=", "/assets/", "/"):
                answer = session.get(page_process.url + path + told["name"])
                assert answer.status_code in (404, 405), path
                assert b"alert" not in answer.content
    left = [
        file for file in (page_process.folder / "data").rglob("*") if file.is_file() and b"alert" in file.read_bytes()
    ]
    assert left == []


@pytest.fixture(scope="module")
def line(page_process: RunningPage) -> Iterator[http.client.HTTPConnection]:
    """A connection that sends a path as it is written."""
    made = http.client.HTTPConnection("127.0.0.1", page_process.port, timeout=60)
    yield made
    made.close()


@pytest.mark.parametrize(
    "place",
    ["/{}", "/atelier/picture/{}.png", "/atelier/picture/{}", "/atelier/thumbnail/{}.webp", "/assets/{}", "/static/{}",
     "/static/js/{}", "/gradio_api/file={}"],
)  # fmt: skip
def test_no_way_of_writing_a_path_leaves_the_page(line: http.client.HTTPConnection, place: str) -> None:
    for probe in TRAVERSALS:
        line.request("GET", place.format(probe))
        answer = line.getresponse()
        body = answer.read()
        assert answer.status in (400, 404), probe
        for told in (b"root:", b"ATELIER", b"[project]", b"Traceback"):
            assert told not in body, probe


def test_a_line_break_in_any_field_adds_no_header_and_writes_no_file(page_process: RunningPage) -> None:
    broken = "a\r\nX-Evil: 1\r\n\r\n[settings]\r\nhost = 0.0.0.0\r\n"
    folder = page_process.folder / "data"
    before = contents(folder)
    with requests.Session() as session:
        session.trust_env = False
        answers = [
            session.post(page_process.url + "/gradio_api/run/predict", json=body)
            for body in calls_with(broken, functions_of(session, page_process.url))
        ]
        for path in ("/?prompt=", "/?job=", "/?tab=", "/atelier/picture/"):
            answers.append(session.get(page_process.url + path + quote(broken)))
    assert len(answers) > 40
    assert not [answer.url for answer in answers if "x-evil" in answer.headers]
    assert contents(folder) == before


def calls_with(text: str, functions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A call of each function with this text in every field, and in every value of a pressed button."""
    for function in functions:
        for act in ("cancel", text):
            pressed = dict.fromkeys(("id", "text", "value", "here", "stack", "request", "hub"), text) | {"act": act}
            data = [text] * len(function["inputs"])
            yield {"data": data, "event_data": pressed, "fn_index": function["id"], "session_hash": text}


def contents(folder: Path) -> dict[str, int]:
    """Every file with its size, besides thumbnails."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".webp")
    return {str(file): file.stat().st_size for file in files}
