"""A model that draws token by token: its settings on the page, and its engine killed at work."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from app.client import ImageServiceClient
from app.core.schema import Job
from tests.janus import TOKENS, make_tiny_janus
from tests.pipelines import catalog_toml
from tests.running import RunningPage
from tests.system.victim import Victim, wait_until
from tests.ui.browser import visit
from tests.ui.steps import generate, set_number, until

pytestmark = [pytest.mark.browser, pytest.mark.model]
JOBS, PICTURES = 6, 8


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A service whose only model is a small Janus."""
    models = tmp_path_factory.mktemp("models")
    make_tiny_janus(models / "janus")
    values = {"width": 64, "height": 64, "num_inference_steps": TOKENS, "guidance_scale": 5.0}
    catalog_toml(models, janus={"title": "Janus", "path": "janus", "pipeline": "JanusPipeline", **values})
    settings = {"ENGINE": "local", "DEVICE": "cpu", "MODELS_FOLDER": str(models), "DEFAULT_MODEL": "janus"}
    with Victim(tmp_path_factory.mktemp("service"), **settings) as running:
        yield running


def drawn(client: ImageServiceClient, job: Job) -> list[bytes]:
    """The pixels of each picture of a job."""
    return [Image.open(io.BytesIO(client.image_bytes(image.id))).tobytes() for image in job.images]


def test_its_settings_stand_in_the_form_and_in_the_pictures_recipe(
    browser: Browser, victim: Victim, tmp_path: Path
) -> None:
    with RunningPage(tmp_path, victim.url) as running, visit(browser, running.url) as page:
        set_number(page, "Top K", 9)
        set_number(page, "Temperature", 1.5)
        job_id = generate(page, "a red squirrel")
        expect(until(page, "succeeded", timeout_s=60)).to_be_visible()
        asked = victim.client.job(job_id).request
        assert (asked.top_k, asked.temperature) == (9, 1.5)


def test_an_engine_that_is_killed_between_two_tokens_costs_no_picture(victim: Victim) -> None:
    client = victim.client
    undisturbed = client.generate({"prompt": "a red squirrel", "seed": 5, "num_images": PICTURES})
    asked = {"prompt": "a red squirrel", "num_images": PICTURES}
    jobs = [client.submit(asked | {"seed": 5 + number}) for number in range(JOBS)]
    wait_until("a job runs", lambda: client.job(jobs[0].id).state == "running", 60)
    assert victim.kill_engine()
    ended = [client.wait(job.id) for job in jobs]
    assert {job.state for job in ended} == {"succeeded"}
    assert max(job.attempt for job in ended) == 2
    assert [len(job.images) for job in ended] == [PICTURES] * JOBS
    assert drawn(client, ended[0]) == drawn(client, undisturbed)
