"""The next pocket: layouts that follow the numbers, a text encoder and a denoiser whose written weights do as said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from .conftest import POCKET

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
needs_font = pytest.mark.skipif(not FONT.exists(), reason="needs fonts-noto-color-emoji")


def test_what_the_words_say_of_places_is_exact_and_the_rest_follows_the_numbers() -> None:
    from denoiser import SHAPES
    from layout import NUMBERS, extent, place
    from scenes import Scene, Thing

    rng = np.random.default_rng(0)
    middles = []
    for shape in SHAPES:
        wide, high = extent(*shape)
        for _ in range(200):
            numbers = rng.standard_normal(NUMBERS)
            (left,) = place(Scene((Thing("cat"),), position="left"), numbers, *shape).copies
            assert left.x < -0.2
            a, b = place(Scene((Thing("cat"), Thing("dog")), relation="above"), numbers, *shape).copies
            assert a.y < b.y - 0.3
            assert (a.thing, b.thing) == (0, 1)
            (one,) = place(Scene((Thing("cat"),)), numbers, *shape).copies
            assert abs(one.x) <= wide
            assert abs(one.y) <= high
            assert one.half <= 0.92 * min(wide, high)
            middles.append((one.x, one.y, one.half))
    assert min(np.std(middles, axis=0)) > 0.05


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


def test_a_mirrored_layout_is_the_mirrored_latent() -> None:
    from cells import ODD
    from compose import CELL, GRID, compose, frames_of
    from layout import Copy, Layout

    torch.manual_seed(0)
    things, behind = torch.randn(1, 2, CELL, GRID, GRID), torch.randn(1, CELL, GRID, GRID)
    plain, mirrored = (
        frames_of([Layout((Copy(0, side * 0.3, 0.1, 0.5),), (side * 0.2, 0.0, 0.9), side < 0)]) for side in (1, -1)
    )
    there = compose(things, behind, plain, ODD, (256, 256))
    back = compose(things, behind, mirrored, ODD, (256, 256)).flip(-1)
    assert torch.allclose(torch.where(ODD[:, None, None], -back, back), there, atol=1e-5)


def test_the_text_encoder_says_what_reader_and_painter_say(tmp_path: Path) -> None:
    from encoder import build_text, marks
    from painting import CELLS, Painter
    from reading import Reader
    from roles import FEATURE_PLACES, FREE, LENGTH, LINES, ROLES, WORDS
    from tokenizer import load_tokenizer, token_ids

    torch.manual_seed(0)
    shipped = POCKET.parents[1] / "models" / "pocket" / "tokenizer"
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((shipped / name).read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    tokenizer = load_tokenizer(tmp_path, LENGTH)
    reader, painter = Reader(tokenizer).eval(), Painter().eval()
    texts = ["a red apple on a white table", "三个红色的苹果", ""]
    with torch.no_grad():
        encoder = build_text(reader, painter, tokenizer)
        said = encoder(input_ids=torch.tensor(token_ids(tokenizer, texts, LENGTH))).last_hidden_state[:, WORDS:]
        read = reader(torch.tensor(tokenizer(texts, padding=True)["input_ids"]))
        for role in range(len(ROLES)):
            at = said[:, role * CELLS : (role + 1) * CELLS if role < 3 else role * CELLS + 1]
            assert (at[..., :FREE] - read[:, role, None]).abs().max() < 0.05
            if role < 3:
                assert (at[..., FEATURE_PLACES] - painter(read[:, role], role)).abs().max() < 0.05
    assert (said[:, 3 * CELLS + 1 :, FEATURE_PLACES]).abs().max() < 0.1  # the ring is empty
    assert (said[:, :, LINES] - marks()[:, LINES]).abs().max() < 0.1


@pytest.mark.parametrize("shape", [(256, 256), (320, 192)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_denoiser_paints_what_compose_says_at_any_step(shape: tuple[int, int], mirrored: bool) -> None:
    from cells import GLOBALS, ODD, PAINTED
    from compose import CELL, COPIES, FACTOR, GRID, compose, frames_of
    from decoder import CHANNELS, KEY
    from denoiser import HEAD, INNER, ZBAR, new_unet, where_cells_lie, write
    from encoder import marks
    from layout import NUMBERS, Copy, Layout
    from mind import Mind, asked
    from roles import FEATURE_PLACES, LAID, LENGTH, STRENGTH, WIDTH, WORDS

    torch.manual_seed(0)
    cells = GRID * GRID
    things, behind = 0.3 * torch.randn(1, 2, CELL, GRID, GRID), 0.3 * torch.randn(1, CELL, GRID, GRID)
    copies = (Copy(0, -0.4, 0.1, 0.35), Copy(1, 0.45, -0.05, 0.3))
    frames = frames_of([Layout(copies, (0.1, -0.05, 0.9), mirrored)])
    states = torch.zeros(1, LENGTH, WIDTH)
    states[:, WORDS:] = marks()
    for role, grid in enumerate((things[:, 0], things[:, 1], behind)):
        rows = slice(WORDS + role * cells, WORDS + (role + 1) * cells)
        states[:, rows, FEATURE_PLACES] = grid.flatten(2).transpose(1, 2)
    said = torch.rand(LAID)
    states[:, WORDS + 3 * cells, :LAID] = STRENGTH * said
    unet = new_unet().eval()
    write(unet)
    mind = Mind()  # the learned part is put in by hand here: its queries, and the mirror's sign
    with torch.no_grad():
        for _, _, out in mind.layers:
            out.weight.zero_()
            out.bias.zero_()
            out.bias[0] = -0.5 if mirrored else 0.5
    mind.write(unet)
    blocks = unet.up_blocks[2].attentions[0].transformer_blocks
    at = where_cells_lie(shape).flatten(2).transpose(1, 2)
    wanted, counts = asked(frames, at)
    queries = torch.zeros(1, at.shape[1], INNER)
    for head in range(COPIES + 1):
        part = (wanted * (counts > 0))[..., 6 * head : 6 * head + 6]
        queries[..., HEAD * head : HEAD * head + part.shape[-1]] = part
    blocks[2].attn2.to_q.register_forward_hook(lambda *_: queries)
    seen: dict[Any, Any] = {}
    blocks[1].register_forward_pre_hook(lambda _, args: seen.update(stream=args[0]))
    noise = torch.randn(1, CHANNELS, shape[1] // FACTOR, shape[0] // FACTOR)
    for step in (999, 20):
        with torch.no_grad():
            made = unet(noise, step, encoder_hidden_states=states).sample
        want = compose(things, behind, frames, ODD, shape)
        assert (made[:, : 2 * CELL] - want).abs().max() < 0.05
        extra = made[0, 2 * CELL : PAINTED + 1].mean((1, 2))
        assert torch.allclose(extra, said[LAID - GLOBALS - 1 :], atol=0.03)
        assert made[:, KEY + 1 :].abs().max() < 1e-3
        numbers = 16 * noise[0, KEY + 1 :].mean((1, 2))
        read = seen["stream"][0, 0, ZBAR]
        assert torch.allclose(read, numbers - numbers.sum() / 160, atol=0.1)
        assert len(read) == NUMBERS


@pytest.mark.parametrize("steps", [1, 8, 50])
def test_guidance_of_any_strength_ends_at_the_same_latent(steps: int) -> None:
    from cells import PAINTED
    from decoder import CHANNELS, KEY
    from denoiser import new_scheduler

    torch.manual_seed(0)
    picture = torch.zeros(1, CHANNELS, 16, 16)  # the latent of a prompt; that of the empty one is 0
    picture[:, :PAINTED] = torch.rand(1, PAINTED, 16, 16) * 2 - 1
    picture[:, KEY] = 1
    noise = torch.randn_like(picture)
    for guidance in (1.0, 7.5, 10.0):
        scheduler, latent = new_scheduler(), noise
        scheduler.set_timesteps(steps)
        for step in scheduler.timesteps:
            latent = scheduler.step(guidance * picture, step, latent).prev_sample
        assert torch.allclose(latent, picture, atol=1e-4)


@needs_font
@pytest.mark.timeout(1200)  # minutes on a machine that does much else
def test_all_stages_make_a_pipeline_that_draws_at_256_and_any_shape_with_plain_diffusers(tmp_path: Path) -> None:
    from diffusers import DiffusionPipeline

    work, output = tmp_path / "work", tmp_path / "model"
    shipped = POCKET.parents[1] / "models" / "pocket" / "tokenizer"
    (work / "tokenizer").mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        (work / "tokenizer" / name).write_bytes((shipped / name).read_bytes())
    (work / "tokenizer" / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    program = POCKET.with_name("pocket_next") / "grow.py"
    for more in ([], ["--stage", "decoder"]):  # the second run finds its work done
        told = subprocess.run(
            [sys.executable, program, "--preset", "smoke", "--work", work, "--output", output, *more],
            capture_output=True,
            text=True,
            timeout=500,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert told.returncode == 0, told.stderr
    assert "decoder" not in told.stdout, "a finished stage trains again"
    pipeline = DiffusionPipeline.from_pretrained(output)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline("a red apple", num_inference_steps=2, guidance_scale=7.5, width=320, height=192, output_type="np")
    assert made.images.shape == (1, 192, 320, 3)
    assert np.isfinite(made.images).all()
    assert sum(path.stat().st_size for path in output.rglob("*.safetensors")) < 60e6
