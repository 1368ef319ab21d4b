"""A form of `/v1/images/edits` or `/variations`: what it says, and what its pictures are kept as.

Parameters as in the `openai` SDK (its `types/image_edit_params.py` and `types/image_create_variation_params.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from werkzeug.datastructures import FileStorage

from app.catalog import ModelEntry, tasks_of
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import MAX_INPUTS, InputRef, InputRole, JobInput
from app.core.task import Task
from app.inputs import InputStore
from app.picture.mask import from_transparency
from app.service.foreign.bodies import Body, checked, fitted
from app.service.openai.bodies import OpenAIEdit, OpenAIVariation

NUMBERS: Mapping[str, type] = {"n": int, "output_compression": int, "partial_images": int, "seed": int,
                               "num_inference_steps": int, "guidance_scale": float, "strength": float}  # fmt: skip
TRUTH = {"true": True, "false": False}
ANEW = 1.0  # under a mask nothing is to be kept
CHANGED = 0.75  # without one the picture is to be seen in the new one
NEAR = 0.5  # a variation
ONE_PICTURE = "one picture is needed: only a model that follows instructions looks at several"
NEEDS_FILE = "a picture is needed, as a file of a form (multipart/form-data)"


def read_form(kind: type[Body]) -> Body:
    """The texts of the form as a body. Raises InvalidRequest naming every wrong field."""
    return fitted(kind, checked({name: _value(name, text) for name, text in request.form.items()}))


def edit_start(body: OpenAIEdit, entry: ModelEntry, store: InputStore) -> dict[str, Any]:
    """The fields of a request that say what an edit starts from. Raises InvalidRequest.

    A model that follows instructions changes the first picture, and looks at the others; a mask is for one picture.
    """
    files = request.files.getlist("image") + request.files.getlist("image[]")
    if Task.EDIT in tasks_of(entry) and not request.files.getlist("mask"):
        return _instruction(files, body, store)
    picture = _kept(files, "image", store)
    mask = None
    if sent := request.files.getlist("mask"):
        mask = _mask(_kept(sent, "mask", store), store)
        if mask is None:
            allowed = "a PNG with a transparent part is needed: there the picture is made anew"
            raise InvalidRequest([FieldError("mask", sent[0].filename, allowed)])
    else:
        mask = _mask(picture, store)  # the picture's own transparent part, as of old
    inputs = [JobInput(role=InputRole.IMAGE, sha256=picture.sha256)]
    if mask is None:
        strength = CHANGED if body.strength is None else body.strength
        return {"task": Task.IMAGE, "inputs": tuple(inputs), "strength": strength}
    inputs.append(JobInput(role=InputRole.MASK, sha256=mask.sha256))
    strength = ANEW if body.strength is None else body.strength
    return {"task": Task.INPAINT, "inputs": tuple(inputs), "strength": strength}


def _instruction(files: Sequence[FileStorage], body: OpenAIEdit, store: InputStore) -> dict[str, Any]:
    if not 0 < len(files) <= MAX_INPUTS:
        allowed = NEEDS_FILE if not files else f"allowed are at most {MAX_INPUTS} pictures"
        raise InvalidRequest([FieldError("image", f"{len(files)} pictures" if files else None, allowed)])
    refs = [store.put(file.stream.read(), "image") for file in files]
    roles = [InputRole.IMAGE] + [InputRole.REFERENCE] * (len(refs) - 1)
    inputs = tuple(JobInput(role=role, sha256=ref.sha256) for role, ref in zip(roles, refs, strict=True))
    return {"task": Task.EDIT, "inputs": inputs, "strength": body.strength}


def variation_start(body: OpenAIVariation, store: InputStore) -> dict[str, Any]:
    """The fields of a request for a variation: its prompt is the picture's own, if that says one."""
    picture = _kept(request.files.getlist("image"), "image", store)
    recipe = picture.said.get("recipe") or {}
    return {
        "prompt": body.prompt or recipe.get("request", {}).get("prompt", ""),
        "task": Task.IMAGE,
        "inputs": (JobInput(role=InputRole.IMAGE, sha256=picture.sha256),),
        "strength": NEAR if body.strength is None else body.strength,
    }


def _value(name: str, text: str) -> Any:
    """Numbers and truth of a form are texts; what is none stays one, and is refused by the body."""
    if name == "stream":
        return TRUTH.get(text.lower(), text)
    try:
        return NUMBERS.get(name, str)(text)
    except ValueError:
        return text


def _kept(files: Sequence[FileStorage], name: str, store: InputStore) -> InputRef:
    if len(files) != 1:
        allowed = ONE_PICTURE if files else NEEDS_FILE
        raise InvalidRequest([FieldError(name, f"{len(files)} pictures" if files else None, allowed)])
    return store.put(files[0].stream.read(), name)


def _mask(picture: InputRef, store: InputStore) -> InputRef | None:
    made = from_transparency(store.open(picture.sha256))
    return None if made is None else store.put(made, "mask")
