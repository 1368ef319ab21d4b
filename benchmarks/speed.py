"""What a picture takes on a processor: plain diffusers, in several ways, and the service over HTTP.

    python -m benchmarks.speed [--model sd15|sdxl|pixart] [--size 256] [--steps 4] [--rounds 2] [--pictures 3]
                                [--work FOLDER]

A pipeline of the real size with random weights is made in the work folder (2 to 6 GB, kept there). Each contender runs
in a process of its own, alone, in an order that is turned round after each round; the first picture of each process
warms it up and does not count. Printed as JSON: median seconds, the ratio to plain diffusers in float32 and to the best
plain one, each with its spread, and the machine's load before each run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from app.core.schema import GenerationRequest, JobState
from app.core.settings import Compute
from app.diffusion.compiled.parts import parts_for
from app.diffusion.compiled.replace import replace
from app.diffusion.compiled.translate import kept_name, translated
from app.diffusion.placement import channels_last
from benchmarks.large import MODELS, make_large
from tests.pipelines import catalog_toml
from tests.system.victim import Victim

PROMPT = "a lighthouse in a storm, oil painting"
PLAIN = ("plain float32", "plain bfloat16", "plain bfloat16, channels last", "plain openvino bfloat16")
OURS = ("service, torch", "service, as it comes")
RUN_S = 3600


def plain(name: str, folder: Path, work: Path, size: int, steps: int) -> Callable[[], None]:
    """The job as the diffusers documentation does it."""
    dtype = torch.float32 if "float32" in name else torch.bfloat16
    pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True, dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    if "channels last" in name:
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                channels_last(part)
    if "openvino" in name:
        for part in parts_for(pipe):
            kept = kept_name("plain", part.name, part.module, str(folder))
            file = translated(part.traced, part.example, work / "compiled", "plain", part.name, kept)
            replace(part.module, file, part.arrange, part.answer)
            channels_last(part.module)

    def draw() -> None:
        generator = torch.Generator("cpu").manual_seed(42)
        pipe(PROMPT, num_inference_steps=steps, guidance_scale=5.0, width=size, height=size, generator=generator)

    return draw


def over_http(victim: Victim, size: int, steps: int) -> Callable[[], None]:
    """The job by a client of the service: submit, wait for the end, fetch the file."""
    request = GenerationRequest(
        prompt=PROMPT, model="large", width=size, height=size, num_inference_steps=steps, guidance_scale=5.0, seed=42
    )

    def draw() -> None:
        job = victim.client.submit(request)
        for _ in victim.client.events(job.id):
            pass
        done = victim.client.job(job.id)
        assert done.state is JobState.SUCCEEDED, done.error
        victim.client.image_bytes(done.images[0].id)

    return draw


def one(name: str, folder: Path, work: Path, size: int, steps: int, pictures: int) -> dict[str, object]:
    """Run one contender in this process: seconds of each picture after the first."""
    if name in PLAIN:
        draw = plain(name, folder, work, size, steps)
        return {"seconds": [round(seconds, 3) for seconds in _timed(draw, pictures)]}
    models = work / "models"
    models.mkdir(exist_ok=True)
    (models / "large").unlink(missing_ok=True)
    (models / "large").symlink_to(folder.resolve())  # the confined process reads what lies in this folder
    catalog_toml(models, large={"title": "Large", "path": "large"})
    wish = Compute.TORCH if name.endswith("torch") else Compute.AUTO
    with tempfile.TemporaryDirectory(dir=work) as data:
        settings = {"ENGINE": "local", "MODELS_FOLDER": str(models), "DEFAULT_MODEL": "large", "COMPUTE": wish}
        (Path(data) / "data").mkdir()
        (Path(data) / "data" / "compiled").symlink_to(_made(work / "compiled by the service"))
        with Victim(Path(data), **settings) as victim:
            seconds = _timed(over_http(victim, size, steps), pictures)
    return {"seconds": [round(s, 3) for s in seconds]}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _timed(draw: Callable[[], None], pictures: int) -> list[float]:
    draw()
    times = []
    for _ in range(pictures):
        began = time.perf_counter()
        draw()
        times.append(time.perf_counter() - began)
    return times


def compare(options: argparse.Namespace, work: Path) -> dict[str, object]:
    """All contenders, each alone."""
    make_large(options.model, work / options.model)
    names = [name for name in (*PLAIN, *OURS) if not (options.model == "pixart" and "openvino" in name)]
    seconds: dict[str, list[float]] = defaultdict(list)
    loads: list[float] = []
    for number in range(options.rounds):
        for name in names if number % 2 == 0 else reversed(names):
            loads.append(round(os.getloadavg()[0], 2))
            command = [sys.executable, "-m", "benchmarks.speed", "--one", name, "--work", str(work)]
            command += ["--model", options.model, "--size", str(options.size), "--steps", str(options.steps)]
            command += ["--pictures", str(options.pictures)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=RUN_S, check=True)
            seconds[name] += json.loads(done.stdout.splitlines()[-1])["seconds"]
            print(f"{name}: {seconds[name]}", file=sys.stderr, flush=True)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    best = min((name for name in medians if name in PLAIN), key=medians.__getitem__)
    table = {
        name: {
            "median_s": round(medians[name], 3),
            "spread_s": [min(times), max(times)],
            "to_float32": round(medians[name] / medians[PLAIN[0]], 3),
            "to_best_plain": round(medians[name] / medians[best], 3),
        }
        for name, times in seconds.items()
    }
    job = f"{options.model}, {options.size} px, {options.steps} steps, guidance 5"
    return {"job": job, "best_plain": best, "contenders": table, "load": loads, "cpus": os.cpu_count()}


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), default="sd15")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--work", type=Path, help="kept; a folder of its own that is removed, if absent")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as own:
        work = options.work or Path(own)
        if options.one:
            folder = work / options.model
            print(json.dumps(one(options.one, folder, work, options.size, options.steps, options.pictures)))
        else:
            print(json.dumps(compare(options, work), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
