"""One service, one page and one browser for all browser tests; each test is a fresh visitor."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from app.client import ImageServiceClient
from tests.hub_server import Hub, serve_hub
from tests.running import ROOT, RunningPage, RunningService
from tests.small_pocket import small_catalog
from tests.ui.browser import CHROMIUM, chromium, visit

EVIL = '"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog with the small model, and a file whose name is an attack."""
    folder = small_catalog(tmp_path_factory.mktemp("models"))
    (folder / f"{EVIL}.safetensors").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A stand-in for the model hub with one model, whose weights are nothing that could be loaded."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "unet").mkdir()
    (folder / "unet" / "config.json").write_text("{}")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(bytes(2_000_000))
    (folder / "model_index.json").write_text(
        '{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}'
    )
    with serve_hub("somebody/tiny", folder) as hub:
        yield hub


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, models_folder: Path, hub: Hub) -> Iterator[RunningService]:
    """The real service with the fast test engine. Its downloads come from the stand-in, into a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub cache")))
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        running = RunningService(tmp_path_factory.mktemp("service"), MODELS_FOLDER=str(models_folder), SKETCH_S="1000")
    with running:
        yield running


@pytest.fixture(scope="session")
def client(service: RunningService) -> Iterator[ImageServiceClient]:
    """A client of that service."""
    with ImageServiceClient(service.url) as made:
        yield made


@pytest.fixture(scope="session")
def page_process(tmp_path_factory: pytest.TempPathFactory, service: RunningService) -> Iterator[RunningPage]:
    """The real page in front of that service, with proxies set that lead nowhere: they must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")
        patch.setenv("no_proxy", "")
        running = RunningPage(tmp_path_factory.mktemp("page"), service.url)
    with running:
        yield running


@pytest.fixture(scope="session")
def page_inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page consists of. In a process of its own: Gradio leaves a loop open that nobody can close."""
    command = [sys.executable, "-m", "tests.ui.page_inside", str(tmp_path_factory.mktemp("inside"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, page_process: RunningPage) -> Iterator[Page]:
    """A fresh visitor with an English browser. Fails if the page asked anybody else, or had an error in its script."""
    with visit(browser, page_process.url) as visitor:
        strangers: list[str] = []
        own = (page_process.url, "data:", "blob:")
        visitor.on("request", lambda sent: None if sent.url.startswith(own) else strangers.append(sent.url))
        visitor.on("pageerror", lambda error: strangers.append(str(error)))
        yield visitor
        assert not strangers
