"""The next pocket: layouts that follow the numbers, a text encoder and a denoiser that start as they are said to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from .conftest import POCKET

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
needs_font = pytest.mark.skipif(not FONT.exists(), reason="needs fonts-noto-color-emoji")
SHIPPED = POCKET.parents[1] / "models" / "pocket"


@pytest.mark.parametrize("cells", [(16, 16), (20, 12), (12, 20), (12, 16)])
def test_things_stay_inside_and_apart_and_where_the_words_say(cells: tuple[int, int]) -> None:
    from layout import NUMBERS, place
    from scenes import Scene, Thing

    rng = np.random.default_rng(0)
    columns, rows = cells
    cat, dog = Thing("cat"), Thing("dog")
    alone = []
    for _ in range(200):
        numbers = rng.standard_normal(NUMBERS)
        for scene in (Scene((cat, dog)), Scene((Thing("cat", None, 3),)), Scene((cat, dog), relation="playing with")):
            taken: np.ndarray = np.zeros((rows, columns), int)
            for copy in place(scene, numbers, *cells).copies:
                box = taken[copy.top : copy.top + copy.side, copy.left : copy.left + copy.side]
                assert box.shape == (copy.side, copy.side)
                box += 1
            assert taken.max() == 1
        a, b = place(Scene((cat, dog), relation="above"), numbers, *cells).copies
        assert (a.thing, b.thing) == (0, 1)
        assert a.top + a.side <= b.top
        (left,) = place(Scene((cat,), position="left"), numbers, *cells).copies
        assert left.left + left.side / 2 < columns / 2
        (one,) = place(Scene((cat,)), numbers, *cells).copies
        alone.append((one.left, one.top, one.side))
    assert all(len(set(values)) > 1 for values in zip(*alone, strict=True))


@needs_font
@pytest.mark.parametrize(("width", "height"), [(256, 256), (320, 192), (192, 320)])
def test_a_scene_is_drawn_at_every_shape_and_other_numbers_draw_another_picture(width: int, height: int) -> None:
    from drawing import draw_scene
    from layout import NUMBERS
    from scenes import Scene, Thing

    scene = Scene((Thing("apple", "red"),), place="garden", style="watercolor", quality="low")
    first, second = (np.random.default_rng(seed).standard_normal(NUMBERS) for seed in (1, 2))
    pictures = [draw_scene(scene, numbers, width, height) for numbers in (first, first, second)]
    assert pictures[0].size == (width, height)
    assert pictures[0].tobytes() == pictures[1].tobytes() != pictures[2].tobytes()


def test_numbers_written_into_noise_are_its_means_and_leave_it_normal() -> None:
    from denoiser import CHANNELS, PAINTED, coupled
    from layout import NUMBERS

    torch.manual_seed(0)
    numbers = torch.randn(2, NUMBERS)
    noise = coupled(torch.randn(2, CHANNELS, 24, 40), numbers)
    assert torch.allclose(noise[:, PAINTED:].mean((2, 3)) * (24 * 40) ** 0.5, numbers, atol=1e-4)
    assert torch.allclose(noise.std((2, 3)), torch.ones(2, CHANNELS), atol=0.1)


def test_an_untrained_denoiser_already_carries_the_numbers_up_to_where_it_looks() -> None:
    from denoiser import CHANNELS, coupled, new_unet
    from layout import NUMBERS
    from roles import WIDTH

    torch.manual_seed(0)
    unet = new_unet().eval()
    numbers = torch.randn(16, NUMBERS)
    seen: dict[str, torch.Tensor] = {}
    unet.up_blocks[1].register_forward_hook(lambda _, args, made: seen.update(made=made))
    with torch.no_grad():
        unet(coupled(torch.randn(16, CHANNELS, 32, 32), numbers), 999, encoder_hidden_states=torch.zeros(16, 4, WIDTH))
    carried = seen["made"].mean((2, 3))[:, 16 : 16 + NUMBERS]
    alike = [float(np.corrcoef(carried[:, i], numbers[:, i])[0, 1]) for i in range(NUMBERS)]
    assert min(alike) > 0.7


def test_what_a_cell_should_ask_for_finds_the_right_part_of_the_right_thing() -> None:
    from cells import GRID
    from denoiser import HEAD, KEY_SHARE, asked, looking, new_unet
    from layout import Copy, Layout
    from roles import CELLS, marks

    keys = torch.nn.functional.linear(marks(), looking(new_unet()).to_k.weight[:HEAD])
    wanted = torch.zeros(16 * 16, HEAD)
    layout = Layout((Copy(0, 1, 2, GRID), Copy(1, 10, 9, 6)), False, 0.0, 0.0)
    wanted[:, :6] = asked(layout, np.zeros(8), 16, 16)[:, :6] / (KEY_SHARE * HEAD**-0.5)
    found = (wanted @ keys.T * HEAD**-0.5).argmax(-1).view(16, 16)
    assert torch.equal(found[2 : 2 + GRID, 1 : 1 + GRID], torch.arange(CELLS).view(GRID, GRID))
    assert set(found[9:15, 10:].flatten().tolist()) <= set(range(CELLS, 2 * CELLS))
    assert found[9, 10] < found[14, 15]
    assert found[0, 0] == 2 * CELLS


def _tokenizer_files(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_bytes((SHIPPED / "tokenizer" / name).read_bytes())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')


def test_the_text_encoder_says_what_reader_and_painter_say(tmp_path: Path) -> None:
    from encoder import build_text
    from painting import Painter
    from reading import Reader
    from roles import CELLS, FEATURE_PLACES, FREE, LENGTH, LINES, ROLES, WORDS, marks, role_of
    from tokenizer import load_tokenizer, token_ids

    torch.manual_seed(0)
    _tokenizer_files(tmp_path)
    tokenizer = load_tokenizer(tmp_path, LENGTH)
    reader, painter = Reader(tokenizer).eval(), Painter().eval()
    texts = ["a red apple on a white table", "三个红色的苹果", ""]
    with torch.no_grad():
        encoder = build_text(reader, painter, tokenizer)
        said = encoder(input_ids=torch.tensor(token_ids(tokenizer, texts, LENGTH))).last_hidden_state[:, WORDS:]
        read = reader(torch.tensor(tokenizer(texts, padding=True)["input_ids"]))
        for role in range(len(ROLES)):
            at = said[:, role_of() == role]
            assert (at[..., :FREE] - read[:, role, None]).abs().max() < 0.05
            if role < 2:
                assert (at[..., FEATURE_PLACES] - painter(read[:, role], role)).abs().max() < 0.05
    assert said.shape[1] == 2 * CELLS + 2
    assert (said[:, :, LINES] - marks()[:, LINES]).abs().max() < 0.1


def test_the_widened_autoencoder_sees_and_paints_as_the_shipped_one() -> None:
    from bundle import widened
    from denoiser import CHANNELS, PAINTED
    from stock import load_autoencoder

    torch.manual_seed(0)
    plain = load_autoencoder()
    wide, picture = widened(plain), torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        seen, known = wide.encode(picture).latent_dist, plain.encode(picture).latent_dist
        assert torch.allclose(seen.mean[:, :PAINTED], known.mean, atol=1e-4)
        assert seen.mean[:, PAINTED:].abs().max() == 0
        assert seen.std[:, PAINTED:].max() < 1e-5
        latent = torch.cat([known.mean, torch.randn(1, CHANNELS - PAINTED, 8, 8)], 1)
        assert torch.allclose(wide.decode(latent).sample, plain.decode(known.mean).sample, atol=1e-4)


@needs_font
@pytest.mark.timeout(2000)  # half a minute, or many on a machine that does much else
def test_all_stages_make_a_pipeline_that_draws_at_256_and_any_shape_with_plain_diffusers(tmp_path: Path) -> None:
    from diffusers import DiffusionPipeline

    work, output = tmp_path / "work", tmp_path / "model"
    _tokenizer_files(work / "tokenizer")
    program = POCKET.with_name("pocket_next") / "grow.py"
    for more in ([], ["--stage", "paint"]):  # the second run finds its work done
        told = subprocess.run(
            [sys.executable, program, "--preset", "smoke", "--work", work, "--output", output, *more],
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert told.returncode == 0, told.stderr
    assert "paint" not in told.stdout, "a finished stage trains again"
    pipeline = DiffusionPipeline.from_pretrained(output)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline("a red apple", num_inference_steps=2, guidance_scale=7.5, width=320, height=192, output_type="np")
    assert made.images.shape == (1, 192, 320, 3)
    assert np.isfinite(made.images).all()
    assert pipeline.unet.config.sample_size * pipeline.vae_scale_factor == 256
    assert sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) < 60e6
