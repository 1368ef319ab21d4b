"""The page's tools for assistants, called by the official client of the protocol."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.loops import run_apart
from tests.running import RunningPage, RunningService


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, service: RunningService) -> Iterator[str]:
    """Where a page with tools offers them."""
    folder: Path = tmp_path_factory.mktemp("mcp")
    with RunningPage(folder, service.url, UI_MCP="true") as page:
        yield f"{page.url}/gradio_api/mcp/"


def talk(address: str, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """The names of the tools, and what each call answers."""

    async def run() -> tuple[list[str], list[Any]]:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60, follow_redirects=True) as http,
            streamable_http_client(address, http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            answers = [await session.call_tool(name, arguments) for name, arguments in calls]
            return tools, [json.loads(answer.content[0].text) for answer in answers]

    return run_apart(run())


def test_an_assistant_finds_three_tools_and_no_function_of_the_page(address: str) -> None:
    tools, [models] = talk(address, ("list_models", {}))
    assert sorted(tools) == ["generate_image", "get_job", "list_models"]
    assert "pocket" in [model["key"] for model in models]


def test_an_assistant_queues_a_picture_and_asks_until_it_is_there(address: str, service: RunningService) -> None:
    _, [job] = talk(address, ("generate_image", {"prompt": "a red apple", "seed": 7}))
    assert job["request"]["seed"] == 7
    while job["state"] in ("queued", "running"):
        _, [job] = talk(address, ("get_job", {"job_id": job["id"]}))
    assert job["state"] == "succeeded"
    assert len(job["images"]) == 1


def test_an_assistant_is_told_what_was_wrong_in_the_services_words(address: str) -> None:
    _, [refused, unknown] = talk(
        address,
        ("generate_image", {"prompt": "a cat", "model": "no-such-model"}),
        ("get_job", {"job_id": "../../etc/passwd"}),
    )
    assert "no-such-model" in json.dumps(refused["error"])
    assert unknown["error"]["code"]
