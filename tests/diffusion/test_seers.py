"""Depth and poses, seen by small models of the real classes: as transformers sees them, and before a control model."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import DepthAnythingForDepthEstimation, DPTImageProcessorPil

from app.catalog import ModelEntry, folder_entry, kinds_of, tasks_of
from app.core.control import Preprocessor
from app.core.errors import InvalidRequest, ModelRefused
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.seers import Seer, seen_as_png
from app.picture.edges import fitted
from tests.adapters import save_t2i_adapter
from tests.diffusion.test_control import House, unit
from tests.diffusion.test_starts import COLOURS, PICTURES, SIZE
from tests.families import save
from tests.seers import make_tiny_depth, make_tiny_dpt, make_tiny_pose

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
PICTURE = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
Make = Callable[[Path], Path]


def read(folder: Path) -> tuple[ModelEntry, Seer]:
    entry = folder_entry(folder)
    return entry, ModelCache("cpu").seer(entry, Path("/"))


@pytest.mark.parametrize(
    ("make", "sees"), [(make_tiny_depth, "depth"), (make_tiny_dpt, "depth"), (make_tiny_pose, "openpose")]
)
def test_a_folder_with_one_is_told_by_its_class_and_sees_the_same_each_time(
    make: Make, sees: str, tmp_path: Path
) -> None:
    entry, seer = read(make(tmp_path / "seer"))
    assert (entry.control, kinds_of(entry), tasks_of(entry)) == (sees, ("sees",), ())
    seen = seer.seen(PICTURE)
    assert (seen.size, seen.mode, seer.preprocessor) == (PICTURE.size, "RGB", sees)
    assert max(high for _, high in seen.getextrema()) == 255
    assert seer.seen(PICTURE).tobytes() == seen.tobytes()
    stream = io.BytesIO()
    PICTURE.save(stream, "PNG")
    with Image.open(io.BytesIO(seen_as_png(seer, stream.getvalue()))) as told:
        assert told.tobytes() == seen.tobytes()


def test_depth_is_what_transformers_says_from_black_to_white(tmp_path: Path) -> None:
    folder = make_tiny_depth(tmp_path / "deep")
    looks = DPTImageProcessorPil.from_pretrained(folder)
    network = DepthAnythingForDepthEstimation.from_pretrained(folder).eval()
    with torch.no_grad():
        told = network(**looks(images=PICTURE, return_tensors="pt"))
    [plain] = looks.post_process_depth_estimation(told, [(PICTURE.height, PICTURE.width)])
    depth = plain["predicted_depth"]
    share = (depth - depth.min()) / (depth.max() - depth.min())
    wanted = Image.fromarray(share.mul(255).round().to(torch.uint8).numpy()).convert("RGB")
    assert read(folder)[1].seen(PICTURE).tobytes() == wanted.tobytes()


def test_a_control_model_reads_what_was_seen_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    save("sd15", tmp_path / "sd15")
    save_t2i_adapter("sd15", tmp_path / "lines")
    house = House(tmp_path, ModelCache("cpu"), "sd15")
    asked = unit("lines", preprocessor="depth")
    with pytest.raises(InvalidRequest, match="no model for the preprocessor depth"):
        house.resolve(control=[asked])
    make_tiny_depth(tmp_path / "deep")
    loaded, request = house.load(control=[asked], num_inference_steps=2)
    [picture] = generate(loaded, request, pictures=PICTURES)
    seen = house.cache.seer(house.catalog.seer(Preprocessor.DEPTH), tmp_path).seen(fitted(COLOURS, *SIZE))
    by_hand = loaded.controls["deep"].seen(COLOURS)
    assert seen.tobytes() == by_hand.tobytes()
    assert [picture.rgb] != house.draw(control=[unit("lines")], num_inference_steps=2)
    weights = tmp_path / "deep" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelRefused):
        house.load(control=[asked])
