"""A lost database: `python -m app library rebuild` brings the library back from the pictures alone."""

import subprocess
import sys
from pathlib import Path

from app.client import ImageServiceClient
from tests.running import ROOT, RunningService


def test_the_library_comes_back_from_the_pictures_when_the_database_is_lost(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    with service:
        client = ImageServiceClient(service.url)
        for prompt in ("a red apple", "三只猫"):
            job = client.submit({"prompt": prompt, "width": 64, "height": 64, "num_images": 2, "seed": 7})
            assert client.wait(job.id).state == "succeeded"
        before, _ = client.images()
    for file in (tmp_path / "data").glob("atelier.db*"):
        file.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "app", "library", "rebuild"],
        cwd=ROOT, env=service.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4 picture files: 4 restored" in done.stdout
    with service:
        after, _ = ImageServiceClient(service.url).images()
        assert {(image.id, image.prompt, image.seed, image.sha256) for image in after} == {
            (image.id, image.prompt, image.seed, image.sha256) for image in before
        }
        assert len(ImageServiceClient(service.url).images("三只")[0]) == 2
