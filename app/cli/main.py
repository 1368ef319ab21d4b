"""All commands in one place, and what a person sees when one fails."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app import __version__
from app.cli import (
    describe,
    doctor,
    entry,
    generate,
    grid,
    inspect,
    jobs,
    library,
    models,
    models_doc,
    settings_doc,
    styles,
    ui,
    upscale,
    watch,
)
from app.cli.common import failure_lines, print_json
from app.cli.examples import examples
from app.core.errors import AtelierError


def build() -> typer.Typer:
    """The whole command line. A new command is one line here."""
    app = typer.Typer(
        name="atelier",
        help="Atelier, a self-hosted text-to-image studio.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_common)
    app.command("generate", epilog=examples("generate"))(generate.generate)
    app.command("grid", epilog=examples("grid"))(grid.grid)
    app.command("styles", epilog=examples("styles"))(styles.styles)
    app.command("upscale", epilog=examples("upscale"))(upscale.upscale)
    app.command("describe", epilog=examples("describe"))(describe.describe)
    app.add_typer(jobs.build(), name="jobs")
    app.add_typer(models.build(), name="models")
    app.add_typer(library.build(), name="library")
    app.command("inspect", epilog=examples("inspect"))(inspect.inspect)
    app.command("backup", epilog=examples("backup"))(entry.backup)
    app.command("restore", epilog=examples("restore"))(entry.restore)
    app.command("watch", epilog=examples("watch"))(watch.watch)
    app.command(
        "ui", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )(ui.ui)
    app.command("doctor", epilog=examples("doctor"))(doctor.doctor)
    app.command("models-doc", hidden=True)(models_doc.models_doc)
    app.command("settings-doc", hidden=True)(settings_doc.settings_doc)
    app.command("port-owner", hidden=True)(doctor.port_owner)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 = done, 1 = refused or failed, 2 = used wrongly, 130 = interrupted."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        build()(args=given, prog_name=_own_name())
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except AtelierError as error:
        if "--json" in given:
            print_json({"error": error.as_dict() | {"errors": getattr(error, "errors", ())}})
        else:
            for line in failure_lines(error):
                typer.echo(line, err=True)
        return 1
    except BrokenPipeError:
        return 1  # `| head` has seen enough
    return 0


def _own_name() -> str:
    """What a person typed: the installed command, or the module."""
    return "atelier" if Path(sys.argv[0]).stem == "atelier" else "python -m app"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself."""
