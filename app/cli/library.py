"""`library`: the saved pictures."""

from typing import Annotated

import typer

from app.cli.common import JsonOption, KeyOption, UrlOption, connect, print_json, print_table
from app.cli.entry import run_service
from app.cli.examples import examples


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="Search, mark, delete and restore saved pictures.", no_args_is_help=True)
    app.command("search", epilog=examples("library search"))(search)
    app.command("favourite", epilog=examples("library favourite"))(favourite)
    app.command("delete", epilog=examples("library delete"))(delete)
    app.command("rebuild", epilog=examples("library rebuild"))(rebuild)
    return app


def search(
    words: Annotated[str | None, typer.Argument(help="Words of the prompt; all pictures if absent.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only of this model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only with this seed.")] = None,
    favourites: Annotated[bool, typer.Option("--favourites", help="Only favourites.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Find pictures by the words of their prompt, newest first."""
    with connect(url, key) as client:
        found, more = client.images(words, favourites or None, model, seed, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = (
        (image.id, "★" if image.favourite else "", image.created_at, image.model, image.seed, image.prompt)
        for image in found
    )
    print_table(("id", "★", "made", "model", "seed", "prompt"), rows)
    if more:
        typer.echo(f"There are more than these {limit}; see --limit.", err=True)


def favourite(
    ids: Annotated[list[str], typer.Argument(help="The pictures' ids.")],
    off: Annotated[bool, typer.Option("--off", help="Take the mark away.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Mark pictures as favourites."""
    with connect(url, key) as client:
        for id in ids:
            client.set_favourite(id, not off)


def delete(
    ids: Annotated[list[str], typer.Argument(help="The pictures' ids.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Delete pictures: file, thumbnail and entry. This cannot be undone."""
    if not yes:
        typer.confirm(f"Delete {len(ids)} picture(s) for good?", abort=True)
    with connect(url, key) as client:
        for id in ids:
            client.image(id)  # deleting twice is fine for programs; a person mistyped
            client.delete_image(id)
            typer.echo(f"{id}: deleted")


def rebuild() -> None:
    """Restore the library's entries from the PNG files alone. Run it on the service's machine; the service may run."""
    run_service("--rebuild-library")
