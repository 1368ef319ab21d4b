"""Measure a model: python training/pocket/evaluate.py --model models/pocket

Draws compositions that training never saw, lets judge.py look at the pictures, prints a table, and writes contact
sheets and the figures as JSON (from which card.py writes the model card). What real scenes score stands beside what the
model scores. `--only` runs some of the parts; `--prompts 8` is a look in minutes, the default takes about an hour.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import measures
from model import Model, Served
from seer import load_seer
from sheets import write_sheets

STEPS, GUIDANCE = 2, 1.5  # the page's defaults
Rows = dict[str, dict[str, float]]


def parts(model: Model, given: argparse.Namespace) -> dict[str, Callable[[], Rows]]:
    """Name -> what measures it."""
    count = given.prompts
    few = max(4, count // 5)

    def likeness() -> Rows:
        seer = load_seer(given.seer, 40 * count)
        return measures.likeness(model, seer, count, random.Random(5))

    def service() -> Rows:
        served = Served(given.served)
        rows = measures.shapes(served, max(4, few // 2), random.Random(7))
        seconds = served.seconds(measures.said(measures.open_scenes(8, random.Random(8))))
        return rows | {"seconds a picture through Atelier": {"seconds": seconds}}

    return {
        "follows": lambda: measures.follows(model, count, random.Random(1)),
        "two": lambda: measures.two_things(model, few * 2, random.Random(2)),
        "counts": lambda: measures.counts_and_sides(model, few, random.Random(3)),
        "seeds": lambda: measures.seeds(model, few, random.Random(4)),
        "likeness": likeness,
        "settings": lambda: measures.settings(model, max(4, few // 2), random.Random(6)),
        "service": service,
        "outside": lambda: measures.outside_world(model, min(100, 2 * count)),
        "negative": lambda: measures.negative_prompts(Served(given.served), few, random.Random(9)),
        "size": lambda: {"the model": {"native side": float(model.side), "megabytes": model.megabytes()}},
    }


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/pocket"))
    parser.add_argument("--served", default="pocket", help="what Atelier calls this model")
    parser.add_argument("--prompts", type=int, default=100, help="of the largest part; others draw fewer")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--only", nargs="*", metavar="PART", help="see parts()")
    parser.add_argument("--seer", type=Path, default=Path("seer.pt"), help="the classifier, learned when it is missing")
    parser.add_argument("--sheets", type=Path, help="write the contact sheets into this folder")
    parser.add_argument("--figures", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    model = Model(given.model, given.steps, given.guidance)
    if given.sheets:
        write_sheets(model, given.sheets)
    known = parts(model, given)
    if wrong := set(given.only or ()) - set(known):
        parser.error(f"--only: {', '.join(sorted(wrong))} is not a part; parts are {', '.join(known)}")
    rows: Rows = {}
    for name in known if given.only is None else given.only:
        measured = known[name]()
        rows |= measured
        for label, values in measured.items():
            print(f"{label:42}" + "   ".join(f"{key} {value:.2f}" for key, value in values.items()), flush=True)
    if given.figures:
        given.figures.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))  # Atelier itself
    main()
