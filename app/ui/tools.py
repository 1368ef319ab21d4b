"""The page's tools for assistants (MCP), when the owner switches them on: thin wrappers over the client."""

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.ui.tool_pictures import as_data, handed_in, with_pictures


def add_tools(blocks: gr.Blocks, client: ImageServiceClient) -> None:
    """Offer the tools below. Nothing else of the page is visible to an assistant."""

    def generate_image(
        prompt: str,
        model: str = "",
        negative_prompt: str = "",
        seed: int = -1,
        pictures: str = "",
        control: str = "",
        mask: str = "",
        strength: float = -1,
    ) -> str:
        """Queue one picture and return its job at once. Ask get_job with the id until its state is succeeded.

        Args:
            prompt: what the picture shows
            model: a key of list_models; empty = the default model
            negative_prompt: what it must not show
            seed: -1 = random
            pictures: ids of saved pictures, or names that hand_in_picture gave, separated by commas: the first is the
                one to start from, or to change as the prompt says if the model's tasks have edit; such a model looks at
                the others, too
            control: model=picture pairs, separated by commas: a control model of list_models and the picture, as
                that model reads it (edges, depth or a pose), by which the new one is held
            mask: a picture, named likewise, that is white where the first one is made anew and black elsewhere
            strength: how far the new picture may leave the first one, from 0 to 1; -1 = as usual
        """
        body: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative_prompt, "seed": int(seed)}
        body |= {"model": model} if model else {}
        body |= {"strength": strength} if strength >= 0 else {}

        def job() -> Any:
            return client.submit(body | with_pictures(client, model, pictures, control, mask)).model_dump(mode="json")

        return _told(job)

    def hand_in_picture(picture: str) -> str:
        """Hand in a picture of your own. Its sha256 in the answer is its name for generate_image.

        Args:
            picture: a PNG, JPEG or WebP as base64, or as a data: URL
        """
        return _told(lambda: handed_in(client, picture).model_dump(mode="json"))

    def get_picture(image_id: str) -> str:
        """A saved picture itself, as the PNG that says how it was made.

        Args:
            image_id: an id among the images of a job
        """
        try:
            return as_data(client.image_bytes(image_id))
        except ServiceError as error:
            return _told_error(error)

    def list_models() -> str:
        """The models there are, with their defaults and whether they are installed."""
        return _told(lambda: [model.model_dump(mode="json") for model in client.models()])

    def get_job(job_id: str) -> str:
        """How a job is: state, place in line, progress, and the ids of its pictures.

        Args:
            job_id: the id that generate_image gave
        """
        return _told(lambda: client.job(job_id).model_dump(mode="json"))

    with blocks:
        for tool in (generate_image, list_models, get_job, hand_in_picture, get_picture):
            # Not queued: Gradio answers a queued one by calling its own addresses, and those are closed.
            gr.api(tool, api_name=tool.__name__, queue=False)


def _told(call: Callable[[], Any]) -> str:
    """The answer as JSON, or what went wrong in the service's words: an assistant reads it and mends its call.

    Gradio would send a dict as Python writes it, with single quotes.
    """
    try:
        return json.dumps(call(), ensure_ascii=False)
    except ServiceError as error:
        return _told_error(error)


def _told_error(error: ServiceError) -> str:
    return json.dumps({"error": error.as_dict() | {"errors": list(error.errors)}}, ensure_ascii=False)
