"""How much memory a service keeps: little while many large pictures are made, and none of a model that nobody uses."""

import io
import threading
from pathlib import Path

import psutil
import pytest
from PIL import Image

from app.core.schema import GenerationRequest, Job
from tests.small_pocket import small_models
from tests.system.victim import Victim, wait_until

SIDE, COUNT = 1408, 64  # 64 pictures of 5.9 MB: 380 MB as pixels
MIB = 2**20


def pixels(service: Victim, job: Job) -> bytes:
    """What a job's first picture shows."""
    return Image.open(io.BytesIO(service.client.image_bytes(job.images[0].id))).tobytes()


class Watched:
    """The most memory that processes had while it was looked at."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most = 0

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self.most = max(self.most, *(process.memory_info().rss for process in self._processes))


@pytest.mark.slow
def test_the_service_holds_a_few_pictures_of_a_job_however_many_it_makes(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "one").mkdir()
    (models / "catalog.toml").write_text('[one]\ntitle = "One"\npath = "one"\n')
    settings = {"MODELS_FOLDER": str(models), "DEFAULT_MODEL": "one", "MAX_IMAGES": str(COUNT)}
    with Victim(tmp_path, **settings) as service:
        request = {"prompt": "apples", "model": "one", "num_inference_steps": 1, "width": SIDE, "height": SIDE}
        small = GenerationRequest.model_validate(request)
        service.client.wait(service.client.submit(small).id)
        before = max(process.memory_info().rss for process in service.servers())
        with Watched(service.servers()) as watched:
            job = service.client.wait(service.client.submit(small.model_copy(update={"num_images": COUNT})).id)
    assert job.error is None
    assert len(job.images) == COUNT
    assert watched.most - before < 100 * MIB < SIDE * SIDE * 3 * COUNT / 3


@pytest.mark.model
def test_a_model_that_nobody_uses_gives_its_memory_back_and_the_next_job_brings_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # other tests use the other cores
    (tmp_path / "models").mkdir()
    own = {"MODELS_FOLDER": str(small_models(tmp_path / "models")), "UNLOAD_AFTER_S": "2", "PREVIEWS_PER_S": "0"}
    with Victim(tmp_path, ENGINE="local", DEVICE="cpu", **own) as service:
        request = GenerationRequest(prompt="a red apple", width=128, height=128, seed=7, num_inference_steps=2)
        first = service.client.wait(service.client.submit(request).id)
        [device] = service.client.status().devices
        child = psutil.Process(device.pid)
        assert child.memory_info().rss > 200 * MIB
        assert device.loaded_models == ("pocket",)
        wait_until("the process is gone", lambda: not child.is_running(), 60)
        [device] = service.client.status().devices
        assert (device.pid, device.loaded_models, device.restarts) == (None, (), 0)
        again = service.client.wait(service.client.submit(request).id)
        assert pixels(service, again) == pixels(service, first)
        assert service.client.status().devices[0].pid not in (None, child.pid)
