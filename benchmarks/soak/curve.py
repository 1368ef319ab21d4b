"""The soak's curve as a picture: memory, descriptors and threads of each group of processes over time."""

from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.soak.samples import GROUPS, HELD

WIDTH, PANEL, LEFT, TOP = 900, 190, 70, 24
COLOURS = {"service": "#1f77b4", "engine": "#d62728", "page": "#2ca02c", "watcher": "#9467bd"}
TITLES = {"rss_mib": "memory (MiB)", "files": "descriptors", "threads": "threads"}


def draw(rows: list[dict[str, float | str]], file: Path) -> None:
    """Write a PNG with one panel for each of memory, descriptors and threads."""
    picture = Image.new("RGB", (WIDTH, PANEL * len(HELD) + 24), "white")
    pen = ImageDraw.Draw(picture)
    end = max(float(row["seconds"]) for row in rows) or 1.0
    for place, what in enumerate(HELD):
        top = place * PANEL + TOP
        bottom = top + PANEL - 48
        most = max(float(row[f"{group}_{what}"]) for row in rows for group in GROUPS) * 1.1 or 1.0
        pen.text((LEFT, top - 16), TITLES[what], "black")
        pen.rectangle((LEFT, top, WIDTH - 16, bottom), outline="#bbbbbb")
        for share in (0.0, 0.5, 1.0):
            pen.text((8, bottom - share * (bottom - top) - 6), f"{share * most:.0f}", "black")
        for group in GROUPS:
            points = [
                (LEFT + float(row["seconds"]) / end * (WIDTH - 16 - LEFT),
                 bottom - float(row[f"{group}_{what}"]) / most * (bottom - top))
                for row in rows
            ]  # fmt: skip
            pen.line(points, COLOURS[group], 2)
        pen.text((WIDTH - 90, bottom + 4), f"{end / 60:.0f} minutes", "black")
    for place, group in enumerate(GROUPS):
        pen.text((LEFT + place * 120, PANEL * len(HELD) + 4), group, COLOURS[group])
    picture.save(file, optimize=True)
