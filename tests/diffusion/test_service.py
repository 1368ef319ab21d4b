"""DiffusionService as people use it: alone, as a library."""

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from app.core.settings import PROJECT_FOLDER, Settings
from app.diffusion import DiffusionService
from app.picture.png import inspect
from app.picture.recipe import request_of
from tests.pipelines import catalog_toml, make_tiny_sd

# The example of the original documentation, word for word, but for the model's key.
EXAMPLE = """
from src.search_engine.diffusion_service import DiffusionService

# Initialize service
diffusion_service = DiffusionService(output_dir="models/generated_images")

# Load model
success, message = diffusion_service.load_model("pocket")
print(message)

# Generate image
result = diffusion_service.generate_image(
    prompt="a cute cat playing with a ball, high quality, detailed",
    negative_prompt="blurry, low quality, watermark",
    num_inference_steps=4,
    guidance_scale=0.0,  # SDXL-Turbo doesn't need guidance
    width=512,
    height=512,
    seed=-1,  # Random seed
    num_images=1
)

if result['success']:
    # Images are in result['images']
    # Paths are in result['paths']
    print(f"Generated {len(result['images'])} images")
    print(f"Saved to: {result['paths']}")
else:
    print(f"Error: {result['message']}")
"""


@pytest.fixture
def models(tmp_path: Path, tiny_folder: Path) -> Path:
    """A models folder with the small model as `pocket` in its catalog."""
    folder = tmp_path / "models"
    shutil.copytree(tiny_folder, folder / "pocket")
    ranges = {"width": 64, "height": 64, "num_inference_steps": 2, "guidance_scale": 4.0}
    catalog_toml(folder, pocket={"title": "Pocket", "path": "pocket", **ranges})
    return folder


@pytest.fixture
def service(models: Path, tmp_path: Path) -> DiffusionService:
    return DiffusionService(tmp_path / "out", device="cpu", models_folder=models)


def run_example(folder: Path, models: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER), "ATELIER_MODELS_FOLDER": str(models)}
    command = [sys.executable, "-W", "error::FutureWarning", "-c", EXAMPLE]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    # Where torchao is installed, torch and diffusers tell what it lacks; that is not ours.
    ours = [line for line in done.stderr.splitlines() if "torchao" not in line and "torch/utils/_pytree" not in line]
    assert ours == []
    return done.stdout


def test_the_example_of_the_original_documentation_runs_word_for_word(tmp_path: Path, models: Path) -> None:
    said = run_example(tmp_path, models)
    assert "Pocket is loaded on" in said
    assert "Generated 1 images" in said
    [file] = (tmp_path / "models" / "generated_images").glob("*.png")
    assert str(Path("models/generated_images") / file.name) in said
    with Image.open(file) as picture:
        assert picture.size == (512, 512)


@pytest.mark.model
def test_the_example_of_the_original_documentation_runs_with_the_shipped_model(tmp_path: Path) -> None:
    if not (PROJECT_FOLDER / "models" / "pocket" / "model_index.json").is_file():
        pytest.skip("models/pocket is not there")
    assert "Generated 1 images" in run_example(tmp_path, PROJECT_FOLDER / "models")


def test_a_saved_png_carries_the_recipe_that_makes_the_same_picture_again(service: DiffusionService) -> None:
    made = service.generate_image("a red apple", negative_prompt="blurry", seed=3, num_images=2)
    assert made["success"]
    assert made["seeds"] == [3, 4]
    found = inspect(Path(made["paths"][1]).read_bytes())
    assert found.kind == "atelier"
    assert found.recipe == made["metadata"][1]
    again = request_of(found.recipe)
    fields = ("prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "width", "height", "seed")
    repeated = service.generate_image(**{name: getattr(again, name) for name in fields})
    assert repeated["images"][0].tobytes() == made["images"][1].tobytes()
    with Image.open(made["paths"][1]) as saved:
        assert saved.tobytes() == made["images"][1].tobytes()


def test_a_model_is_found_by_catalog_key_by_folder_and_by_hub_id(
    service: DiffusionService, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "cache" / "models--someone--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(tiny_folder, snapshot)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    pictures = set()
    for name in ("pocket", str(tiny_folder), "someone/tiny"):
        assert service.load_model(name)[0], name
        made = service.generate_image("a dog", seed=1, width=64, height=64, num_inference_steps=2, guidance_scale=3.0)
        pictures.add(made["images"][0].tobytes())
    assert len(pictures) == 1
    assert made["metadata"][0]["how"]["revision"] == "a" * 40
    assert service.loaded_models() == ("pocket", "tiny", "someone/tiny")


def test_a_hub_model_that_is_not_here_is_not_downloaded_unasked(service: DiffusionService) -> None:
    loaded, message = service.load_model("someone/not-on-this-machine")
    assert not loaded
    assert "nothing is downloaded unasked" in message
    assert "download=True" in message


def test_an_unknown_key_is_answered_with_the_known_ones(service: DiffusionService) -> None:
    assert service.load_model("dall-e") == (False, "There is no model 'dall-e'. Known models: pocket.")


def test_loading_the_same_model_again_is_free_and_unloading_frees_it(service: DiffusionService) -> None:
    phases: list[str] = []
    assert service.load_model("pocket", on_event=lambda phase, done, of: phases.append(phase))[0]
    assert service.load_model("pocket", on_event=lambda phase, done, of: phases.append(phase))[0]
    assert phases == ["loading", "loaded"]
    assert service.unload_model("pocket")
    assert not service.unload_model("pocket")
    assert service.loaded_models() == ()
    assert service.generate_image("a cat")["success"]


def test_wrong_values_are_named_with_what_is_allowed_and_nothing_is_made(service: DiffusionService) -> None:
    for fields, words in [
        ({"width": 100}, "width: 100 is not allowed; allowed is 64 to 2048 in steps of 8"),
        ({"num_inference_steps": 0}, "num_inference_steps: 0 is not allowed"),
        ({"seed": -2}, "seed: -2 is not allowed"),
        ({"num_images": 99}, "num_images: 99 is not allowed; allowed is 1 to 10"),
        ({"scheduler": "Euler z"}, "scheduler: 'Euler z' is not allowed"),
        ({"prompt": "\ud800"}, "prompt: '\\ud800' is not allowed"),
    ]:
        made = service.generate_image(**{"prompt": "a cat", **fields})
        assert not made["success"]
        assert words in made["message"]
        assert made["error"]["code"] == "invalid_request"
    assert service.history() == []
    assert not service.output_dir.exists()


def test_history_remembers_what_was_made_newest_first(service: DiffusionService) -> None:
    service.generate_image("a cat", seed=1)
    service.generate_image("a dog", seed=2, num_images=2)
    remembered = service.history()
    assert [(item["request"]["prompt"], item["seed"]) for item in remembered] == [
        ("a dog", 3),
        ("a dog", 2),
        ("a cat", 1),
    ]
    assert all(Path(item["path"]).is_file() for item in remembered)


def test_a_random_seed_is_drawn_once_and_said(service: DiffusionService) -> None:
    made = service.generate_image("a cat", num_images=2)
    assert made["seeds"][1] == made["seeds"][0] + 1 > 0
    assert made["metadata"][0]["request"]["seed"] == made["seeds"][0]


def test_cancelling_from_another_thread_ends_the_run_and_the_next_one_works(service: DiffusionService) -> None:
    stop, previews = threading.Event(), []

    def on_step(step: int, of: int, preview: bytes | None) -> None:
        previews.append(preview)
        threading.Thread(target=stop.set).start()

    made = service.generate_image("a cat", num_inference_steps=100, on_step=on_step, cancelled=stop)
    assert made["error"]["code"] == "cancelled"
    assert len(previews) < 100
    with Image.open(io.BytesIO(previews[0])) as preview:
        assert preview.format == "JPEG"
    assert service.generate_image("a cat")["success"]


def test_threads_that_draw_at_the_same_time_get_the_pictures_of_their_own_seeds(service: DiffusionService) -> None:
    alone = {seed: service.generate_image("a cat", seed=seed)["images"][0].tobytes() for seed in range(3)}
    together: dict[int, bytes] = {}

    def draw(seed: int) -> None:
        together[seed] = service.generate_image("a cat", seed=seed)["images"][0].tobytes()

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_the_settings_say_where_models_are_when_nothing_else_does(models: Path, tmp_path: Path) -> None:
    settings = Settings(models_folder=models, default_model="pocket")
    assert DiffusionService(tmp_path / "out", settings=settings).generate_image("a cat")["success"]


def test_models_with_other_weights_draw_other_pictures(service: DiffusionService, models: Path) -> None:
    make_tiny_sd(models / "second", seed=1)
    fields = {"seed": 1, "num_inference_steps": 2, "width": 64, "height": 64, "guidance_scale": 4.0}
    first = service.generate_image("a cat", model="pocket", **fields)
    second = service.generate_image("a cat", model="second", **fields)
    assert first["images"][0].tobytes() != second["images"][0].tobytes()
    assert second["metadata"][0]["how"]["model"] == "second"


def test_two_services_may_load_and_draw_in_two_threads(models: Path, tmp_path: Path) -> None:
    make_tiny_sd(models / "second", seed=1)
    ready = threading.Barrier(4)
    said: list[tuple[bool, str]] = []

    def load(name: str) -> None:
        own = DiffusionService(tmp_path / name, device="cpu", models_folder=models)
        ready.wait(60)
        for _ in range(2):
            said.append(own.load_model(name))
            made = own.generate_image("a cat", seed=1, num_inference_steps=2, width=64, height=64)
            said.append((made["success"], made["message"]))
            own.unload_model(name)

    threads = [threading.Thread(target=load, args=(name,)) for name in ("pocket", "second") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 16
    assert [message for success, message in said if not success] == []


def test_after_a_load_that_failed_no_other_model_draws_in_its_place(service: DiffusionService) -> None:
    assert service.load_model("pocket")[0]
    loaded, why = service.load_model("someone/not-on-this-machine")
    assert not loaded
    made = service.generate_image("a cat")
    assert not made["success"]
    assert why in made["message"]
    assert made["error"]["code"] == "model_not_loaded"
    assert service.generate_image("a cat", model="pocket")["success"]
    assert service.load_model("pocket")[0]
    assert service.generate_image("a cat")["success"]


@pytest.mark.parametrize("model", [None, 5, [], "", b"pocket", "x" * 5000, "a\0b", True])
def test_what_names_no_model_is_answered_and_not_raised(service: DiffusionService, model: object) -> None:
    loaded, message = service.load_model(model)
    assert not loaded
    assert "model" in message
    assert not service.generate_image("a cat", model=model or 5)["success"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": b"x"}, "prompt: b'x' is not allowed"),
        ({"prompt": ""}, "prompt: '' is not allowed"),
        ({"prompt": " \n"}, "prompt: ' \\n' is not allowed"),
        ({"prompt": None}, "prompt: None is not allowed"),
        ({"negative_prompt": 5}, "negative_prompt: 5 is not allowed"),
        ({"guidance_scale": "7"}, "guidance_scale: '7' is not allowed"),
        ({"guidance_scale": float("nan")}, "guidance_scale: nan is not allowed"),
        ({"num_inference_steps": 2.0}, "num_inference_steps: 2.0 is not allowed"),
        ({"width": "64"}, "width: '64' is not allowed"),
        ({"seed": True}, "seed: True is not allowed"),
        ({"num_images": 10**400}, "num_images: 1000"),
        ({"scheduler": ["Euler"]}, "scheduler: ['Euler'] is not allowed"),
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_what_is_allowed(
    service: DiffusionService, fields: dict[str, object], field: str
) -> None:
    made = service.generate_image(**{"prompt": "a cat", **fields})
    assert not made["success"]
    assert made["error"]["code"] == "invalid_request"
    assert field in made["message"]
    assert "allowed" in made["message"]


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_drawn(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    own = DiffusionService(tmp_path / "file" / "out", device="cpu", models_folder=models)
    steps: list[int] = []
    made = own.generate_image("a cat", on_step=lambda step, of, preview: steps.append(step))
    assert not made["success"]
    assert "output_dir" in made["message"]
    assert "a folder that can be written is needed (Not a directory)" in made["message"]
    assert steps == []
