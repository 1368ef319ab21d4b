"""Numbers that are no picture: found before they are saved, and mended where float32 can."""

from pathlib import Path

import pytest
import torch

from app.catalog import ModelEntry
from app.core.errors import GenerationFailed
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from tests.diffusion.conftest import Ask


@pytest.fixture
def own(tiny_entry: ModelEntry) -> LoadedModel:
    """A model of its own for a test that damages it."""
    return ModelCache("cpu").load(tiny_entry, Path("/"))


def test_a_vae_that_overflows_in_float16_decodes_again_in_float32(own: LoadedModel, ask: Ask) -> None:
    own.pipe.to(torch.float16)
    with torch.no_grad():  # what SDXL's VAE does: activations beyond 65504, which the next norm makes small again
        own.pipe.vae.decoder.conv_in.weight.mul_(6e4)
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).half()
        assert not torch.isfinite(own.pipe.vae.decode(latents).sample).all()
    made = generate(own, ask())[0]
    assert len(set(made.rgb)) > 10
    assert any("decoded in float32" in note for note in made.how["notes"])
    assert own.pipe.vae.dtype == torch.float16
    assert generate(own, ask())[0].rgb == made.rgb


def test_a_vae_that_is_broken_in_float32_too_fails_the_job_with_the_reason(own: LoadedModel, ask: Ask) -> None:
    with torch.no_grad():
        own.pipe.vae.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(GenerationFailed, match=r"VAE gave numbers that are not a picture \(NaN\)"):
        generate(own, ask())


def test_latents_that_overflow_are_not_decoded(own: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        own.pipe.unet.conv_out.bias.fill_(float("inf"))
    decoded: list[object] = []
    monkeypatch.setattr(own.pipe.vae.decoder, "forward", decoded.append)
    with pytest.raises(GenerationFailed, match="overflowed") as caught:
        generate(own, ask())
    assert "sampler" in str(caught.value.hint)
    assert not decoded


def test_a_truly_black_picture_is_a_picture(own: LoadedModel, ask: Ask) -> None:
    with torch.no_grad():
        own.pipe.vae.decoder.conv_out.weight.zero_()
        own.pipe.vae.decoder.conv_out.bias.fill_(-2.0)
    made = generate(own, ask())[0]
    assert set(made.rgb) == {0}
    own.pipe.to(torch.bfloat16)  # looked at once more in float32, which says the same
    again = generate(own, ask("black"))[0]
    assert set(again.rgb) == {0}
    assert not again.how["notes"]
