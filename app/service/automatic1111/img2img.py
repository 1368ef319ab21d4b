"""AUTOMATIC1111's img2img: its pictures kept, and its mask made.

Source of the fields: A1111 `modules/processing.py` (`StableDiffusionProcessingImg2Img`).
"""

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from app.catalog import tasks_of
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import InputRef, InputRole, JobInput
from app.core.task import Task
from app.inputs import InputStore
from app.picture.mask import soft_mask
from app.picture.resize import resize
from app.service.automatic1111.answers import A1111Made
from app.service.automatic1111.bodies import A1111Img2Img
from app.service.automatic1111.control import control_of
from app.service.automatic1111.generation import Callers, ChosenModel, answers, chosen_model, made_answer
from app.service.automatic1111.translate import to_request, with_infotext
from app.service.foreign.bodies import documented_body, fitted, json_object
from app.service.http.callers import seat
from app.service.installed import check_installed
from app.service.parts import Parts

CROP = 1  # A1111's resize_mode "crop and resize"; 0 is "just resize"
# A1111's own defaults, where nothing is said.
MASK_BLUR = 4.0  # pixels
FILL = 0  # the colours around the mask
PADDING = 0  # pixels
ONE_PICTURE = "one picture is needed: only a model that follows instructions looks at several"
NO_STRENGTH = "denoising_strength was not used: this model changes the picture as the prompt says"


def add_image_to_image(api: APIBlueprint, parts: Parts, callers: Callers, model: ChosenModel) -> None:
    """The route that makes pictures from a picture."""

    def img2img() -> Response:
        """Make pictures from a picture and wait for them"""
        sent = json_object()
        body = fitted(A1111Img2Img, with_infotext(sent))
        wanted = to_request(body, chosen_model(callers, body, model))
        entry = parts.catalog.get(wanted.model or model.key)
        check_installed(parts, entry)  # before its pictures are kept
        size = wanted.width or entry.width, wanted.height or entry.height
        with seat(parts):  # see native/inputs.py
            told = Task.EDIT in tasks_of(entry) and body.mask is None
            start = _instruction(body, parts.inputs) if told else start_of(body, size, parts.inputs)
            control, comments = control_of(body, parts.inputs, _first(start))
        started = wanted.model_copy(update=start | control)
        if not body.include_init_images:
            sent = {**sent, "init_images": None, "mask": None}
        return made_answer(parts, callers, body, sent, started, [*comments, *([NO_STRENGTH] if told else [])])

    made = answers({200: A1111Made}, 404, 409, 413, 422, 429, 499, 500, 507)
    api.post("/sdapi/v1/img2img", responses=made, openapi_extensions=documented_body(api, A1111Img2Img))(img2img)


def start_of(body: A1111Img2Img, size: tuple[int, int], store: InputStore) -> dict[str, object]:
    """The fields of a request that starts from the body's pictures, for a picture of `size` pixels."""
    if len(body.init_images) != 1:
        raise InvalidRequest([FieldError("init_images", f"{len(body.init_images)} pictures", ONE_PICTURE)])
    start = _fitted(store.put(body.init_images[0], "init_images"), body, size, store)
    inputs = [JobInput(role=InputRole.IMAGE, sha256=start.sha256)]
    if body.mask is None:
        return {"task": Task.IMAGE, "strength": body.denoising_strength, "inputs": tuple(inputs)}
    mask = _fitted(store.put(body.mask, "mask"), body, size, store)
    across, down = _blur(body)
    baked = (0.0, 0.0) if across == down else (across, down)  # a request of ours blurs both ways alike
    if baked[0] or baked[1] or body.inpainting_mask_invert:
        made = soft_mask(store.open(mask.sha256), blur=baked, inverted=body.inpainting_mask_invert)
        mask = store.put(made, "mask")
    inputs.append(JobInput(role=InputRole.MASK, sha256=mask.sha256))
    fields: dict[str, object] = {
        "task": Task.INPAINT,
        "strength": body.denoising_strength,
        "inputs": tuple(inputs),
        "mask_blur": across if across == down else 0.0,
        "inpaint_full_res": body.inpaint_full_res,
        "inpainting_fill": FILL if body.inpainting_fill is None else body.inpainting_fill,
    }
    if body.inpaint_full_res:
        padding = body.inpaint_full_res_padding
        fields["inpaint_full_res_padding"] = PADDING if padding is None else padding
    return fields


def _instruction(body: A1111Img2Img, store: InputStore) -> dict[str, object]:
    """The fields of a request that changes the first of the body's pictures as the prompt says."""
    roles = [InputRole.IMAGE] + [InputRole.REFERENCE] * (len(body.init_images) - 1)
    inputs = tuple(JobInput(role=role, sha256=store.put(data, "init_images").sha256)
                   for role, data in zip(roles, body.init_images, strict=True))  # fmt: skip
    return {"task": Task.EDIT, "strength": None, "inputs": inputs}


def _first(start: Mapping[str, Any]) -> str:
    """The picture that it starts from: what holds it where a unit brings none of its own."""
    sha256: str = start["inputs"][0].sha256
    return sha256


def _fitted(ref: InputRef, body: A1111Img2Img, size: tuple[int, int], store: InputStore) -> InputRef:
    """The picture stretched to the ratio of `size`, as A1111 does unless it is asked to crop or to draw a part."""
    whole = body.mask is None or not body.inpaint_full_res
    if not whole or body.resize_mode == CROP or ref.width * size[1] == ref.height * size[0]:
        return ref
    return store.put(resize(store.open(ref.sha256), size, "Lanczos"), "init_images")


def _blur(body: A1111Img2Img) -> tuple[float, float]:
    """Across and down; `mask_blur` sets both."""
    usual = MASK_BLUR if body.mask_blur is None else body.mask_blur
    if body.mask_blur is not None:
        return usual, usual
    across, down = (usual if value is None else value for value in (body.mask_blur_x, body.mask_blur_y))
    return across, down
