"""Everything from nothing: python training/pocket_next/grow.py --preset cpu --work FOLDER --output FOLDER

Stops and resumes anywhere: run it again. Stages: scenes drawn and encoded; the text encoder's reader; how things are
put upon backgrounds (`touch`); where they cover a picture to start from (`ink`); export. Any may be run alone with
--stage; only `touch` waits for some scenes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "pocket"))  # the world: words, captions, glyphs, backgrounds

STAGES = ("scenes", "reader", "touch", "ink", "export")


@dataclass(frozen=True)
class Preset:
    """How long each stage goes on: scenes drawn, optimizer steps and their batches."""

    scenes: int
    reader: tuple[int, int]
    touch: tuple[int, int]
    ink: int


PRESETS = {
    "smoke": Preset(64, (2, 4), (2, 64), 2),
    "cpu": Preset(2_048, (6_000, 64), (6_000, 1024), 2_500),
    "gpu": Preset(20_480, (30_000, 256), (40_000, 4096), 2_500),
}


def run(stage: str, preset: Preset, work: Path, output: Path) -> None:
    """One stage; finished ones return at once."""
    if stage == "scenes":
        from stock import fill_stock

        fill_stock(work / "scenes", preset.scenes)
    elif stage == "reader":
        from reading import train_reader

        train_reader(work, *preset.reader)
    elif stage == "touch":
        from touching import train_touch

        train_touch(work, *preset.touch)
    elif stage == "ink":
        from ink import train_ink

        train_ink(work, preset.ink)
    else:
        from bundle import export

        export(work, output)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and drawn scenes; some gigabytes")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--stage", choices=STAGES, help="only this one")
    parser.add_argument("--threads", type=int, help="of the processor; all by default")
    given = parser.parse_args()
    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    for stage in [given.stage] if given.stage else STAGES:
        run(stage, PRESETS[given.preset], given.work, given.output)


if __name__ == "__main__":
    main()
