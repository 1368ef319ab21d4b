"""`ui`: the web page. It becomes a process of its own, so that no other command pays for importing Gradio."""

import os
import sys

import typer


def ui(context: typer.Context) -> None:
    """Serve the web page until Ctrl-C. `ui --help` shows its options."""
    os.execv(sys.executable, [sys.executable, "-m", "app.ui", *context.args])  # noqa: S606 (our own module, no shell)
