"""The whole service but its HTTP server: real SQLite, real dispatcher, the fast test engine in a child process."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.core.settings import Settings
from app.service import create_app
from app.service.http.key_ring import KeyRing
from app.service.http.scopes import TABLE, Act
from image_generation_service import Service, build_service

CATALOG = """
[pocket]
title = "Pocket"
path = "pocket"
num_inference_steps = 3
guidance_scale = 4.0
width = 64
height = 64
steps_range = { low = 1, high = 100 }
guidance_range = { low = 0, high = 20 }
size_range = { low = 64, high = 256, multiple = 8 }

[other]
title = "Other"
repository = "somebody/other"
"""


@dataclass(frozen=True)
class House:
    """A running service without a server, and a client of its app."""

    service: Service
    client: FlaskClient

    def submit(self, prompt: str = "a red apple", **fields: Any) -> Any:
        """One accepted job as JSON."""
        answer = self.client.post("/api/jobs", json={"prompt": prompt, **fields})
        assert answer.status_code == 202, answer.text
        return answer.get_json()

    def finished(self, job_id: str, timeout_s: float = 20) -> Any:
        """The job as JSON once it is finished."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            job = self.client.get(f"/api/jobs/{job_id}").get_json()
            if job["state"] in ("succeeded", "failed", "cancelled"):
                return job
            time.sleep(0.02)
        raise AssertionError(f"job {job_id} is still {job['state']}")

    def image(self, prompt: str = "a red apple", **fields: Any) -> Any:
        """One saved image, as the finished job names it."""
        return self.finished(self.submit(prompt, **fields)["id"])["images"][0]


@pytest.fixture(scope="module")
def make_settings(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Settings with every folder below a temporary one."""

    def make(**values: Any) -> Settings:
        folder = tmp_path_factory.mktemp("service")
        (folder / "models" / "pocket").mkdir(parents=True)
        (folder / "models" / "catalog.toml").write_text(CATALOG)
        defaults: dict[str, Any] = {
            "data_folder": folder / "data",
            "models_folder": folder / "models",
            "output_folder": folder / "models" / "generated_images_service",
            "logs_folder": folder / "logs",
            "engine": "test",
            "preload": False,
            "offline": True,
            "find_model": "",  # likewise but for the tests of finding
            "trash_days": 0,  # deleted is gone, but for the tests of the trash
        }
        return Settings(**(defaults | values))

    return make


@pytest.fixture(scope="module")
def make_house(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., House]]:
    """Starts houses; all of them are ended after the tests of a file."""
    services: list[Service] = []

    def make(keys: KeyRing | None = None, doors: Any = None, look: str = "", **values: Any) -> House:
        settings = make_settings(**values)
        Path(settings.data_folder).mkdir(parents=True)
        service = build_service(settings)
        services.append(service)
        service.start()
        table = TABLE | {Act.LOOK: TABLE[Act.LOOK] + look}  # `look`: further addresses, of the given doors
        app = create_app(service.parts, keys, table=table, **({} if doors is None else {"doors": doors}))
        return House(service, app.test_client())

    yield make
    for service in services:
        service.stop(drain_s=0)


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """One house that the tests of a file share."""
    return make_house()
