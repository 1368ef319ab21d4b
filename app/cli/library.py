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
    app.command("trash", epilog=examples("library trash"))(trash)
    app.command("restore", epilog=examples("library restore"))(restore)
    app.command("rebuild", epilog=examples("library rebuild"))(rebuild)
    return app


def search(
    words: Annotated[str | None, typer.Argument(help="Words of the prompt; all pictures if absent.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only of this model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only with this seed.")] = None,
    favourites: Annotated[bool, typer.Option("--favourites", help="Only favourites.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    oldest: Annotated[bool, typer.Option("--oldest", help="Oldest first.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Find pictures by the words of their prompt, newest first."""
    with connect(url, key) as client:
        order = "oldest" if oldest else None
        found, more = client.images(words, favourites or None, model, seed, limit=limit, order=order)
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
    forever: Annotated[bool, typer.Option("--forever", help="Not into the trash: they cannot be had back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Delete pictures. They are in the trash for some days (ATELIER_TRASH_DAYS) if not deleted --forever."""
    with connect(url, key) as client:
        days = client.status().trash_days
        gone = forever or not days
        if not yes:
            typer.confirm(f"Delete {len(ids)} picture(s)" + (" for good?" if gone else "?"), abort=True)
        for id in ids:
            client.image(id)  # deleting twice is fine for programs; a person mistyped
            client.delete_image(id, forever=forever)
            typer.echo(f"{id}: deleted" if gone else f"{id}: in the trash for {days:g} days")


def trash(
    empty: Annotated[bool, typer.Option("--empty", help="Remove all of it for good.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """List deleted pictures that can still be had back, the latest first, or empty the trash."""
    with connect(url, key) as client:
        if empty:
            if not yes:
                typer.confirm("Remove for good what is in the trash?", abort=True)
            typer.echo(f"{client.empty_trash()} picture(s) removed")
            return
        found, _ = client.trash()
    if as_json:
        print_json(found)
        return
    print_table(("id", "deleted", "model", "prompt"), ((i.id, i.deleted_at, i.model, i.prompt) for i in found))


def restore(
    ids: Annotated[list[str], typer.Argument(help="The pictures' ids.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Have deleted pictures back from the trash."""
    with connect(url, key) as client:
        for id in ids:
            client.restore_image(id)
            typer.echo(f"{id}: back in the library")


def rebuild() -> None:
    """Restore the library's entries from the PNG files alone. Run it on the service's machine; the service may run."""
    run_service("--rebuild-library")
