"""Lets the part that words a picture go on learning alone, from what the part that looks saw once of each.

    python training/captioner/train_wording.py --work FOLDER --output models/pocket-captioner

Goes on from what `train_captioner.py` left in FOLDER. Chinese, which is harder, counts twice; what was seen is blurred
a little, so that wordings are not learned by heart; the directions of the words, by which pictures are found, stay.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from figures import measure
from torch import Tensor, nn
from train_captioner import Sights, new_network, new_tokenizer, pixel_values, save, wrong_words
from transformers import VisionEncoderDecoderModel

BATCH, LEARNING_RATE, SEED, AT_ONCE = 128, 1e-3, 5, 200
BLUR = 0.03  # of how much the numbers differ


@torch.no_grad()
def seen(network: VisionEncoderDecoderModel, sights: Sights) -> tuple[Tensor, Tensor]:
    """What the encoder makes of each picture, and its captions in each language (n, 2, ROOM)."""
    looks, tokens = [], []
    for shard in sights.shards:
        for first in range(0, len(shard["pixels"]), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            pixels = pixel_values(shard["pixels"][part]).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                looks.append(network.encoder(pixels).last_hidden_state.bfloat16())
            tokens.append(torch.from_numpy(shard["tokens"][part].astype(np.int64)))
    return torch.cat(looks), torch.cat(tokens)


def tune(network: VisionEncoderDecoderModel, looks: Tensor, tokens: Tensor, seconds: float) -> None:
    """Train the decoder for so long."""
    network.decoder.train()
    network.decoder.lm_head.weight.requires_grad = False
    learning = [weight for weight in network.decoder.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    dice, began, step = np.random.default_rng(SEED), time.monotonic(), 0
    while (share := (time.monotonic() - began) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min((step + 1) / 50, 0.5 + 0.5 * math.cos(math.pi * share))
        rows = torch.from_numpy(dice.integers(0, len(looks), BATCH))
        look = looks[rows].float()
        look = look + BLUR * look.std() * torch.randn_like(look)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            english, chinese = (wrong_words(network, look, each) for each in tokens[rows].unbind(1))
        optimizer.zero_grad()
        ((english + 2 * chinese) / 3).backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        step += 1
    network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where train_captioner.py kept its checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    network = new_network().eval()
    network.load_state_dict(torch.load(asked.work / "captioner.pt", weights_only=True)["network"])
    tune(network, *seen(network, Sights(asked.work / "sights", asked.pictures)), asked.seconds)
    print(measure(network, new_tokenizer(), 400))
    save(network, asked.output)


if __name__ == "__main__":
    main()
