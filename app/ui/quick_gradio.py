"""Importing this imports Gradio, in half of the time; it must come before any other import of Gradio.

For each of its sixty component classes Gradio writes an interface file for editors beside its own source, at every
import: it parses the class twice and fills a template, in all about a second (`create_or_modify_pyi` in its
component_meta.py, 6.31). A class whose source file cannot be found is left out, so during the import none is found.

Gradio imports pandas for one question that this page never asks (`caching.py`), and mcp where that is installed: a
fourth of the rest, and 40 MB. The first is imported when something of it is asked for, the second where it is used.
"""

import importlib
import inspect
import os
import sys
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands in for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import itself looks at
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


def _import_gradio() -> None:
    find = inspect.getfile

    def find_nothing_of_gradio(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("no interface file is needed")
        return find(thing)

    spared: dict[str, ModuleType | None] = {} if "pandas" in sys.modules else {"pandas": _Later("pandas")}
    if not os.environ.get("ATELIER_UI_MCP"):
        spared["mcp"] = None  # as if it were not installed
    spared = {name: module for name, module in spared.items() if name not in sys.modules}
    sys.modules.update(spared)  # type: ignore[arg-type]  # None is what forbids an import
    inspect.getfile = find_nothing_of_gradio  # type: ignore[assignment]  # narrower than the original's
    try:
        importlib.import_module("gradio")
    finally:
        inspect.getfile = find
        for name in spared:
            del sys.modules[name]


_import_gradio()
