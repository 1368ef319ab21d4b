"""`models`: which there are, and which are in memory."""

import time
from typing import Annotated, Any

import typer
from rich.console import Console

from app.cli.common import JsonOption, KeyOption, UrlOption, connect, print_json, print_table, shown_size
from app.core.errors import ServiceError

POLL_S = 0.3


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="List, load and unload models.", no_args_is_help=True)
    app.command("list")(list_models)
    app.command("load")(load_model)
    app.command("unload")(unload_model)
    return app


def list_models(as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """List the models that the service knows."""
    with connect(url, key) as client:
        found = client.models()
    if as_json:
        print_json(found)
        return
    rows = (
        (item["key"], state_of(item), shown_size(item.get("size_bytes")), item.get("licence"), item.get("best_for"))
        for item in found
    )
    print_table(("key", "state", "size", "licence", "best for"), rows)


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
        error = model.get("error") or {}
        raise ServiceError(error.get("message") or "The model could not be loaded.", hint=error.get("hint"))
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


def state_of(model: dict[str, Any]) -> str:
    """How a model is, in a word or two."""
    if model.get("installed") is False and model.get("state") == "unloaded":
        return "not installed"
    return str(model.get("state") or "unknown")
