"""The pocket model: layouts follow the numbers, text encoder and denoiser say what was written into them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

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


@pytest.mark.parametrize("cells", [(16, 16), (20, 12)])
def test_the_denoiser_looks_up_what_the_layout_of_its_noise_says_at_every_cell(cells: tuple[int, int]) -> None:
    from denoiser import CHANNELS, FIRST_NUMBER, build_unet
    from ink import Ink
    from layout import SMALL, place
    from roles import BEHIND, LAID, STRENGTH, laid, marks
    from scenes import Scene, Thing
    from touching import Touch

    torch.manual_seed(0)
    columns, rows = cells
    cat, dog = Thing("cat"), Thing("dog")
    scenes = [
        Scene((cat,)), Scene((Thing("cat", size="big"),), place="beach"), Scene((Thing("cat", size="small"),)),
        Scene((cat,), position="right"), Scene((cat, dog)), Scene((cat, dog), relation="below"),
        Scene((Thing("cat", None, 3),)), Scene((Thing("cat", None, 4),), place="beach"),
    ]  # fmt: skip
    unet, channels = build_unet(torch.randn(2, 2, 2, BEHIND + 1, 64) / 10, Touch(), Ink())
    seen: dict[str, torch.Tensor] = {}
    unet.up_blocks[2].attentions[1].transformer_blocks[1].register_forward_hook(
        lambda _, args, made: seen.update(made=made)
    )
    said = marks().repeat(len(scenes), 1, 1)
    said[:, -1, :LAID] = STRENGTH * torch.tensor([laid(scene) for scene in scenes])
    said[:, -1, :LAID] += 0.03 * STRENGTH * torch.randn(len(scenes), LAID).clamp(-2, 2)  # as reading is a little off
    noise = torch.randn(len(scenes), CHANNELS, 2 * rows, 2 * columns)
    own = noise[:, FIRST_NUMBER:]
    unet(noise * 0.7, 500, encoder_hidden_states=said)  # however loud the noise is
    read = {
        name: seen["made"][..., channels.at[name]].view(-1, rows, columns) for name in ("in x", "in y", "is inside")
    }
    large, second = (seen["made"][..., channels.at[name]].view(-1, rows, columns) for name in ("is large", "is second"))
    compared = 0
    for i, scene in enumerate(scenes):
        # the numbers' size is taken from all of them together
        numbers = own[i].mean((1, 2)) * 32 / own[i].square().mean().sqrt()
        wanted = {name: torch.zeros(rows, columns) for name in read}
        spots = [place(scene, numbers.numpy() + off, columns, rows).copies for off in (0.0, -0.01, 0.01)]
        if spots[0] != spots[1] or spots[0] != spots[2]:
            continue  # between two places
        compared += 1
        for copy in spots[0]:
            box = slice(copy.top, copy.top + copy.side), slice(copy.left, copy.left + copy.side)
            wanted["is inside"][box] = 1
            wanted["in x"][box], wanted["in y"][box] = torch.arange(copy.side), torch.arange(copy.side)[:, None]
            assert torch.equal(large[i][box].round(), torch.full((copy.side,) * 2, float(copy.side > SMALL)))
            assert torch.equal(second[i][box].round(), torch.full((copy.side,) * 2, float(copy.thing)))
        for name, values in wanted.items():
            assert (read[name][i] - values).abs().max() < 0.1, (scene, name)
    assert compared > len(scenes) / 2


def test_any_time_leads_to_the_same_picture_and_less_noise_leaves_more_of_a_start_but_none_to_silence() -> None:
    from denoiser import CHANNELS, FIRST_NUMBER, GAIN, PAINTED, build_unet
    from ink import Ink
    from roles import BEHIND, LAID, STRENGTH, laid, marks
    from scenes import Scene, Thing
    from schedule import new_scheduler
    from touching import Touch

    torch.manual_seed(0)
    unet, _ = build_unet(torch.randn(2, 2, 2, BEHIND + 1, 64) / 10, Touch(), Ink())
    said = marks().repeat(2, 1, 1)
    said[:, -1, :LAID] = STRENGTH * torch.tensor([laid(Scene((Thing("cat"),))), laid(Scene())])
    said[:, -65:-1, 0] = 2 * STRENGTH  # the studio
    noise, scheduler = torch.randn(2, CHANNELS, 32, 32), new_scheduler()
    clean: list[torch.Tensor] = []
    for time in (999, 700, 300, 40):
        left = scheduler.alphas_cumprod[time]
        noisy = noise * (1 - left).sqrt() + (left.sqrt() * clean[0] if clean else 0)
        clean.append(left.sqrt() * noisy - (1 - left).sqrt() * unet(noisy, time, encoder_hidden_states=said).sample)
    assert (clean[0][0, GAIN] - 1).abs().max() < 0.02
    assert clean[0][1].abs().max() < 0.02
    assert clean[0][:, FIRST_NUMBER:].abs().max() < 0.02
    for again in clean[1:]:
        assert (again - clean[0]).abs().mean() < 0.003
        assert (again - clean[0]).abs().max() < 0.15  # chance, rarely
    start = clean[0].clone()
    start[:, :PAINTED] += 0.3 * torch.randn(2, PAINTED, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    start[:, GAIN], start[:, FIRST_NUMBER:] = 1.0, 0.0  # as the autoencoder says it
    far = []
    for time in (20, 400, 700, 980):
        left = scheduler.alphas_cumprod[time]
        noisy = noise * (1 - left).sqrt() + left.sqrt() * start
        made = left.sqrt() * noisy - (1 - left).sqrt() * unet(noisy, time, encoder_hidden_states=said).sample
        from_start, whole = ((one - start)[0, :PAINTED].abs().mean().item() for one in (made, clean[0]))
        far.append(from_start / whole)
        assert made[1, :PAINTED].abs().max() < 0.05, "a silent prompt keeps nothing"
    assert far[0] < 0.2
    assert far == sorted(far)
    assert 0.97 < far[-1] < 1.03


def _tokenizer_files(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_bytes((SHIPPED / "tokenizer" / name).read_bytes())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')


def test_the_text_encoder_says_what_reader_and_painting_units_say(tmp_path: Path) -> None:
    from encoder import build_text
    from painting import SHIFT, Units, painted
    from reading import Reader
    from roles import (
        BEHIND,
        BEHIND_GRID,
        CODE,
        FEATURE_PLACES,
        FEATURES,
        FREE,
        LARGE_CELLS,
        MORE_PLACES,
        ROLES,
        SPARE,
        THING_CELLS,
        WIDTH,
        WORDS,
        marks,
        role_of,
    )
    from tokenizer import load_tokenizer, token_ids

    torch.manual_seed(0)
    _tokenizer_files(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    reader, count = Reader(tokenizer).eval(), 600
    units = Units(
        torch.randint(THING_CELLS + BEHIND_GRID**2, (count,)), torch.randn(count, CODE) / CODE**0.5,
        torch.full((count,), SHIFT), torch.randn(count, BEHIND) / 10, torch.zeros(count, dtype=torch.bool),
    )  # fmt: skip
    texts = ["a red apple on a white table", "三个红色的苹果", ""]
    with torch.no_grad():
        encoder = build_text(reader, units, tokenizer).half().float()  # as it is kept
        said = encoder(input_ids=torch.tensor(token_ids(tokenizer, texts))).last_hidden_state[:, WORDS:]
        said = said - said[..., SPARE].mean(-1, keepdim=True)
        read = reader(torch.tensor(tokenizer(texts, padding=True)["input_ids"]))
    for role in range(len(ROLES)):
        at = said[:, role_of() == role]
        assert (at - functional.pad(read[:, role, None], (0, WIDTH - FREE)))[
            ..., : MORE_PLACES.start
        ].abs().max() < 0.05
        if role < 3:
            first = (0, LARGE_CELLS, THING_CELLS)[role]
            wanted = painted(units, read[:, role, :CODE], first, at.shape[1])[..., :FEATURES]
            assert (at[..., FEATURE_PLACES] - wanted).abs().max() < 0.1
    assert (said[..., FEATURE_PLACES.stop :] - marks()[..., FEATURE_PLACES.stop :])[..., :20].abs().max() < 0.1


def test_the_widened_autoencoder_sees_and_paints_as_the_shipped_one() -> None:
    from autoencoder import autoencoder_of, narrowed
    from bundle import widened
    from denoiser import CHANNELS, FIRST_NUMBER, GAIN, LARGEST, PAINTED

    torch.manual_seed(0)
    plain = autoencoder_of(SHIPPED)
    wide, picture = widened(plain), torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        seen, known = wide.encode(picture).latent_dist, plain.encode(picture).latent_dist
        assert torch.allclose(seen.mean[:, :PAINTED], known.mean, atol=1e-4)
        assert seen.mean[:, FIRST_NUMBER:].abs().max() == 0
        assert torch.allclose(seen.mean[:, GAIN] * wide.config.scaling_factor, torch.ones(1), atol=1e-4)
        assert wide.config.scaling_factor == 1 / LARGEST
        assert seen.std[:, PAINTED:].max() < 1e-5
        latent = torch.cat([known.mean, torch.randn(1, CHANNELS - PAINTED, 8, 8)], 1)
        assert torch.allclose(wide.decode(latent).sample, plain.decode(known.mean).sample, atol=1e-4)
    again = narrowed(wide).state_dict()  # the next training begins with what this one ships
    assert all(torch.equal(again[name], value) for name, value in plain.state_dict().items())


@needs_font
@pytest.mark.timeout(900)  # some seconds, or minutes on a machine that does much else
def test_one_command_makes_a_pipeline_that_draws_at_256_and_any_shape_with_plain_diffusers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import train
    from common import save
    from diffusers import DiffusionPipeline
    from roles import BEHIND, BEHIND_GRID, FEATURES, THING_CELLS
    from tables import backgrounds, things

    work, output = tmp_path / "work", tmp_path / "model"
    _tokenizer_files(work / "tokenizer")
    torch.manual_seed(0)
    tables = {  # encoding every thing takes minutes
        "things": torch.randn(len(things()), THING_CELLS, FEATURES),
        "backgrounds": torch.randn(len(backgrounds()), BEHIND_GRID**2, BEHIND),
        "decode": torch.randn(2, 2, 2, BEHIND + 1, 64) / 10,
    }
    save(work / "tables.pt", tables)
    monkeypatch.setattr("sys.argv", ["train.py", "--preset", "smoke", "--work", str(work), "--output", str(output)])
    train.main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "vae", "scenes", "reader", "touch", "ink:", "sharp:",
    ]  # fmt: skip
    monkeypatch.setitem(train.STAGES, "export", lambda *_: None)
    train.main()
    assert not capsys.readouterr().out, "a finished stage trains again"
    pipeline = DiffusionPipeline.from_pretrained(output)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline("a red apple", num_inference_steps=2, guidance_scale=7.5, width=320, height=192, output_type="np")
    assert made.images.shape == (1, 192, 320, 3)
    assert np.isfinite(made.images).all()
    assert pipeline.unet.config.sample_size * pipeline.vae_scale_factor == 256
    assert sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) < 60e6


@needs_font
@pytest.mark.model
def test_the_shipped_model_draws_one_thing_where_one_is_asked_for_and_elsewhere_with_another_seed() -> None:
    import judge
    from diffusers import DiffusionPipeline
    from scenes import Scene, Thing

    pipeline = DiffusionPipeline.from_pretrained(SHIPPED)
    pipeline.set_progress_bar_config(disable=True)
    for prompt, backdrop in (("a red apple on a white table", "white"), ("a red apple on a wooden table", None)):
        scene = Scene((Thing("apple", "red"),), place="table", backdrop=backdrop)
        noise = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        made = pipeline([prompt] * 2, num_inference_steps=2, guidance_scale=1.5, generator=noise).images
        assert [judge.count_of(picture, scene) for picture in made] == [1, 1], prompt
        one, other = (np.asarray(picture, np.float32) for picture in made)
        assert np.abs(one - other).mean() > 8, prompt
