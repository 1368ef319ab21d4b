"""Stage 4: the denoiser learns where to look, for which no picture is needed, and then also to paint."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from cells import Features, load_features
from common import Progress, device, learning_rate, load, save
from denoiser import ASKED, PAINTED, SHARP, SURE, Glance, Lesson, asked, losses, new_scheduler, new_unet
from diffusers import UNet2DConditionModel
from drawing import numbered, shape_of
from layout import NUMBERS, UNIT, place
from roles import Coder, states
from scenes import Scene
from stock import SHARD, Stock

FIRST = 400_000_000  # scenes from here on are only looked at, never drawn
PEAKS = {"look": 1.5e-3, "paint": 7e-4}  # learning rates
LEFT_OUT = 0.08  # share of scenes of which nothing is said
KEPT = 0.998  # of the average of the weights, once it is warm


def lesson_of(
    coder: Coder, features: Features, numbers: list[int], latents: torch.Tensor, rng: np.random.Generator
) -> Lesson:
    """The batch of these scenes, which are all of one shape; of some the words are left out, for guidance."""
    said = [numbered(number) for number in numbers]
    silent = rng.random(len(said)) < LEFT_OUT
    said = [(Scene() if quiet else scene, drawn) for quiet, (scene, drawn) in zip(silent, said, strict=True)]
    columns, rows = (size // UNIT for size in shape_of(numbers[0]))
    spots = [place(scene, drawn, columns, rows) for scene, drawn in said]
    return Lesson(
        latents,
        torch.from_numpy(np.stack([drawn for _, drawn in said])).float(),
        states(coder, features, [scene for scene, _ in said]),
        torch.stack([asked(spot, drawn, columns, rows) for spot, (_, drawn) in zip(spots, said, strict=True)]),
    )


def undrawn(step: int, batch: int, rng: np.random.Generator) -> tuple[list[int], torch.Tensor]:
    """Scenes of one shape for looking alone, and empty latents."""
    first = FIRST + step * 7 * SHARD + int(rng.integers(SHARD - batch + 1))
    width, height = shape_of(first)
    return list(range(first, first + batch)), torch.zeros(batch, PAINTED, height // 8, width // 8)


def how_right(glance: Glance, lesson: Lesson) -> dict[str, float]:
    """The numbers' squared error, which share of cells know whether they show a thing, and by how many cells of it they
    miss it."""
    made = glance.queries.detach()[..., :ASKED] * glance.share
    read = glance.queries.detach()[..., ASKED : ASKED + NUMBERS] - lesson.asked[..., ASKED : ASKED + NUMBERS]
    inside = lesson.asked[..., 5] < SURE / 2
    known = ((made[..., 5] < SURE / 2) == inside).float().mean()
    off = ((made[..., :2] - lesson.asked[..., :2]) / SHARP).abs().amax(-1)[inside]
    return {
        "numbers": read.square().mean().item(),
        "known": known.item(),
        "off": off.mean().item() if len(off) else 0.0,
    }


def train_unet(folder: Path, stage: str, steps: int, batch: int = 16) -> None:
    """Train (or finish) the stage `look` or `paint`; `folder`/unet.pt is the checkpoint of both."""
    state = load(folder / "unet.pt") or {}
    done = state.get(stage, 0)
    if done >= steps:
        return
    torch.manual_seed(done)
    where = device()
    unet = new_unet()
    if "model" in state:
        unet.load_state_dict(state["model"])
    unet.to(where, memory_format=torch.channels_last)
    average = state.get("average") or {name: v.detach().clone() for name, v in unet.state_dict().items()}
    average = {name: v.to(where) for name, v in average.items()}
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if state.get("stage") == stage:
        optimizer.load_state_dict(state["optimizer"])
    looking = stage == "look"
    glance = Glance(unet, stop=looking)
    if looking:  # the finest level's branch adds nothing yet
        unet.down_blocks[0].resnets[0].forward = lambda hidden, temb: hidden
    coder, features, scheduler = Coder(folder), load_features(folder), new_scheduler()
    counts = {name: state.get(name, 0) for name in PEAKS}
    progress = Progress(stage, steps, batch, done)
    saved = time.monotonic()
    stock = None if looking else Stock(folder / "scenes")
    for step in range(done, steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, PEAKS[stage])
        rng = np.random.default_rng((step, int(looking)))
        lesson = lesson_of(coder, features, *(stock.some(rng, batch) if stock else undrawn(step, batch, rng)), rng)
        with torch.autocast(where.type, torch.bfloat16):
            look, error = losses(unet, scheduler, lesson.to(where), rng, glance)
        (look + error).backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _follow(average, unet, step)
        progress.tell(step + 1, {"look": look.item(), "error": error.item(), **how_right(glance, lesson.to(where))})
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            kept = {"model": unet.state_dict(), "average": average, "optimizer": optimizer.state_dict()}
            save(folder / "unet.pt", {**counts, stage: step + 1, "stage": stage, **kept})


@torch.no_grad()
def _follow(average: dict[str, torch.Tensor], unet: UNet2DConditionModel, step: int) -> None:
    keep = min(KEPT, (1 + step) / (10 + step))
    for name, value in unet.state_dict().items():
        average[name].lerp_(value, 1 - keep)


def load_unet(folder: Path) -> UNet2DConditionModel:
    """The average of the latest checkpoint."""
    unet = new_unet()
    state = load(folder / "unet.pt")
    if state is not None:
        unet.load_state_dict(state["average"])
    return unet.eval().requires_grad_(False)
