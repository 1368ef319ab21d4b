"""Previews show where the picture is going, stay small and cost nothing when nobody wants them."""

import io

import numpy
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from app.diffusion.previews import MAX_PREVIEW_BYTES, PreviewFit, fit_previews
from tests.diffusion.conftest import Ask


def test_a_preview_is_a_small_jpeg_in_the_pictures_proportions(loaded: LoadedModel, ask: Ask) -> None:
    previews: list[bytes] = []
    generate(
        loaded,
        ask(width=128, height=64),
        on_step=lambda step, of, preview: previews.append(preview or b""),
        wants_preview=lambda: True,
    )
    for data in previews:
        assert len(data) <= MAX_PREVIEW_BYTES
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (128, 64))


def test_a_large_noisy_preview_still_fits_into_its_frame() -> None:
    fit = PreviewFit(torch.cat([torch.eye(3), torch.zeros(1, 3)]))
    data = fit.jpeg(torch.rand(3, 512, 512, generator=torch.Generator().manual_seed(0)), 4096, 4096)
    assert len(data) <= MAX_PREVIEW_BYTES
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (256, 256)


class FlatVae(AutoencoderKL):
    """Encodes a picture as a known mixture of its colours, so that the fit has a right answer."""

    def encode(self, x, return_dict=True):  # type: ignore[no-untyped-def]
        small = torch.nn.functional.avg_pool2d(x, 8)
        mix = torch.tensor([[0.9, 0.1, 0.0], [0.2, -0.7, 0.3], [0.0, 0.4, 0.8], [0.5, 0.5, -0.5]])
        latent = torch.einsum("cr,brhw->bchw", mix, small)
        mode = type("Mode", (), {"mode": lambda _: latent})()
        return type("Encoded", (), {"latent_dist": mode})()


def test_the_fit_recovers_colours_through_scaling_and_shift() -> None:
    vae = FlatVae(block_out_channels=(8,), norm_num_groups=4, scaling_factor=0.5, shift_factor=0.25)
    fit = fit_previews(vae)
    assert fit is not None
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 64, 64)
    latent = (vae.encode(red).latent_dist.mode()[0] - 0.25) * 0.5
    with Image.open(io.BytesIO(fit.jpeg(latent, 64, 64))) as picture:
        colour = numpy.asarray(picture, dtype=float).mean(axis=(0, 1))
    assert colour == pytest.approx([255, 0, 0], abs=12)


@pytest.mark.parametrize("sampler", ["default", "Euler", "DPM++ 2M", "UniPC", "PLMS", "Heun"])
def test_the_last_preview_of_every_sampler_shows_the_finished_latents(
    loaded: LoadedModel, ask: Ask, sampler: str
) -> None:
    previews: list[bytes] = []
    generate(
        loaded,
        ask(num_inference_steps=4, scheduler=sampler),
        on_step=lambda step, of, preview: previews.append(preview or b""),
        wants_preview=lambda: True,
    )
    assert all(data[:2] == b"\xff\xd8" for data in previews)


def test_without_anyone_asking_no_preview_is_made(loaded: LoadedModel, ask: Ask) -> None:
    heard: list[bytes | None] = []
    generate(loaded, ask(), on_step=lambda step, of, preview: heard.append(preview))
    assert heard == [None, None]


def test_a_picture_is_the_same_with_and_without_previews(loaded: LoadedModel, ask: Ask) -> None:
    watched = generate(loaded, ask(), on_step=lambda *_: None, wants_preview=lambda: True)
    assert watched[0].rgb == generate(loaded, ask())[0].rgb


def test_a_kind_of_vae_that_is_unknown_here_means_no_previews() -> None:
    assert fit_previews(None) is None
    assert fit_previews(object()) is None
