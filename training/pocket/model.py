"""The model under test, by itself and as Atelier draws with it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

NEGATIVE = "blurry, low quality, watermark"


class Model:
    """The pipeline with the settings under test; pictures are square and of its native size unless said otherwise."""

    def __init__(self, folder: Path, steps: int, guidance: float) -> None:
        self.folder, self.steps, self.guidance = folder, steps, guidance
        self.pipeline = DiffusionPipeline.from_pretrained(folder)
        self.pipeline.set_progress_bar_config(disable=True)
        self.side = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor

    def draw(
        self,
        prompts: list[str],
        negative: str | list[str] = NEGATIVE,
        guidance: float | None = None,
        steps: int | None = None,
        first_seed: int = 0,
        batch: int = 8,
    ) -> list[Image.Image]:
        """One picture a prompt; picture i has seed `first_seed` + i."""
        made: list[Image.Image] = []
        negatives = negative if isinstance(negative, list) else [negative] * len(prompts)
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            seeds = [torch.Generator().manual_seed(first_seed + start + i) for i in range(len(part))]
            made += self.pipeline(
                part,
                negative_prompt=negatives[start : start + batch],
                num_inference_steps=steps or self.steps,
                guidance_scale=self.guidance if guidance is None else guidance,
                width=self.side,
                height=self.side,
                generator=seeds,
            ).images
        return made

    def megabytes(self) -> float:
        """Of the whole folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6


class Served:
    """The model as Atelier's library draws with it: sizes that it was not trained for, negative prompts, and the
    seconds it takes."""

    def __init__(self, model: str) -> None:
        from app import DiffusionService

        self.folder = tempfile.TemporaryDirectory()
        self.service = DiffusionService(output_dir=self.folder.name)
        if not self.service.load_model(model):
            raise SystemExit(f"Atelier cannot load {model}")

    def draw(self, prompt: str, seed: int, negative: str = NEGATIVE, **settings: Any) -> Image.Image:
        """One picture, with the page's defaults except for `settings`."""
        made = self.service.generate_image(prompt=prompt, negative_prompt=negative, seed=seed, **settings)
        if not made["success"]:
            raise RuntimeError(made["message"])
        return made["images"][0]

    def seconds(self, prompts: list[str]) -> float:
        """Of one picture at the defaults, warm."""
        self.draw(prompts[0], 1)
        begun = time.monotonic()
        for i, prompt in enumerate(prompts):
            self.draw(prompt, i)
        return (time.monotonic() - begun) / len(prompts)
