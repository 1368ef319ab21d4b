"""`models`: which there are, which are on this machine, and which are in memory."""

import time
from typing import Annotated

import typer
from rich.console import Console

from app.cli.common import INTERRUPTED, JsonOption, KeyOption, UrlOption, connect, print_json, print_table, shown_size
from app.cli.examples import examples
from app.cli.progress import DownloadProgress
from app.core.errors import ServiceError
from app.core.hub_links import model_named
from app.core.models import ModelInfo, Presence

POLL_S = 0.3


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="List, download, load and unload models.", no_args_is_help=True)
    app.command("list", epilog=examples("models list"))(list_models)
    app.command("load", epilog=examples("models load"))(load_model)
    app.command("unload", epilog=examples("models unload"))(unload_model)
    app.command("download", epilog=examples("models download"))(download_model)
    app.command("clean", epilog=examples("models clean"))(clean_models)
    return app


def list_models(as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """List the models that the service knows."""
    with connect(url, key) as client:
        found = client.models()
    if as_json:
        print_json(found)
        return
    rows = (
        (item.key, ", ".join(item.kinds), state_of(item), shown_size(item.size_bytes), item.licence, item.best_for)
        for item in found
    )
    print_table(("key", "does", "state", "size", "licence", "best for"), rows, cut=2)


def load_model(
    key_of_model: Annotated[str, typer.Argument(metavar="KEY", help="Catalog key.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Load a model and wait until it is there."""
    console = Console(stderr=True)
    with connect(url, key) as client, console.status("loading …") as line:
        model = client.load_model(key_of_model)
        while state_of(model) not in ("loaded", "failed"):
            time.sleep(POLL_S)
            model = client.model(key_of_model)
            line.update(f"{state_of(model)} …")
    if state_of(model) == "failed":
        error = model.error
        message = error.message if error else "The model could not be loaded."
        raise ServiceError(message, hint=error.hint if error else None)
    typer.echo(f"{key_of_model} is loaded.")


def unload_model(
    key_of_model: Annotated[str, typer.Argument(metavar="KEY", help="Catalog key.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Free a model's memory."""
    with connect(url, key) as client:
        client.unload_model(key_of_model)
    typer.echo(f"{key_of_model} is unloaded.")


def download_model(
    key_of_model: Annotated[
        str, typer.Argument(metavar="KEY", help="Catalog key, hub id (owner/name), or its page's address.")
    ],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Download a model from the hub, or go on with it, and wait until it is there.

    Ctrl-C stops the download; what arrived is kept, and the same command goes on with it.
    """
    key_of_model = model_named(key_of_model)
    with connect(url, key) as client:
        model = client.download_model(key_of_model)
        try:
            with DownloadProgress(key_of_model) as bar:
                while not _is_over(model):
                    bar.show(model)
                    time.sleep(POLL_S)
                    model = client.model(key_of_model)
        except KeyboardInterrupt:
            client.cancel_download(key_of_model)
            there = shown_size(client.model(key_of_model).bytes_on_disk)
            typer.echo(f"Stopped; {there} are kept. Go on with: python -m app models download {key_of_model}", err=True)
            raise typer.Exit(INTERRUPTED) from None
    error = model.download.error if model.download else None
    if error:
        raise ServiceError(error.message, code=error.code, hint=error.hint)
    if model.files is not Presence.COMPLETE:
        raise ServiceError("The download was cancelled.", hint="The same command goes on with it.")
    typer.echo(f"{key_of_model} is downloaded ({shown_size(model.bytes_on_disk)}).")


def clean_models(
    key_of_model: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="One model; all that are there in part if absent.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Remove what interrupted downloads left. Complete models stay."""
    with connect(url, key) as client:
        keys = [key_of_model] if key_of_model else _partial(client.models())
        freed = {name: client.clean_model(name) for name in keys}
    for name, size in freed.items():
        typer.echo(f"{name}: {shown_size(size) if size else 'nothing'} removed.")
    if not freed:
        typer.echo("There is nothing to clean.")


def _partial(models: list[ModelInfo]) -> list[str]:
    """Those that are there in part and not being downloaded right now."""
    return [item.key for item in models if item.files is Presence.PARTIAL and not item.downloading]


def _is_over(model: ModelInfo) -> bool:
    return model.download is None or model.download.state == "failed"


def state_of(model: ModelInfo) -> str:
    """How a model is, in a word or two."""
    if model.download and model.download.running:
        return f"{model.download.state} {_amount(model)}"
    if model.files is Presence.PARTIAL:
        return f"partial {_amount(model)}"
    if not model.installed and model.state == "unloaded":
        return "not installed"
    return model.state


def _amount(model: ModelInfo) -> str:
    """`1.2 GiB of 6.5 GiB`, as far as it is known."""
    done, of = model.bytes_on_disk, (model.download and model.download.of) or model.size_bytes
    return f"{shown_size(done)} of {shown_size(of)}" if of else shown_size(done)
