"""How quick Atelier is: `python -m benchmarks [PART …] [--full] [--json FILE] [--work FOLDER] [--document]`.

Without a part all are run, quickly. Each part adds to the JSON file, so that they may be run one by one. `--document`
writes what the file holds into docs/performance.md. The machine should be idle: its load is kept beside each figure.
"""

import os

# Before torch is imported, and the same for the plain runs and the service, which sets it itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.figures import Figure, Measure, Options
from benchmarks.large import MODELS, TINY, make_large
from tests.pipelines import catalog_toml
from tests.running import ROOT

# Part → the module whose `measure` it is.
PARTS = {
    "pocket": "benchmarks.pocket",
    "burst": "benchmarks.burst",
    "saving": "benchmarks.saving",
    "queue": "benchmarks.queue",
    "library": "benchmarks.library",
    "clients": "benchmarks.clients",
    "start": "benchmarks.start",
    "contenders": "benchmarks.contenders.compare",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and print; 1 if a figure is not as it is asked to be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if absent")
    parser.add_argument("--full", action="store_true", help="all points and many pairs: an hour instead of minutes")
    parser.add_argument("--tiny", action="store_true", help="as little as runs at all, to try the scripts")
    parser.add_argument("--json", type=Path, help="where the figures are added; in the work folder if absent")
    parser.add_argument("--work", type=Path, help="kept; a folder of its own that is removed, if absent")
    parser.add_argument("--model", default="pocket", help="key of the model that draws quickly")
    parser.add_argument("--large", choices=sorted(MODELS), default="sd15", help="the pipeline of real size")
    parser.add_argument("--size", type=int, default=256, help="side of its pictures")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--only", action="append", default=[], help="of the contenders, this one; may be given again")
    parser.add_argument("--document", action="store_true", help="only write docs/performance.md from the file")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}; allowed is {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="atelier-benchmarks-") as own:
        work = (given.work or Path(own)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        file = (given.json or work / "figures.json").resolve()
        if given.document:
            report.document(file, ROOT)
            return 0
        options = Options(
            work, ROOT / "models", given.model, given.full, given.tiny, given.large, given.size, given.steps,
            tuple(given.only),
        )  # fmt: skip
        figures = [figure for part in given.parts or PARTS for figure in _run(part, _tiny(options), file)]
    return 1 if any(figure.holds is False for figure in figures) else 0


def _run(part: str, options: Options, file: Path) -> list[Figure]:
    measure: Measure = importlib.import_module(PARTS[part]).measure
    before, began = report.load(), time.monotonic()
    print(f"{part}, load {before[0]}", flush=True)
    figures = []
    for figure in measure(options):
        print(report.line(figure), flush=True)
        figures.append(figure)
    name = part if part != "contenders" else f"contenders {options.large}"
    how = f"{options.pairs} pairs at most" if part in ("pocket", "contenders") else "as it comes"
    if part == "contenders":
        how += f", {options.size} px, {options.steps} steps, guidance 5, random weights"
    report.add(file, name, figures, before, time.monotonic() - began, how, more=bool(options.only))
    return figures


def _tiny(options: Options) -> Options:
    """With `tiny`, a model of a few thousand weights in the place of both."""
    if not options.tiny:
        return options
    models = options.work / "tiny-models"
    models.mkdir(exist_ok=True)
    make_large(TINY, models / TINY)
    catalog_toml(models, tiny={"title": "Tiny", "path": TINY, "width": 64, "height": 64, "num_inference_steps": 2})
    values = {"models": models, "model": TINY, "large": TINY, "size": 64, "steps": 2}
    return Options(**{**vars(options), **values})


if __name__ == "__main__":
    sys.exit(main())
