"""`grid`: one picture for each combination of values, and a sheet of all of them."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import INTERRUPTED, JsonOption, KeyOption, UrlOption, connect, print_json, shown
from app.cli.pictures import OverwriteOption, check_free
from app.cli.progress import GridProgress
from app.cli.starts import read_picture, start_fields
from app.client import ImageServiceClient
from app.core.errors import CallerError, ServiceError
from app.core.grids import Grid
from app.core.schema import JobState

AXIS = "NAME=VALUES, like steps=1,2,4 or seed=1-3 or cfg=1-7(+2) or prompt_sr=red,blue"


def grid(
    prompt: Annotated[str, typer.Argument(help="What the pictures show; not with --sheet.")] = "",
    x: Annotated[str | None, typer.Option("--x", help=f"The columns: {AXIS}.")] = None,
    y: Annotated[str | None, typer.Option("--y", help="The rows, likewise.")] = None,
    z: Annotated[str | None, typer.Option("--z", help="A table for each value, likewise.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Make the grid of this sheet again; no other option.")] = None,
    negative_prompt: Annotated[str, typer.Option("--negative-prompt", help="What they must not show.")] = "",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Catalog key; see `models list`.")] = None,
    num_inference_steps: Annotated[
        int | None, typer.Option("--num-inference-steps", "--steps", help="Denoising steps.")
    ] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance-scale", "--cfg", help="How closely to follow the prompt.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    seed: Annotated[int, typer.Option(help="-1 = random, the same for all pictures.")] = -1,
    scheduler: Annotated[str | None, typer.Option(help="Sampler, by its A1111 or diffusers name.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="Picture to start from: PNG, JPEG or WebP.")] = None,
    mask: Annotated[Path | None, typer.Option(help="With --from: white where it is to be made anew.")] = None,
    strength: Annotated[float | None, typer.Option(help="With --from: how far to leave it, 0 to 1.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="FILE.png for the sheet.")] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Make a table of pictures and write its sheet; its path is printed. Ctrl-C cancels what is left.

    The names of the axes are the API's fields (`steps`, `cfg` and `sampler` will do), `size` (128x96,96x128), and
    `prompt_sr`, which searches for the first value in the prompt and replaces it by each.
    """
    if out is not None and not overwrite:
        check_free([out])
    with connect(url, key) as client:
        if sheet is not None:
            asked = _asked_by(client, sheet)
        else:
            if not prompt.strip() or x is None:
                raise typer.BadParameter("a prompt and --x are needed, or --sheet.")
            values = {
                "negative_prompt": negative_prompt,
                "model": model,
                "num_inference_steps": num_inference_steps,
                "guidance_scale": guidance_scale,
                "width": width,
                "height": height,
                "scheduler": scheduler,
                **start_fields(client, [start] if start else [], mask, strength, None),
            }
            given = {name: value for name, value in values.items() if value is not None}
            asked = {"request": {"prompt": prompt, "seed": seed, **given}}
            asked |= {name: _axis(text, f"--{name}") for name, text in (("x", x), ("y", y), ("z", z)) if text}
        made = _made(client, asked, quiet=as_json)
        file = out or Path(f"grid-{made.id[:8]}.png")
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        unfinished.write_bytes(client.sheet(made.id))
        unfinished.replace(file)
    if as_json:
        print_json(made.model_dump(mode="json") | {"file": str(file.absolute())})
    else:
        typer.echo(file.absolute())


def _axis(text: str, option: str) -> dict[str, str]:
    name, equals, values = text.partition("=")
    if not equals or not values.strip():
        raise typer.BadParameter(f"{text!r} is no axis; it is {AXIS}.", param_hint=option)
    return {"name": name.strip(), "values": values}


def _asked_by(client: ImageServiceClient, sheet: Path) -> dict[str, Any]:
    found = client.inspect(read_picture(sheet, "--sheet"))
    if found.grid is None:
        raise CallerError(f"{sheet} is not the sheet of a grid.")
    return found.grid.model_dump(mode="json")


def _made(client: ImageServiceClient, asked: dict[str, Any], *, quiet: bool) -> Grid:
    """The grid when all its jobs are over. Raises what became of it if not all pictures are there."""
    grid = client.submit_grid(asked)
    try:
        with GridProgress(grid, quiet=quiet) as progress:
            for cell in grid.cells:
                if cell.state is not None and not cell.state.finished:
                    client.wait(cell.job_id)
                    progress.one_more()
    except KeyboardInterrupt:
        grid = client.cancel_grid(grid.id)
        typer.echo(f"Grid {shown(grid.id)} is cancelled; {grid.done} of {grid.of} pictures are done.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    grid = client.grid(grid.id)
    failed = next((cell.error for cell in grid.cells if cell.error), None)
    if failed is not None:
        raise ServiceError(failed.message, code=failed.code, hint=failed.hint)
    if grid.state is not JobState.SUCCEEDED:
        raise CallerError(f"Grid {grid.id} was {grid.state} by somebody else.")
    return grid
