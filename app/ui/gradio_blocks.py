"""Gradio's Blocks, without files: nothing that a browser sends or a function answers makes Gradio open a path."""

from copy import copy
from typing import Any

import gradio as gr

MAX_DEPTH = 32


class FileRefused(gr.Error):  # type: ignore[misc]
    """Gradio found a file where the page knows none."""


class FilelessBlocks(gr.Blocks):  # type: ignore[misc]
    """For a page whose components hold text and numbers only.

    Gradio takes any object that looks like its FileData, in any field and at any depth, for a file: it copies the
    path or fetches the URL that stands there, on the way in and on the way out. Here such an object ends the call.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # `launch` sets it, mounting does not; without it Gradio allows every path.
        self.has_launched = True

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *others: Any, **more: Any) -> Any:
        """As Gradio's; raises FileRefused for a file among the inputs."""
        refuse_files(inputs)
        return await super().preprocess_data(block_fn, inputs, *others, **more)

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> Any:
        """As Gradio's; raises FileRefused for a file in the answer: it can only have come from a visitor.

        What is not in an answer by components stays as it is, at no cost: Gradio would make each of them anew. One that
        is made anew keeps its number: by a new one the visitor's session would remember it for ever beside the old.
        """
        refuse_files(predictions)
        if not isinstance(predictions, dict) or not predictions.keys() <= set(block_fn.outputs):
            return await self._answer(block_fn, predictions, state)
        named = copy(block_fn)
        named.outputs = [block for block in block_fn.outputs if block in predictions]
        values = [predictions[block] for block in named.outputs]
        answered = await self._answer(named, values[0] if len(values) == 1 else values, state) if values else []
        told = dict(zip(named.outputs, answered, strict=True))
        return [told[block] if block in told else gr.skip() for block in block_fn.outputs]

    async def _answer(self, block_fn: Any, predictions: Any, state: Any) -> Any:
        answered = await super().postprocess_data(block_fn, predictions, state)
        for block in block_fn.outputs if state else ():
            state.blocks_config.blocks[block._id]._id = block._id
        return answered


def refuse_files(value: Any, depth: int = 0) -> None:
    """Raise FileRefused for anything in `value` that Gradio could take for a file, or that is too deep to tell.

    A file is an object with a `path` (and more, which changes with Gradio's versions).
    """
    if depth > MAX_DEPTH or (isinstance(value, dict) and "path" in value):
        raise FileRefused("The page takes no files here.", print_exception=False)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        refuse_files(item, depth + 1)
