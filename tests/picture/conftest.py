"""Recipes and files to try the picture room with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.schema import GenerationRequest
from app.picture import png

HOW = {"model": "pocket", "revision": "r1", "scheduler": "EulerDiscreteScheduler", "device": "cpu", "seconds": 1.5}


def a_recipe(
    prompt: str = "a red apple", *, index: int = 0, how: dict[str, Any] | None = None, **request: Any
) -> dict[str, Any]:
    """A recipe as the library writes it."""
    values = {"model": "pocket", "num_inference_steps": 8, "guidance_scale": 4.0, "width": 16, "height": 16}
    values |= {"seed": 42, "scheduler": "default"} | request
    wanted = GenerationRequest(prompt=prompt, **values)
    return {
        "image_id": "0199a1b2-0000-4000-8000-000000000000",
        "job_id": "0199a1b2-0000-4000-8000-00000000000f",
        "index": index,
        "seed": wanted.seed + index,
        "origin": "ui",
        "created_at": "2026-11-20T12:00:00+00:00",
        "request": wanted.model_dump(mode="json"),
        "how": HOW if how is None else how,
    }


def asked(made: dict[str, Any]) -> GenerationRequest:
    """The request of a recipe."""
    return GenerationRequest.model_validate(made["request"])


def a_png(prompt: str = "a red apple", **rest: Any) -> bytes:
    """A PNG file of ours, 16x16, with that recipe."""
    made = a_recipe(prompt, **rest)
    return png.encode(asked(made), bytes(range(256)) * 3, 16, 16, made, image_id=made["image_id"])


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes bytes to a file and gives its path, for readers that want one."""

    def write(data: bytes, name: str = "picture.png") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write
