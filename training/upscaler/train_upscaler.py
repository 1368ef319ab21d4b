"""Trains the small upscaler that is shipped: a Swin2SR that makes drawn pictures twice as large.

    python training/upscaler/train_upscaler.py --work FOLDER --output models/pocket-upscaler

It stops and goes on from FOLDER. Pictures are scenes of `training/pocket` and written words; what it is measured on are
held-out compositions, made half as large by Lanczos, against Lanczos.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

sys.path.append(str(Path(__file__).parents[1] / "pocket"))
from drawing import draw_scene, numbered
from measures import held_out_scenes, real

CROP, BATCH, LEARNING_RATE = 32, 8, 1e-3  # pixels of a small crop's side; its answer has twice as many
SEED = 7
SAVE_SECONDS = 60
WAYS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.;:!?&"


def new_network() -> Swin2SRForImageSuperResolution:
    """84 thousand parameters."""
    config = Swin2SRConfig(
        image_size=48, embed_dim=32, depths=[2, 2], num_heads=[4, 4], window_size=8, mlp_ratio=2.0, upscale=2,
        upsampler="pixelshuffledirect",
    )  # fmt: skip
    return Swin2SRForImageSuperResolution(config)


@torch.no_grad()
def start_linear(network: Swin2SRForImageSuperResolution, pairs: Pairs) -> None:
    """Begin as the best linear enlargement: a pixel's 5 x 5 surroundings to the four that it becomes, by least squares.

    27 of the 32 channels hold a pixel's 3 x 3 neighbours, and the last convolution looks one further.
    """
    looked, become = [], []
    for step in range(40):
        small, large = pairs.batch(step)
        windows = nn.functional.unfold(small.flatten(0, 1)[:, None], 5).transpose(1, 2)
        corners = nn.functional.pixel_unshuffle(large.flatten(0, 1)[:, None], 2)[:, :, 2:-2, 2:-2]
        looked.append(windows.flatten(0, 1) - 0.5)
        become.append(corners.flatten(2).transpose(1, 2).flatten(0, 1) - 0.5)
    seen, answers = torch.cat(looked).double(), torch.cat(become).double()
    square = seen.T @ seen + len(seen) * 1e-4 * torch.eye(25)  # plain areas alone would leave the answer open
    found = torch.linalg.solve(square, seen.T @ answers).float().T.view(4, 5, 5)
    look, body, out = network.swin2sr.first_convolution, network.swin2sr.conv_after_body, network.upsample.conv
    for parameter in (look.weight, look.bias, out.weight, out.bias, body.weight, body.bias):
        parameter.mul_(0.02)
    for colour in range(3):
        for place in range(9):
            look.weight[colour * 9 + place, colour].view(-1)[place] += 1
        for down in range(5):
            for across in range(5):
                first = min(max(down - 1, 0), 2), min(max(across - 1, 0), 2)
                then = down - first[0], across - first[1]
                row = slice(colour * 4, colour * 4 + 4)
                out.weight[row, colour * 9 + first[0] * 3 + first[1], then[0], then[1]] += found[:, down, across]


def drawn(number: int) -> Image.Image:
    """Picture `number`: one in six is of written words, all others are scenes."""
    rng = random.Random(number)
    return written(rng) if number % 6 == 5 else draw_scene(*numbered(number), rng=rng)


def written(rng: random.Random) -> Image.Image:
    """Lines of letters in two colours, and some shapes: edges of all directions and widths."""
    colours = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(4)]
    large = Image.new("RGB", (1024, 1024), colours[0])
    pen = ImageDraw.Draw(large)
    for _ in range(rng.randrange(6)):
        box = sorted(rng.sample(range(1024), 2)), sorted(rng.sample(range(1024), 2))
        corners = (box[0][0], box[1][0], box[0][1], box[1][1])
        kind = rng.choice((pen.ellipse, pen.rectangle))
        kind(corners, fill=rng.choice(colours), outline=rng.choice(colours), width=rng.randrange(1, 30))
    for top in range(0, 1024, 170):
        font = ImageFont.load_default(rng.randrange(40, 160))
        pen.text((rng.randrange(60), top), "".join(rng.choices(LETTERS, k=24)), rng.choice(colours), font=font)
    return large.resize((256, 256), Image.Resampling.LANCZOS)


def halved(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Half as wide and high, in one of the usual ways; one in four with the marks of a JPEG file."""
    small = picture.resize((picture.width // 2, picture.height // 2), rng.choice(WAYS))
    if rng.random() < 0.25:
        file = io.BytesIO()
        small.save(file, "JPEG", quality=rng.randrange(60, 96))
        small = Image.open(file).convert("RGB")
    return small


def tensor(pixels: np.ndarray) -> Tensor:
    """(..., height, width, 3) bytes -> (..., 3, height, width) in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, -3))).float() / 255


class Pairs:
    """`count` pictures and their halves, as bytes in memory; the same ones every time."""

    def __init__(self, count: int) -> None:
        large = [drawn(number) for number in range(count)]
        self.small = np.stack([np.asarray(halved(each, random.Random(n))) for n, each in enumerate(large)])
        self.large = np.stack([np.asarray(each) for each in large])

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """BATCH crops and what they should become, mirrored and turned; of four places the one with most in it."""
        rng = np.random.default_rng((SEED, step))
        small, large = [], []
        for row in rng.integers(len(self.small), size=BATCH):
            places = rng.integers(0, self.small.shape[1] - CROP + 1, (4, 2))
            crops = [self.small[row, y : y + CROP, x : x + CROP] for y, x in places]
            y, x = places[int(np.argmax([crop.std() for crop in crops]))]
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            for where, made, scale in ((self.small, small, 1), (self.large, large, 2)):
                crop = where[row, y * scale : (y + CROP) * scale, x * scale : (x + CROP) * scale]
                crop = np.rot90(crop, turns)
                made.append(tensor(crop[:, ::-1] if mirrored else crop))
        return torch.stack(small), torch.stack(large)


def decibels(made: np.ndarray, wanted: np.ndarray) -> float:
    """PSNR of two pictures of bytes."""
    return 10 * math.log10(255**2 / max(1e-9, float(np.mean((made.astype(float) - wanted.astype(float)) ** 2))))


@torch.no_grad()
def measure(network: nn.Module, count: int = 40) -> tuple[float, float]:
    """Mean PSNR over held-out scenes, by the network and by Lanczos."""
    network.eval()
    by_network, by_lanczos = [], []
    for large in real(held_out_scenes(count, random.Random(SEED))):
        small = large.resize((128, 128), Image.Resampling.LANCZOS)
        made = network(tensor(np.asarray(small))[None]).reconstruction[0].clamp(0, 1)
        wanted = np.asarray(large)
        by_network.append(decibels((made * 255).round().byte().permute(1, 2, 0).numpy(), wanted))
        by_lanczos.append(decibels(np.asarray(small.resize(large.size, Image.Resampling.LANCZOS)), wanted))
    network.train()
    return float(np.mean(by_network)), float(np.mean(by_lanczos))


def train(work: Path, steps: int, of: int, pictures: int, measured: int) -> Swin2SRForImageSuperResolution:
    """Goes on from `work` to step `steps` of a training that has `of`, and prints what was reached."""
    torch.manual_seed(SEED)
    network = new_network()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0)
    work.mkdir(parents=True, exist_ok=True)
    checkpoint, done = work / "upscaler.pt", 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["done"]
    pairs = Pairs(pictures) if done < steps else None
    if pairs is not None and done == 0:
        start_linear(network, pairs)
    saved, loss = time.monotonic(), torch.zeros(())
    while pairs is not None and done < steps:
        torch.manual_seed(SEED + done)  # which paths are dropped
        small, large = pairs.batch(done)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * done / of)))
        loss = (network(small).reconstruction - large).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
        done += 1
        if done == steps or time.monotonic() - saved > SAVE_SECONDS:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "done": done}
            torch.save(state, work / "upscaler.part")
            (work / "upscaler.part").replace(checkpoint)
            ours, lanczos = measure(network, min(measured, 8))
            print(f"{done}/{of} L1 {loss.item():.4f}: {ours:.2f} dB, Lanczos {lanczos:.2f}", flush=True)
            saved = time.monotonic()
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints are kept")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=1800)
    parser.add_argument("--measured", type=int, default=40, help="held-out scenes in the figure at the end")
    asked = parser.parse_args()
    network = train(asked.work, asked.steps, asked.steps, asked.pictures, asked.measured)
    network.eval().save_pretrained(asked.output)
    ours, lanczos = measure(network, asked.measured)
    print(f"{asked.measured} held-out scenes: {ours:.2f} dB; Lanczos {lanczos:.2f} dB; {ours - lanczos:+.2f} dB")


if __name__ == "__main__":
    main()
