"""A grid as a table: the values beside the pictures, how far it is, and what can be done with it."""

from typing import Any

from app.core.grids import Grid, GridAxis, GridCell, GridRequest
from app.ui.form import named
from app.ui.markup import Markup, action, badge, icon, join, notice
from app.ui.strings import Words
from app.ui.views.pictures import facts, facts_list, thumbnail_url, zoomable

SMALL = 256  # pixels of a thumbnail
MAX_LABEL_CHARS = 200


def grid_page(grid: Grid | None, words: Words) -> Markup:
    """One grid, or a sentence that there is none."""
    if grid is None:
        return notice(words("grid_none"))
    about = words("grid_done", done=grid.done, of=grid.of)
    head = Markup('<p class="at-situation">{}{}</p><p class="at-prompt">{}</p>{}').format(
        badge(words(f"state_{grid.state}"), grid.state),
        about,
        grid.request.prompt,
        facts_list(facts(_shared(grid), None, words)),
    )
    errors = dict.fromkeys(cell.error.message for cell in grid.cells if cell.error)
    told = join(notice(words.told(text), "bad") for text in errors)
    tables = join(_table(grid, z, words) for z in range(len(grid.z.values) if grid.z else 1))
    return Markup('<section class="at-card" data-grid="{}" data-state="{}">{}{}{}{}</section>').format(
        grid.id, grid.state, head, told, _buttons(grid, words), tables
    )


def grid_title(grid: Grid, words: Words) -> str:
    """One line for the list of grids."""
    axes = " × ".join(named(axis.name, words) for axis in grid.asked().axes)
    about = [f"{grid.created_at:%Y-%m-%d %H:%M:%S}", axes, words.count("pictures", grid.of), grid.request.prompt[:60]]
    return " · ".join(about)


def axis_values(axis: GridAxis) -> str:
    """The values as they are typed."""
    return axis.values if isinstance(axis.values, str) else ", ".join(_typed(value) for value in axis.values)


def grid_button(asked: GridRequest, words: Words) -> Markup:
    """Makes the grid that a sheet says. The grid travels in the button; the service checks it like any other."""
    data: dict[str, object] = {"grid": asked.model_dump_json()}
    return action("make-grid", words("grid_again"), picture="variations", data=data)


def _shared(grid: Grid) -> dict[str, Any]:
    """What all cells have alike."""
    varied = {axis.name for axis in grid.asked().axes}
    varied |= {"width"} if "size" in varied else set()
    return {name: value for name, value in grid.request.model_dump().items() if name not in varied}


def _table(grid: Grid, z: int, words: Words) -> Markup:
    cells = {(cell.x, cell.y): cell for cell in grid.cells if cell.z == z}
    title = Markup("<caption>{}</caption>").format(_label(grid.z, z, words)) if grid.z else Markup("")
    columns = range(len(grid.x.values))
    head = join(Markup('<th scope="col">{}</th>').format(_label(grid.x, x, words)) for x in columns)
    rows = join(
        Markup("<tr>{}{}</tr>").format(
            Markup('<th scope="row">{}</th>').format(_label(grid.y, y, words)) if grid.y else "",
            join(_cell(cells.get((x, y)), grid, words) for x in columns),
        )
        for y in range(len(grid.y.values) if grid.y else 1)
    )
    corner = Markup("<td></td>") if grid.y else Markup("")
    return Markup('<div class="at-xyz"><table>{}<thead><tr>{}{}</tr></thead><tbody>{}</tbody></table></div>').format(
        title, corner, head, rows
    )


def _cell(cell: GridCell | None, grid: Grid, words: Words) -> Markup:
    if cell is not None and cell.image is not None:
        prompt = ", ".join([grid.request.prompt, *_where(cell, grid, words)])
        picture = zoomable(cell.image, prompt, words, source=thumbnail_url(cell.image.id, SMALL))
        return Markup("<td>{}</td>").format(picture)
    state = cell.state if cell is not None else None
    text = words(f"state_{state}") if state else words("grid_gone")
    return Markup('<td><span class="at-quiet">{}</span></td>').format(text)


def _where(cell: GridCell, grid: Grid, words: Words) -> list[str]:
    places = zip(grid.asked().axes, (cell.x, cell.y, cell.z), strict=False)
    return [_label(axis, place, words) for axis, place in places]


def _label(axis: GridAxis | None, place: int, words: Words) -> str:
    if axis is None:
        return ""
    value = axis.values[place]
    if isinstance(value, str):
        return value[:MAX_LABEL_CHARS]
    return (
        f"{named(axis.name, words)}: {value:g}" if isinstance(value, float) else f"{named(axis.name, words)}: {value}"
    )


def _buttons(grid: Grid, words: Words) -> Markup:
    data: dict[str, object] = {"id": grid.id}
    sheet = Markup('<a class="at-button at-plain" href="{}" download="{}">{}<span>{}</span></a>').format(
        f"atelier/grid/{grid.id}.png", f"atelier-grid-{grid.id[:8]}.png", icon("download"), words("grid_download")
    )
    use = action("use", words("use_as_settings"), picture="reuse", data=data)
    if not grid.state.finished:
        stop = action("cancel", words("cancel"), picture="stop", kind="stop", data=data)
        return Markup('<div class="at-row">{}{}{}</div>').format(stop, sheet if grid.done else "", use)
    missing = action("again", words("grid_go_on"), picture="reuse", data=data) if grid.done < grid.of else ""
    return Markup('<div class="at-row">{}{}{}</div>').format(missing, sheet, use)


def _typed(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\n') else text
