"""The soak: `python -m benchmarks.soak [--minutes 60] [--engine test] [--csv FILE] [--page]`.

A service, a page, a drop folder and a browser are used through every door at once; in the first half their processes
are killed and the disk is filled, each at least three times; in the second half nothing is broken and nothing may
grow. Afterwards the history is checked: every accepted job ended once, with each of its pictures. Status 1 if not.
`--page` writes the curve and the figures into docs/soak.md.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.soak.curve import draw
from benchmarks.soak.run import Outcome, soak
from benchmarks.soak.samples import Drift
from tests.running import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print the figures; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--engine", choices=("test", "local"), default="test", help="local: the shipped model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=Path, default=Path("soak.csv"))
    parser.add_argument("--page", action="store_true", help="write docs/soak.md and docs/images/soak.png")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        outcome = soak(
            Path(name), minutes=options.minutes, seed=options.seed, csv=options.csv, engine=options.engine
        )  # fmt: skip
    text = _figures(outcome, options.minutes, options.engine)
    print(text)
    draw(outcome.rows, options.csv.with_suffix(".png"))
    if options.page:
        draw(outcome.rows, ROOT / "docs" / "images" / "soak.png")
        (ROOT / "docs" / "soak.md").write_text(text, "utf-8")
    for line in outcome.wrong:
        print(line, file=sys.stderr)
    return int(bool(outcome.wrong) or not all(drift.flat for drift in outcome.drifts))


def _figures(outcome: Outcome, minutes: float, engine: str) -> str:
    words = {"test": "the fast test engine and three models that take turns", "local": "the shipped model"}[engine]
    back = sorted(outcome.back_s)
    states = ", ".join(f"{count} {state}" for state, count in sorted(outcome.states.items()))
    ways = ", ".join(f"{way} {count}x" for way, count in sorted(outcome.broken.items()))
    filled = " and the disk was filled" if outcome.full_disk else ""
    lines = [
        "# Soak\n",
        f"`python -m benchmarks.soak --minutes {minutes:g} --engine {engine} --page` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{words}, every door and a browser at once. In the first half processes were killed{filled}, in the second "
        "nothing was broken.\n",
        "![memory, descriptors and threads over time](images/soak.png)\n",
        f"- Jobs: {states}; none failed, was lost or doubled; {outcome.browser_pictures} came from the browser.",
        f"- Broken: {ways}. Each of these took {statistics.median(back):.1f} s in the middle and {back[-1]:.1f} s at "
        "most, from finding something to break until all took work again (a full disk is full for 6 s).",
        f"- Calls: {sum(outcome.done.values())} done, {sum(outcome.put_off.values())} put off by a service that was "
        f"away, full or busy, {len(outcome.wrong)} wrong.",
        "- Prompt files whose picture was deleted in the library before it was delivered, which their error files "
        f"say: {outcome.undelivered}.",
        f"- Files that crashed attempts had left and the janitor removed: {outcome.orphans}.\n",
        "While nothing was broken, the middle value of the first quarter against that of the last:\n",
        "| | at first | at last | flat |\n|---|---|---|---|",
        *(_line(drift) for drift in outcome.drifts),
        "",
    ]
    return "\n".join(lines)


def _line(drift: Drift) -> str:
    name = drift.column.replace("rss_mib", "MiB").replace("_", ", ")
    return f"| {name} | {drift.first:.0f} | {drift.last:.0f} | {'yes' if drift.flat else '**no**'} |"


if __name__ == "__main__":
    sys.exit(main())
