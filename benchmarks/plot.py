"""The figures as one SVG: bars for the ratios to plain diffusers, and a small plot for each curve."""

import math
from collections.abc import Sequence
from html import escape

from benchmarks.figures import Figure

WIDTH, BAR, TOP = 760, 22, 30
CELL_WIDTH, CELL_HEIGHT, ACROSS = 250, 150, 3
INK, LINE, FILL = "#334", "#99a", "#3b6ea8"
STYLE = f"text{{font:12px sans-serif;fill:{INK}}}.small{{font-size:10px}}"


def svg(figures: Sequence[Figure]) -> str:
    """The drawing, as text that is the same for the same figures."""
    bars = [figure for figure in figures if " ÷ " in figure.name]
    curves: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.curve and figure.at:
            curves.setdefault(figure.curve, []).append(figure)
    drawn = {name: points for name, points in curves.items() if len(points) > 1}
    below = TOP + BAR * len(bars) + 20
    rows = math.ceil(len(drawn) / ACROSS)
    height = below + rows * CELL_HEIGHT + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"><style>{STYLE}</style>',
             f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>']  # fmt: skip
    parts += _bars(bars)
    for place, (name, points) in enumerate(drawn.items()):
        x, y = place % ACROSS * CELL_WIDTH, below + place // ACROSS * CELL_HEIGHT
        parts += _curve(name, sorted(points, key=lambda point: point.at or 0), x, y)
    return "\n".join([*parts, "</svg>", ""])


def _bars(figures: Sequence[Figure]) -> list[str]:
    most = max([1.0, *(figure.high or figure.value for figure in figures)])
    left, scale = 400, (WIDTH - 480) / most
    parts = [f'<text class="small" x="{left}" y="14">time ÷ time: shorter is quicker</text>'] if figures else []
    for number, figure in enumerate(figures):
        y = TOP + number * BAR
        parts.append(f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{escape(figure.name)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{figure.value * scale:.1f}" height="14" fill="{FILL}"/>')
        if figure.low is not None and figure.high is not None:
            ends = f'x1="{left + figure.low * scale:.1f}" x2="{left + figure.high * scale:.1f}"'
            parts.append(f'<line {ends} y1="{y + 7}" y2="{y + 7}" stroke="{INK}"/>')
        end = left + (figure.high or figure.value) * scale + 6
        parts.append(f'<text x="{end:.1f}" y="{y + 11}">{figure.value:.2f}</text>')
    if figures:
        one = left + scale
        bottom = TOP + BAR * len(figures)
        parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 6}" y2="{bottom}" stroke="{LINE}"/>')
    return parts


def _curve(name: str, points: Sequence[Figure], x: int, y: int) -> list[str]:
    """Both axes are logarithmic; the ends of both are written on them."""
    across = [math.log(point.at or 1) for point in points]
    up = [math.log(max(point.value, 1e-6)) for point in points]
    wide, tall = max(across) - min(across) or 1, max(up) - min(up) or 1
    left, width, top, height = x + 50, CELL_WIDTH - 70, y + 28, CELL_HEIGHT - 60
    places = [
        (left + (a - min(across)) / wide * width, top + height - (b - min(up)) / tall * height)
        for a, b in zip(across, up, strict=True)
    ]
    parts = [f'<text class="small" x="{x + 10}" y="{y + 14}">{escape(name)}</text>']
    parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="{LINE}"/>')
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{FILL}" stroke-width="2"/>')
    parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{FILL}"/>' for a, b in places]
    values = [point.value for point in points]
    parts.append(f'<text class="small" x="{left - 4}" y="{top + 8}" text-anchor="end">{max(values):.3g}</text>')
    parts.append(f'<text class="small" x="{left - 4}" y="{top + height}" text-anchor="end">{min(values):.3g}</text>')
    parts.append(f'<text class="small" x="{left}" y="{top + height + 12}">{points[0].at:g}</text>')
    end = f'x="{left + width}" y="{top + height + 12}" text-anchor="end"'
    parts.append(f'<text class="small" {end}>{points[-1].at:g}</text>')
    return parts
