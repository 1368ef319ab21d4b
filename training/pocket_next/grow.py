"""Everything from nothing: python training/pocket_next/grow.py --preset cpu --work FOLDER --output FOLDER

Stops and resumes anywhere: run it again. Stages: scenes drawn, features solved for, then decoder, reader, painter and
the denoiser's learned layers, which do not wait for each other and may be run one by one with --stage.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "pocket"))  # the world: words, captions, glyphs, backgrounds

STAGES = ("scenes", "decoder", "reader", "painter", "mind", "export")


@dataclass(frozen=True)
class Preset:
    """How long each stage goes on: scenes drawn, optimizer steps and their batches."""

    scenes: int
    decoder: tuple[int, int]
    reader: tuple[int, int]
    painter: tuple[int, int]
    mind: tuple[int, int]
    borders: int
    workers: int = 2


PRESETS = {
    "smoke": Preset(8, (2, 2), (2, 4), (2, 4), (2, 4), 2, workers=1),
    "cpu": Preset(16_000, (12_000, 16), (6_000, 64), (3_000, 256), (8_000, 64), 800),
    "gpu": Preset(64_000, (60_000, 96), (30_000, 256), (10_000, 1024), (30_000, 256), 2_000, workers=14),
}


def run(stage: str, preset: Preset, work: Path, output: Path) -> None:
    """One stage; finished ones return at once."""
    if stage == "scenes":
        from stock import fill_cache

        fill_cache(work / "scenes", preset.scenes, 1, preset.workers)
    elif stage == "decoder":
        from decoder import train_decoder

        train_decoder(work, *preset.decoder)
    elif stage == "reader":
        from reading import train_reader

        train_reader(work, *preset.reader)
    elif stage == "painter":
        from painting import train_painter

        train_painter(work, *preset.painter)
    elif stage == "mind":
        from mind import train_mind

        train_mind(work, *preset.mind)
    else:
        from bundle import export

        export(work, output, preset.borders)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and drawn scenes; some gigabytes")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--stage", choices=STAGES, help="only this one")
    given = parser.parse_args()
    for stage in [given.stage] if given.stage else STAGES:
        run(stage, PRESETS[given.preset], given.work, given.output)


if __name__ == "__main__":
    main()
