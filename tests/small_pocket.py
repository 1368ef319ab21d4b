"""A models folder for tests: the shipped catalog, but its `pocket` is a pipeline of random weights that draws 128x128.

It is of the classes of the shipped one and takes a twentieth of a second. What the shipped one draws, how large and how
long is asked where its own folder is named: `PROJECT_FOLDER / "models"`.
"""

import re
from pathlib import Path

from tests.running import ROOT

ROW = """[pocket]
title = "Pocket"
path = "pocket"
size_bytes = 4_400_000
components = { text_encoder = 36_064, unet = 792_964, vae = 261_079 }
licence = "none: random weights"
speed = "very fast"
quality = "noise"
best_for = "Tests"
num_inference_steps = 2
start_steps = 4
guidance_scale = 1.5
negative_prompt = "blurry, low quality, watermark"
width = 128
height = 128
steps_range = { low = 1, high = 100 }
guidance_range = { low = 0, high = 20 }
good = { num_inference_steps = { low = 1, high = 20 }, guidance_scale = { low = 0, high = 2 } }
size_range = { low = 64, high = 2048, multiple = 8 }
shapes = ["128x128"]

"""
WORDS = 100.0  # so that another prompt is another picture to the eye, as another seed is


def small_catalog(folder: Path) -> Path:
    """Write `catalog.toml`, an empty `pocket` and captioner: all that the fast test engine needs; gives the folder."""
    shipped = (ROOT / "models" / "catalog.toml").read_text("utf-8")
    text, replaced = re.subn(r"^\[pocket\]\n.*?(?=^\[)", ROW, shipped, flags=re.MULTILINE | re.DOTALL)
    assert replaced == 1
    (folder / "catalog.toml").write_text(text, "utf-8")
    for name in ("pocket", "pocket-captioner"):
        (folder / name).mkdir()
    return folder


def small_models(folder: Path) -> Path:
    """`small_catalog` with weights, for services that draw."""
    from tests.pipelines import make_tiny_sd  # torch: only for who draws

    make_tiny_sd(small_catalog(folder) / "pocket", words=WORDS)
    return folder
