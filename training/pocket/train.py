"""Train the pocket model from nothing:

    python training/pocket/train.py --preset cpu --work FOLDER --output models/pocket

Stages, in order: vae, scenes (draw and encode the training set), features, text (reader, then painter), unet,
export. Each stops and resumes at its last checkpoint in the work folder; run the same command again after any
interruption.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from pathlib import Path

import torch
from cache import Scenes, fill_cache
from codes import Coder, noun_pictures
from common import PRESETS, Preset, seed_everything, start_team, team, wait_for_team
from diffusers import AutoencoderKL, UNet2DConditionModel
from export import export, finished_vae
from features import load_features, train_features
from painter import train_painter
from reader import load_reader, train_reader
from tokenizer import load_tokenizer
from torch import multiprocessing
from transformers import CLIPTokenizer
from unet import train_unet
from vae import train_vae

STAGES = ("vae", "scenes", "features", "text", "unet", "export")
COUNTS = ("vae_steps", "scenes", "feature_steps", "reader_steps", "painter_steps", "position_steps", "unet_steps")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one call of this program was asked to do."""

    preset: Preset
    stages: tuple[str, ...]
    work: Path
    output: Path
    seed: int
    init: Path | None


def run_stages(plan: Plan) -> None:
    """Every asked stage, one after the other, in this process (or in this member of a team)."""
    seed_everything(plan.seed)
    preset, work, rank = plan.preset, plan.work, team()[0]
    if rank == 0:
        load_tokenizer(work / "tokenizer")
    wait_for_team()
    tokenizer = load_tokenizer(work / "tokenizer")
    if "vae" in plan.stages and not (plan.init and (work / "vae_unit.pt").exists()):
        train_vae(preset, work, plan.seed, _part(plan.init, "vae", AutoencoderKL))
    wait_for_team()
    if rank == 0:
        finished_vae(preset, work)
    wait_for_team()
    vae = finished_vae(preset, work)
    if "scenes" in plan.stages:
        workers = max(1, preset.workers // team()[1])
        fill_cache(work / "scenes", vae, tokenizer, preset.scenes, plan.seed, workers, *team())
    wait_for_team()
    if "features" in plan.stages and rank == 0:
        train_features(preset, work, plan.seed, Scenes(work / "scenes", tokenizer.pad_token_id), vae)
    wait_for_team()
    if "text" in plan.stages:
        _train_text(plan, tokenizer, vae)
    wait_for_team()
    if "unet" in plan.stages:
        train_unet(preset, work, plan.seed, tokenizer, _part(plan.init, "unet", UNet2DConditionModel))
    wait_for_team()
    if "export" in plan.stages and rank == 0:
        export(preset, work, plan.output)


def _train_text(plan: Plan, tokenizer: CLIPTokenizer, vae: AutoencoderKL) -> None:
    """The reader, then the painter on what the finished reader says."""
    preset, work = plan.preset, plan.work
    scenes = Scenes(work / "scenes", tokenizer.pad_token_id)
    train_reader(preset, work, plan.seed, tokenizer, scenes, Coder(noun_pictures(vae)))
    wait_for_team()
    train_painter(preset, work, plan.seed, scenes, load_reader(work, tokenizer), load_features(work))


def _part(init: Path | None, name: str, kind: type) -> torch.nn.Module | None:
    """One part of the model folder to start from, in float32."""
    return kind.from_pretrained(init / name).float() if init else None


def _member(rank: int, size: int, meeting: Path, plan: Plan) -> None:
    start_team(rank, size, meeting)
    run_stages(plan)


def run(plan: Plan, processes: int) -> None:
    """Carry out the plan with a team of `processes` that share every batch."""
    plan.work.mkdir(parents=True, exist_ok=True)
    if processes == 1:
        run_stages(plan)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        multiprocessing.spawn(_member, (processes, meeting, plan), nprocs=processes)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--stage", choices=("all", *STAGES), nargs="+", default=["all"])
    parser.add_argument("--work", type=Path, default=Path("logs/pocket"), help="checkpoints and drawn scenes")
    parser.add_argument("--output", type=Path, default=Path("models/pocket"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, help="default: one a core on a CPU, one with a GPU")
    parser.add_argument("--init", type=Path, help="a model folder to start from, such as models/pocket")
    for field in COUNTS:
        parser.add_argument(f"--{field.replace('_', '-')}", type=int, help="instead of the preset's")
    given = parser.parse_args()
    changes = {name: value for name in COUNTS if (value := getattr(given, name)) is not None}
    preset = dataclasses.replace(PRESETS[given.preset], **changes)
    stages = STAGES if "all" in given.stage else tuple(given.stage)
    default = 1 if torch.cuda.is_available() or given.preset == "smoke" else min(2, os.cpu_count() or 1)
    run(Plan(preset, stages, given.work, given.output, given.seed, given.init), given.processes or default)


if __name__ == "__main__":
    main()
