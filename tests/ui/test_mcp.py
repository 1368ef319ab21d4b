"""The page's tools for assistants, called by the official client of the protocol."""

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ImageContent, TextContent
from PIL import Image

from app.client import ImageServiceClient
from app.picture.png import inspect
from tests.loops import run_apart
from tests.running import RunningPage, RunningService


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, service: RunningService) -> Iterator[str]:
    """Where a page with tools offers them."""
    folder: Path = tmp_path_factory.mktemp("mcp")
    with RunningPage(folder, service.url, UI_MCP="true") as page:
        yield f"{page.url}/gradio_api/mcp/"


@asynccontextmanager
async def session_at(address: str) -> AsyncIterator[ClientSession]:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60, follow_redirects=True) as http,
        streamable_http_client(address, http_client=http) as (read, write, _),
        ClientSession(read, write, read_timeout_seconds=timedelta(seconds=60)) as session,
    ):
        await session.initialize()
        yield session


def talk(address: str, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """The names of the tools, and what each call answers."""

    async def run() -> tuple[list[str], list[Any]]:
        async with session_at(address) as session:
            tools = [tool.name for tool in (await session.list_tools()).tools]
            answers = [await session.call_tool(name, arguments) for name, arguments in calls]
            return tools, [json.loads(answer.content[0].text) for answer in answers]

    return run_apart(run())


def test_an_assistant_finds_five_tools_and_no_function_of_the_page(address: str) -> None:
    tools, [models] = talk(address, ("list_models", {}))
    assert sorted(tools) == ["generate_image", "get_job", "get_picture", "hand_in_picture", "list_models"]
    assert "pocket" in [model["key"] for model in models]


def test_an_assistant_queues_a_picture_and_asks_until_it_is_there(address: str, service: RunningService) -> None:
    _, [job] = talk(address, ("generate_image", {"prompt": "a red apple", "seed": 7}))
    assert job["request"]["seed"] == 7
    while job["state"] in ("queued", "running"):
        _, [job] = talk(address, ("get_job", {"job_id": job["id"]}))
    assert job["state"] == "succeeded"
    assert len(job["images"]) == 1


async def paint(address: str, picture: bytes, mask: bytes) -> tuple[dict[str, Any], ImageContent]:
    """In one session: two pictures go in, and what is made of them comes out; the job, and the picture."""
    async with session_at(address) as session:

        async def told(name: str, **arguments: Any) -> Any:
            answer = await session.call_tool(name, arguments)
            assert isinstance(answer.content[0], TextContent)
            return json.loads(answer.content[0].text)

        start, hole = [
            (await told("hand_in_picture", picture=before + base64.b64encode(each).decode()))["sha256"]
            for before, each in (("", picture), ("data:image/png;base64,", mask))
        ]
        job = await told("generate_image", prompt="a lemon", pictures=start, mask=hole, strength=0.9, seed=7)
        deadline = time.monotonic() + 60
        while job["state"] in ("queued", "running"):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
            job = await told("get_job", job_id=job["id"])
        got = await session.call_tool("get_picture", {"image_id": job["images"][0]["id"]})
        assert isinstance(got.content[0], ImageContent)
        return job, got.content[0]


def test_an_assistant_hands_pictures_in_and_gets_what_is_made_of_them_with_its_recipe(
    address: str, client: ImageServiceClient
) -> None:
    start, mask = Image.new("RGB", (64, 64), "teal"), Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 48))
    sent = [io.BytesIO(), io.BytesIO()]
    for picture, stream in zip((start, mask), sent, strict=True):
        picture.save(stream, "PNG")
    job, got = run_apart(paint(address, *(stream.getvalue() for stream in sent)))
    asked = job["request"]
    assert (asked["task"], asked["strength"]) == ("inpaint", 0.9)
    assert [item["role"] for item in asked["inputs"]] == ["image", "mask"]
    assert Image.open(io.BytesIO(client.input_bytes(asked["inputs"][0]["sha256"]))).tobytes() == start.tobytes()
    png = base64.b64decode(got.data)
    assert (got.mimeType, png) == ("image/png", client.image_bytes(job["images"][0]["id"]))
    assert inspect(png).request["prompt"] == "a lemon"


def test_an_assistant_is_told_what_was_wrong_in_the_services_words(address: str) -> None:
    _, [refused, unknown, no_picture, no_base64, no_start] = talk(
        address,
        ("generate_image", {"prompt": "a cat", "model": "no-such-model"}),
        ("get_job", {"job_id": "../../etc/passwd"}),
        ("get_picture", {"image_id": "../../etc/passwd"}),
        ("hand_in_picture", {"picture": "/etc/passwd"}),
        ("generate_image", {"prompt": "a cat", "mask": "0" * 64}),
    )
    assert "no-such-model" in json.dumps(refused["error"])
    assert unknown["error"]["code"]
    assert no_picture["error"]["code"]
    assert "base64" in no_base64["error"]["message"]
    assert "pictures" in no_start["error"]["message"]
