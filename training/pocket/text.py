"""Stage 2: the text encoder learns to write the layout of the scene into its last sixteen positions.

A cross-attending UNet has to learn 200 shapes and where to put them; that takes days of CPU. So the shapes are given
as far as text can give them: words of one meaning start from one vector, a noun's vector from a code of its picture
(text_start.py), and the encoder is trained, text only, to predict the scene's latent picture: the last 16 positions
(padding in any normal prompt; under the causal mask they see every word) are a 4x4 grid, each answering for one
8x8x4 patch through a single linear head. The head is dropped afterwards; the UNet looks the answers up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cache import Scenes
from common import Preset, Progress, batches, device, half, learning_rate, load, save, share_gradients, team
from diffusers import AutoencoderKL
from tokenizer import LAYOUT, LENGTH
from torch import nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

GRID = 4  # the layout positions are a GRID x GRID picture


class TextModel(nn.Module):
    """CLIP's text transformer plus the linear head that reads the layout; the head exists in training only."""

    def __init__(self, preset: Preset, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=preset.text_width,
                intermediate_size=4 * preset.text_width,
                num_hidden_layers=preset.text_layers,
                num_attention_heads=max(1, preset.text_width // 64),
                max_position_embeddings=LENGTH,
                hidden_act="quick_gelu",
                projection_dim=preset.text_width,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        self.head = nn.Linear(preset.text_width, 256)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids (b, LENGTH) -> states (b, LENGTH, width) and the layout they promise (b, 4, 32, 32)."""
        states = self.encoder(input_ids=ids).last_hidden_state
        patches = self.head(states[:, -LAYOUT:]).view(-1, GRID, GRID, 4, 8, 8)
        return states, patches.permute(0, 3, 1, 4, 2, 5).reshape(-1, 4, 32, 32)


def text_loss(model: TextModel, latents: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the promised layout."""
    return functional.mse_loss(model(ids)[1].float(), latents)


def train_text(
    preset: Preset,
    folder: Path,
    seed: int,
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    init: CLIPTextModel | None = None,
) -> TextModel:
    """Train (or finish, or load) the text encoder; `folder`/text.pt is its checkpoint."""
    where = device()
    model = TextModel(preset, tokenizer)
    path = folder / "text.pt"
    state = load(path) or {"step": 0}
    if "model" in state:
        model.load_state_dict(state["model"])
    elif init is not None:
        model.encoder.load_state_dict(init.state_dict())
    else:
        from text_start import start_text  # it builds on TextModel, so it cannot be imported above

        start_text(model, tokenizer, vae)
    model.to(where)
    if state["step"] >= preset.text_steps:
        return model.eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    _text_steps(preset, folder, seed, model, optimizer, state["step"], tokenizer.pad_token_id)
    return model.eval()


def _text_steps(
    preset: Preset, folder: Path, seed: int, model: TextModel, optimizer: torch.optim.Optimizer, start: int, pad: int
) -> None:
    rank, size = team()
    where = device()
    scenes = Scenes(folder / "scenes", pad)
    share = preset.text_batch // size
    order = batches(len(scenes), share, seed + 17 * rank, start)
    progress = Progress("text", preset.text_steps, preset.text_batch, start)
    parameters = list(model.parameters())
    for step in range(start, preset.text_steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.text_steps, 6e-4, warm=40)
        latents, ids = scenes.batch(next(order), np.random.default_rng((seed, step, rank)))
        with half(where):
            loss = text_loss(model, latents.to(where), ids.to(where))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
        if rank == 0 and ((step + 1) % 100 == 0 or step + 1 == preset.text_steps):
            save(
                folder / "text.pt", {"step": step + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            )
