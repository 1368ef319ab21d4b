"""Importing this imports Gradio, in two thirds of the time; it must come before any other import of Gradio.

For each of its sixty component classes Gradio writes an interface file for editors beside its own source, at every
import: it parses the class twice and fills a template, in all about a second (`create_or_modify_pyi` in its
component_meta.py, 6.31). A class whose source file cannot be found is left out, so during the import none is found.
"""

import importlib
import inspect
from typing import Any


def _import_gradio() -> None:
    find = inspect.getfile

    def find_nothing_of_gradio(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("no interface file is needed")
        return find(thing)

    inspect.getfile = find_nothing_of_gradio  # type: ignore[assignment]  # narrower than the original's
    try:
        importlib.import_module("gradio")
    finally:
        inspect.getfile = find


_import_gradio()
