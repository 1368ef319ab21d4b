"""The extension sd-webui-controlnet: units in `alwayson_scripts`, and its lists and preprocessors under `/controlnet`.

Source of the shapes: sd-webui-controlnet `scripts/api.py`, `internal_controlnet/external_code.py`.
"""

import base64
from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import AliasChoices, BeforeValidator, Field

from app.catalog import ModelEntry
from app.core.control import MAX_UNITS, MAX_WEIGHT, ControlUnit, Preprocessor
from app.core.errors import FieldError, InvalidRequest
from app.inputs import InputStore
from app.picture.control_words import MODULES
from app.service.automatic1111.answers import A1111Failure, A1111Fixed
from app.service.automatic1111.bodies import A1111Body, A1111Txt2Img, Flag, Picture
from app.service.automatic1111.translate import to_model
from app.service.foreign.bodies import documented_body, fitted, read
from app.service.http.callers import seat
from app.service.http.documented import foreign_answers
from app.service.http.json_reply import reply
from app.service.installed import installed_controls
from app.service.parts import Parts
from app.service.seen import seen, seer_of

NAME = "controlnet"  # in lower case
API_VERSION = 3  # of the extension's external code
CROP = (1, "Crop and Resize", "Scale to Fit (Inner Fit)", None)
BALANCED = (0, "Balanced", None)
USUAL_THRESHOLDS = ((-1, 100), (-1, 200))
MAX_DETECTED = 16
# Of a unit: field → the values that ask for nothing.
NOT_DONE: Mapping[str, tuple[Any, ...]] = {
    "mask": (None, ""),
    "effective_region_mask": (None, ""),
    "hr_option": (None, "Both"),
    "control_mode": BALANCED,
    "guessmode": (None, 0, False),
}


def _image_of(value: Any) -> Any:
    """A picture, or an object with one, as the extension takes both; nothing for an empty text."""
    value = value.get("image") if isinstance(value, Mapping) else value
    return value or None


class A1111ControlUnit(A1111Body):
    """What holds the picture."""

    not_here = NOT_DONE

    enabled: Flag = True
    image: Annotated[Picture | None, BeforeValidator(_image_of)] = Field(
        None,
        validation_alias=AliasChoices("image", "input_image"),
        description="In base64; absent = the picture to start from.",
    )
    module: str = Field("none", description="A name of /controlnet/module_list.")
    model: str | None = Field(None, description="A name of /controlnet/model_list.")
    weight: float = Field(1.0, ge=0, le=MAX_WEIGHT, strict=False, description="How strongly it counts.")
    guidance_start: float = Field(0.0, ge=0, le=1, strict=False, description="From which share of the steps on.")
    guidance_end: float = Field(1.0, ge=0, le=1, strict=False, description="Until which share of them.")
    resize_mode: int | str | None = Field(None, description="The picture is always cut to the size, never filled up.")
    threshold_a: float | None = Field(None, strict=False, description="Of canny 100, whatever is said.")
    threshold_b: float | None = Field(None, strict=False, description="Of canny 200, whatever is said.")


class A1111Detect(A1111Body):
    """Pictures to preprocess."""

    controlnet_module: str = Field("none", description="A name of /controlnet/module_list.")
    controlnet_input_images: list[Picture] = Field(
        default_factory=list, max_length=MAX_DETECTED,
        validation_alias=AliasChoices("controlnet_input_images", "controlnet_images"), description="In base64.",
    )  # fmt: skip


def control_of(body: A1111Txt2Img, store: InputStore, start: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """The field `control` of a request, its pictures kept, and what is to be said; `start` is what it starts from.

    Raises InvalidRequest naming the unit and its field.
    """
    units, comments = [], []
    for place, sent in enumerate(_sent(body)):
        where = f"alwayson_scripts.ControlNet.{place}"
        unit = _fitted(sent, where)
        if not unit.enabled:
            continue
        if unit.image is None and start is None:
            raise InvalidRequest([FieldError(f"{where}.image", "", "a picture in base64 is needed")])
        model = to_model(unit.model)
        if model in (None, "None"):
            allowed = "allowed is a name of /controlnet/model_list"
            raise InvalidRequest([FieldError(f"{where}.model", unit.model, allowed)])
        image = start if unit.image is None else store.put(unit.image, f"{where}.image").sha256
        units.append(
            ControlUnit(
                model=str(model), image=str(image), preprocessor=_preprocessor(unit.module, f"{where}.module"),
                weight=unit.weight, start=unit.guidance_start, end=unit.guidance_end,
            )
        )  # fmt: skip
        comments += [f"ControlNet {place}: {said}" for said in _not_done(unit)]
    if len(units) > MAX_UNITS:
        allowed = f"allowed are at most {MAX_UNITS} units"
        raise InvalidRequest([FieldError("alwayson_scripts.ControlNet", len(units), allowed)])
    return ({"control": tuple(units)} if units else {}), comments


def _sent(body: A1111Txt2Img) -> list[dict[str, Any]]:
    for name, script in (body.alwayson_scripts or {}).items():
        if name.lower() == NAME:
            args = script.get("args") if isinstance(script, Mapping) else script
            return [unit for unit in args or [] if isinstance(unit, dict)]
    return []


def _fitted(sent: dict[str, Any], where: str) -> A1111ControlUnit:
    try:
        return fitted(A1111ControlUnit, sent)
    except InvalidRequest as error:
        named = [FieldError(f"{where}.{each.field}", each.value, each.allowed) for each in error.errors]
        raise InvalidRequest(named) from None


def _preprocessor(module: str, field: str) -> Preprocessor:
    known = MODULES.get(module.lower())
    if known is None:
        raise InvalidRequest([FieldError(field, module, f"allowed is one of: {', '.join(MODULES)}")])
    return known


def _not_done(unit: A1111ControlUnit) -> list[str]:
    """What is drawn otherwise than it was asked for."""
    said = [] if unit.resize_mode in CROP else [f"{unit.resize_mode} is not here: what sticks out of the size was cut."]
    thresholds = (unit.threshold_a, unit.threshold_b)
    usual = all(value is None or value in known for value, known in zip(thresholds, USUAL_THRESHOLDS, strict=True))
    if MODULES.get(unit.module) is Preprocessor.CANNY and not usual:
        said.append("its thresholds were 100 and 200, as everywhere here.")
    return said


def add_control(api: APIBlueprint, parts: Parts) -> None:
    """The routes of the extension."""

    def version() -> Response:
        """The version of the extension whose answers these are"""
        return reply(A1111Fixed({"version": API_VERSION}))

    def model_list() -> Response:
        """The control models that are installed"""
        return reply(A1111Fixed({"model_list": [entry.key for entry in installed_controls(parts)]}))

    def module_list() -> Response:
        """The preprocessors"""
        detail = {name: {"model_free": False, "sliders": []} for name in MODULES}
        return reply(A1111Fixed({"module_list": list(MODULES), "module_detail": detail}))

    def settings() -> Response:
        """How many units a request may have"""
        return reply(A1111Fixed({"control_net_unit_count": MAX_UNITS}))

    def detect() -> Response:
        """What a control model sees of pictures"""
        body = read(A1111Detect)
        preprocessor = _preprocessor(body.controlnet_module, "controlnet_module")
        seer = seer_of(parts, preprocessor, "controlnet_module")
        with seat(parts):
            images = [_detected(parts, data, preprocessor, seer) for data in body.controlnet_input_images]
        return reply(A1111Fixed({"images": images, "info": "Success" if images else "No image selected"}))

    constant = foreign_answers(A1111Failure, {200: A1111Fixed})
    routes = {"version": version, "model_list": model_list, "module_list": module_list, "settings": settings}
    for name, route in routes.items():
        api.get(f"/controlnet/{name}", endpoint=f"controlnet_{name}", responses=constant)(route)
    found = foreign_answers(A1111Failure, {200: A1111Fixed}, 409, 413, 422, 429, 503, 507)
    api.post("/controlnet/detect", responses=found, openapi_extensions=documented_body(api, A1111Detect))(detect)


def _detected(parts: Parts, data: bytes, preprocessor: Preprocessor, seer: ModelEntry | None) -> str:
    kept = parts.inputs.put(data, "controlnet_input_images")
    return base64.b64encode(seen(parts, kept.sha256, preprocessor, seer, kept.width, kept.height)).decode()
