"""Atelier: as a library in this process, and as a service over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.schema import GenerationRequest, JobState
from app.core.settings import Compute, Settings
from app.diffusion import DiffusionService
from benchmarks.contenders.names import SERVICE_TORCH
from benchmarks.contenders.plain import GUIDANCE, PROMPT
from tests.pipelines import catalog_toml
from tests.system.victim import Victim

KEY = "large"


def in_process(folder: Path, work: Path, size: int, steps: int) -> Callable[[], object]:
    """Draws one picture with the library class, to the file on the disk."""
    settings = Settings(models_folder=_models(folder, work), data_folder=work / "data", compute=Compute.AUTO)
    service = DiffusionService(work / "pictures", settings=settings)
    done, why = service.load_model(KEY)
    assert done, why

    def draw() -> None:
        answer = service.generate_image(
            prompt=PROMPT, num_inference_steps=steps, guidance_scale=GUIDANCE, width=size, height=size, seed=42
        )
        assert answer["success"], answer["message"]

    return draw


@contextmanager
def over_http(name: str, folder: Path, work: Path, size: int, steps: int) -> Iterator[Callable[[], object]]:
    """While it runs: draws one picture by a client: submit, wait for the end, fetch the file."""
    wish = Compute.TORCH if name == SERVICE_TORCH else Compute.AUTO
    settings = {"ENGINE": "local", "MODELS_FOLDER": str(_models(folder, work)), "DEFAULT_MODEL": KEY, "COMPUTE": wish}
    request = GenerationRequest(
        prompt=PROMPT, model=KEY, width=size, height=size, num_inference_steps=steps, guidance_scale=GUIDANCE, seed=42
    )
    with Victim(work / "service", **settings) as victim:

        def draw() -> None:
            job = victim.client.submit(request)
            for _ in victim.client.events(job.id):
                pass
            done = victim.client.job(job.id)
            assert done.state is JobState.SUCCEEDED, done.error
            victim.client.image_bytes(done.images[0].id)

        yield draw


def _models(folder: Path, work: Path) -> Path:
    """A models folder with this one in it: the confined process reads what lies there."""
    models = work / "models"
    models.mkdir(exist_ok=True)
    (models / KEY).unlink(missing_ok=True)
    (models / KEY).symlink_to(folder.resolve())
    catalog_toml(models, large={"title": "Large", "path": KEY})
    return models.resolve()
