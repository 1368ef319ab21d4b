"""What is drawn so far: the lines that are whole, made pixels by the model's own decoder."""

import time
from typing import Any

import torch
from PIL import Image

from app.diffusion.previews import MAX_PREVIEW_SIDE, jpeg_of

COST = 10  # decoding may take this share of the time at most: on a processor it takes as long as several tokens
NOT_YET = (128, 128, 128)


class TokenPreviews:
    """Previews of one pipeline's newest picture. One thread."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._not_before = 0.0

    def jpeg(self, latent: torch.Tensor, width: int, height: int) -> bytes | None:
        """The lines that are whole in the tokens so far, above grey; None if there is none yet, or the decoder is not
        where the tokens are made, or the last preview took too long for another one now."""
        began, vae = time.monotonic(), self._pipe.vae
        lines = len(latent) // vae.width
        if not lines or began < self._not_before or hasattr(vae, "_hf_hook"):
            return None
        sample = vae.decode(latent[None, : lines * vae.width].to(vae.device)).sample[0]
        rgb = (sample.float().cpu() / 2 + 0.5).nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8)
        picture = Image.new("RGB", (vae.side, vae.side), NOT_YET)
        picture.paste(Image.fromarray(rgb.permute(1, 2, 0).contiguous().numpy()), (0, 0))
        scale = min(1.0, MAX_PREVIEW_SIDE / vae.side)
        picture = picture.resize((max(1, round(vae.side * scale)),) * 2, Image.Resampling.BICUBIC)
        self._not_before = time.monotonic() + COST * (time.monotonic() - began)
        return jpeg_of(picture)
