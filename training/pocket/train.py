"""The pocket model from nothing:

    python training/pocket/train.py --preset cpu --work FOLDER --output FOLDER

Stops and resumes anywhere: run it again; finished stages return at once. Stages: the autoencoder (`vae`); scenes drawn
and encoded; features of things and backgrounds (`tables`); the text encoder's reader; how things are put upon
backgrounds (`touch`); where they cover a picture to start from (`ink`); the decoder's last layer anew (`sharp`);
export. --stage runs only one. --init begins with a finished model's autoencoder instead of training one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from autoencoder import FINISHED, autoencoder_of
from bundle import export
from common import save
from ink import train_ink
from reading import train_reader
from sharpening import solve_sharp
from stock import fill_stock
from tables import load_tables
from touching import train_touch
from vae import train_vae


@dataclass(frozen=True)
class Preset:
    """How long each stage goes on: optimizer steps and their batches (for `vae` also the pictures that it is scaled by
    and processes that draw), scenes drawn (`sharp`: those it is solved for)."""

    vae: tuple[int, int, int, int]
    scenes: int
    reader: tuple[int, int]
    touch: tuple[int, int]
    ink: int
    sharp: int


PRESETS = {
    "smoke": Preset((2, 2, 4, 0), 4, (2, 4), (2, 64), 2, 2),
    "cpu": Preset((4_000, 8, 128, 2), 2_048, (6_000, 64), (6_000, 1024), 2_500, 40),
    "gpu": Preset((30_000, 64, 128, 16), 20_480, (30_000, 256), (40_000, 4096), 2_500, 400),
}
STAGES = {
    "vae": lambda preset, work, output: train_vae(work, *preset.vae),
    "scenes": lambda preset, work, output: fill_stock(work, preset.scenes),
    "tables": lambda preset, work, output: load_tables(work),
    "reader": lambda preset, work, output: train_reader(work, *preset.reader),
    "touch": lambda preset, work, output: train_touch(work, *preset.touch),
    "ink": lambda preset, work, output: train_ink(work, preset.ink),
    "sharp": lambda preset, work, output: solve_sharp(work, preset.sharp),
    "export": lambda preset, work, output: export(work, output),
}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and drawn scenes; some gigabytes")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--stage", choices=STAGES, help="only this one")
    parser.add_argument("--init", type=Path, help="a model folder, such as models/pocket")
    parser.add_argument("--threads", type=int, help="of the processor; all by default")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    if given.init and not (given.work / FINISHED).exists():
        save(given.work / FINISHED, autoencoder_of(given.init).state_dict())
    for stage in [given.stage] if given.stage else STAGES:
        STAGES[stage](PRESETS[given.preset], given.work, given.output)


if __name__ == "__main__":
    main()
