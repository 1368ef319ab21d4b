"""What the parts found, as JSON that is added to part by part, and as Markdown."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.machine import look_at_machine
from app.storage import Folder
from benchmarks.figures import Figure
from benchmarks.plot import svg

BEGIN, END = "<!-- figures: made by `python -m benchmarks --document` -->", "<!-- end of figures -->"
PLOT = Path("docs/images/performance.svg")
PAGE = Path("docs/performance.md")


def load() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def add(
    file: Path, part: str, figures: Sequence[Figure], before: Sequence[float], took_s: float, how: str, *, more: bool
) -> None:
    """Put what a part found into the file, in place of what it found before; with `more`, beside its other figures."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {"parts": {}}
    machine = look_at_machine(file.parent)
    found["machine"] = {"processor": machine.processor, "cores": machine.cores, "memory_bytes": machine.memory_bytes,
                        "python": platform.python_version()}  # fmt: skip
    names = {figure.name for figure in figures}
    earlier = found["parts"].get(part, {}).get("figures", []) if more else []
    found["parts"][part] = {
        "date": time.strftime("%Y-%m-%d"),
        "how": how,
        "load_before": list(before),
        "load_after": load(),
        "took_s": round(took_s, 1),
        "figures": [
            *(values for values in earlier if values["name"] not in names),
            *(_plain(figure) for figure in figures),
        ],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    Folder(file.parent).write(file.name, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def _plain(figure: Figure) -> dict[str, Any]:
    return {name: value for name, value in asdict(figure).items() if value not in (None, "")}


def line(figure: Figure) -> str:
    """One figure, for a terminal."""
    between = "" if figure.low is None or figure.high is None else f"  ({figure.low:.4g} to {figure.high:.4g})"
    verdict = {None: "", True: "  as asked", False: "  NOT AS ASKED"}[figure.holds]
    return f"  {figure.name}: {figure.value:.4g} {figure.unit}{between}{verdict}"


def document(file: Path, root: Path) -> None:
    """Write the figures of the file into docs/performance.md, and their plot beside it."""
    found = json.loads(file.read_text())
    figures = {name: [Figure(**values) for values in part["figures"]] for name, part in found["parts"].items()}
    (root / PLOT).write_text(svg([figure for each in figures.values() for figure in each]))
    machine = found["machine"]
    here = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB."
    text = [BEGIN, "", here, "", "![Ratios to plain diffusers, and curves](images/performance.svg)", ""]
    for name, part in found["parts"].items():
        about = f"load {part['load_before'][0]} before, {part['load_after'][0]} after"
        text += [f"### `{name}`", "", f"{part['date']}, {about}, {part['how']}.", ""]
        text += ["| figure | value | 95 % or 5 to 95 of 100 | asked |", "|---|---|---|---|"]
        text += [_row(figure) for figure in figures[name]]
        text += [""]
    page = (root / PAGE).read_text()
    start, end = page.index(BEGIN), page.index(END)
    (root / PAGE).write_text(page[:start] + "\n".join(text) + page[end:])


def _row(figure: Figure) -> str:
    between = "" if figure.low is None or figure.high is None else f"{figure.low:.4g} to {figure.high:.4g}"
    most = f"≤ {figure.most:g}" if figure.most is not None else ""
    asked = most or (f"≥ {figure.least:g}" if figure.least is not None else "")
    missed = " **not met**" if figure.holds is False else ""
    return f"| {figure.name} | {figure.value:.4g} {figure.unit} | {between} | {asked}{missed} |"
