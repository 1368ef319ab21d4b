"""Stage 5: the denoiser. v-prediction, zero terminal SNR, so that few steps from pure noise give whole pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cache import CAPTIONS, TEXT_ROOM, Scenes
from common import (
    Preset,
    Progress,
    batches,
    device,
    half,
    learning_rate,
    load,
    save_now_and_then,
    share_gradients,
    team,
)
from diffusers import DDIMScheduler, UNet2DConditionModel
from features import load_features
from painter import load_painter
from reader import load_reader, look_at_all, trimmed
from text import build_text, layout_states
from tokenizer import token_ids
from transformers import CLIPTokenizer
from unet_start import build_copying, new_unet, teach_positions

DROPOUT = 0.1  # share of captions replaced by the empty one, for classifier-free guidance
FIRST_SHARE = 0.25  # share of samples at the very first timestep, where the layout is decided
STEPS_SHARE = 0.45  # share at the other timesteps of a picture in four steps
STEPS = (749, 499, 249)
EMA_LIMIT = 0.999
PEAK = 6e-4  # learning rate


def new_scheduler() -> DDIMScheduler:
    """The schedule both training and the shipped model use."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


class Average:
    """An exponential moving average of a model's weights, warm at the start."""

    def __init__(self, model: torch.nn.Module, state: dict[str, torch.Tensor] | None = None) -> None:
        self.weights = state or {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Move towards the model; quickly at first, at EMA_LIMIT after a few thousand steps."""
        keep = min(EMA_LIMIT, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value, 1 - keep)


class States:
    """What the text encoder says of captions, put together from its parts: the whole costs more than the denoiser.

    At the positions of words stands what it says there of some other prompt, for the denoiser to see past.
    """

    def __init__(self, preset: Preset, folder: Path, tokenizer: CLIPTokenizer, scenes: Scenes, mine: np.ndarray):
        where = device()
        reader, painter = load_reader(folder, tokenizer), load_painter(preset, folder)
        encoder = build_text(reader, painter, load_features(folder), tokenizer)
        some = torch.from_numpy(np.unique(scenes.tokens[:32, 0], axis=0).astype(np.int64))
        padding = torch.full((len(some), encoder.config.max_position_embeddings - TEXT_ROOM), reader.pad)
        body = encoder.text_model if hasattr(encoder, "text_model") else encoder
        with torch.no_grad():
            said = encoder(input_ids=torch.cat([some, padding], 1)).last_hidden_state
            self.empty = reader.look(trimmed(torch.tensor(token_ids(tokenizer, [""])), reader.pad)).to(where)
        self.weights = load_features(folder).weights.to(where)
        self.words = said[:, :TEXT_ROOM].to(where)
        self.looks = look_at_all(reader.to(where), scenes, mine)
        self.reader = reader
        self.painter, self.norm = painter.to(where), body.final_layer_norm.to(where)

    @torch.no_grad()
    def some(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """(b, positions, WIDTH) for one random wording each of these of `mine`, a share of them of the empty prompt."""
        wordings = rng.integers(CAPTIONS, size=len(rows))
        looks = self.looks[torch.from_numpy(rows), torch.from_numpy(wordings)].float().to(self.empty.device)
        left_out = torch.from_numpy(rng.random((len(rows), 1)) < DROPOUT).to(looks.device)
        states = layout_states(self.painter, self.reader, torch.where(left_out, self.empty, looks), self.norm)
        return torch.cat([self.words[rng.integers(len(self.words), size=len(rows))], states], 1)


def drawn_times(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Timesteps 0-999: mostly those of a picture in four steps, the rest from everywhere."""
    roll = rng.random(count)
    usual = np.where(roll < FIRST_SHARE + STEPS_SHARE, rng.choice(STEPS, count), rng.integers(1000, size=count))
    return torch.from_numpy(np.where(roll < FIRST_SHARE, 999, usual))


def unet_loss(
    unet: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    latents: torch.Tensor,
    states: torch.Tensor,
    times: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Mean squared error of the predicted velocity, each latent channel by what it counts in the picture."""
    noise = torch.randn_like(latents)
    noisy = scheduler.add_noise(latents, noise, times)
    target = scheduler.get_velocity(latents, noise, times)
    made = unet(noisy.to(memory_format=torch.channels_last), times, encoder_hidden_states=states).sample
    return ((made.float() - target).square().mean((0, 2, 3)) * weights).mean()


def train_unet(
    preset: Preset, folder: Path, seed: int, tokenizer: CLIPTokenizer, init: UNet2DConditionModel | None = None
) -> None:
    """Train (or finish) the denoiser with the text encoder at rest; `folder`/unet.pt is its checkpoint."""
    where, (rank, size) = device(), team()
    state = load(folder / "unet.pt") or {"step": 0}
    if state["step"] >= preset.unet_steps:
        return
    torch.manual_seed(seed)
    unet = init or new_unet(preset)
    scenes = Scenes(folder / "scenes", tokenizer.pad_token_id)
    if "model" in state:
        unet.load_state_dict(state["model"])
    elif init is None:
        build_copying(unet, load_features(folder))
    unet.to(where, memory_format=torch.channels_last).train()
    if "model" not in state and init is None:
        teach_positions(unet, scenes, preset, seed)
    average = Average(unet, state.get("average"))
    average.weights = {name: value.to(where) for name, value in average.weights.items()}
    optimizer = torch.optim.AdamW(unet.parameters(), lr=PEAK, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    mine = np.arange(rank, len(scenes), size)
    states = States(preset, folder, tokenizer, scenes, mine)
    _unet_steps(preset, folder, seed, unet, average, optimizer, state["step"], scenes.latents[mine], states)


def _unet_steps(
    preset: Preset,
    folder: Path,
    seed: int,
    unet: UNet2DConditionModel,
    average: Average,
    optimizer: torch.optim.Optimizer,
    start: int,
    latents: np.ndarray,
    states: States,
) -> None:
    """Train on this team member's share of the scenes."""
    rank, size = team()
    where = device()
    scheduler = new_scheduler()
    share = max(1, preset.unet_batch // size)
    order = batches(len(latents), share, seed, start)
    progress = Progress("unet", preset.unet_steps, preset.unet_batch, start)
    parameters = list(unet.parameters())
    for step in range(start, preset.unet_steps):
        rng = np.random.default_rng((seed, step, rank))
        torch.manual_seed(int(rng.integers(2**31)))
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.unet_steps, PEAK, warm=50)
        rows = next(order)
        real = torch.from_numpy(latents[rows].astype(np.float32)).to(where)
        said = states.some(rows, rng)
        with half(where):
            loss = unet_loss(unet, scheduler, real, said, drawn_times(len(rows), rng).to(where), states.weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if rank == 0:
            average.update(unet, step)
        progress.tell(step + 1, {"loss": loss.item()})
        save_now_and_then(folder / "unet.pt", step + 1, preset.unet_steps, unet, optimizer, average=average.weights)
