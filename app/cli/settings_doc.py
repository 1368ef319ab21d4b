"""`settings-doc`: docs/settings.md, made from the Settings class."""

from enum import Enum
from pathlib import Path
from typing import Any

import typer

from app.core.settings import PROJECT_FOLDER, Settings

HEAD = """# Settings

Every setting is an environment variable, read once when a program starts. This page is made by
`python -m app settings-doc > docs/settings.md`.

| variable | default | what it does |
|---|---|---|
"""
TAIL = """
Lists are separated by commas. The proxy variables `http_proxy`, `https_proxy` and `no_proxy` are used for downloads
only, never for the service's own address. `HF_HOME` says where the model hub's files are kept.
"""


def settings_doc() -> None:
    """Print docs/settings.md."""
    typer.echo(document(), nl=False)


def document() -> str:
    """The whole page as Markdown."""
    rows = [
        f"| {_variables(name)} | {_default(info.default)} | {info.description} |"
        for name, info in Settings.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n" + TAIL


def _variables(name: str) -> str:
    return " or ".join(f"`{variable}`" for variable in Settings.variables(name))


def _default(value: Any) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, Path):
        # Never the path of the machine that wrote the page.
        value = value.relative_to(PROJECT_FOLDER)
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value.value if isinstance(value, Enum) else value}`"
