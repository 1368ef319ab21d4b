"""Which program made a picture, told by the texts in it. Their settings are shown as text and never run.

The order matters: several programs write A1111's keyword beside their own. Sources: the programs' own writers, and
sd-prompt-reader's order of detection.
"""

from collections.abc import Mapping
from typing import Any

from app.picture import comfyui, infotext, invokeai
from app.picture.found import Found, loads

NAMES = {
    "a1111": "Stable Diffusion WebUI (A1111)",
    "comfyui": "ComfyUI",
    "drawthings": "Draw Things",
    "easydiffusion": "Easy Diffusion",
    "fooocus": "Fooocus",
    "invokeai": "InvokeAI",
    "novelai": "NovelAI",
    "swarmui": "SwarmUI",
    "none": "",
}
_INVOKE_KEYS = ("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata", "Dream", "dream")
_EASY_KEYS = ("negative_prompt", "use_stable_diffusion_model", "num_inference_steps", "Negative Prompt")


def recognise(texts: Mapping[str, str], comment: str, labels: Mapping[str, Any]) -> tuple[str, str]:
    """The kind of a picture and the name of the program that made it, `("none", "")` if nothing says so.

    `texts` are the PNG texts by keyword, `comment` the EXIF UserComment, `labels` what the XMP packet says.
    """
    kind = _kind(texts, comment, labels)
    if kind == "a1111":
        return kind, _dialect(infotext_of(texts, comment))
    return kind, NAMES[kind]


def recipe_of(kind: str, texts: Mapping[str, str], comment: str) -> Found | None:
    """What the program's own recipe says, in our fields; None if it is one that is not read here, or says nothing."""
    if kind == "a1111":
        return infotext.found_in(infotext.parse(infotext_of(texts, comment)))
    if kind == "comfyui":
        return comfyui.read(texts)
    return invokeai.read(texts) if kind == "invokeai" else None


def infotext_of(texts: Mapping[str, str], comment: str) -> str:
    """The infotext of a file. As in A1111, an EXIF UserComment wins over the PNG keyword."""
    return comment or texts.get("parameters", "")


def _kind(texts: Mapping[str, str], comment: str, labels: Mapping[str, Any]) -> str:
    main = infotext_of(texts, comment)
    if "sui_image_params" in main:
        return "swarmui"
    if "fooocus_scheme" in texts or _has_keys(main, ("Fooocus V", "base_model")):
        return "fooocus"
    if _is_infotext(main):
        return "a1111"
    if any(key in texts for key in _INVOKE_KEYS):
        return "invokeai"
    if texts.get("Software") == "NovelAI" or texts.get("Source", "").startswith("NovelAI"):
        return "novelai"
    if "workflow" in texts or _is_graph(texts.get("prompt", "")):
        return "comfyui"
    if any(key in texts for key in _EASY_KEYS) or _has_keys(main, _EASY_KEYS):
        return "easydiffusion"
    if _has_keys(texts.get("Comment", ""), ("prompt", "negative_prompt", "base_model", "Prompt", "Base Model")):
        return "fooocus"
    if _has_keys(str(labels.get("user_comment", "")), ("c", "uc", "sampler")):
        return "drawthings"
    return "none"


def _is_infotext(text: str) -> bool:
    return "Steps" in infotext.parse(text) if "Steps: " in text else False


def _dialect(text: str) -> str:
    said = infotext.parse(text)
    if said.get("App"):
        return str(said["App"])[:100]
    version = str(said.get("Version", ""))
    if version.startswith(("f1", "f2")):
        return "Stable Diffusion WebUI Forge"
    if version and not version.startswith("v"):
        return version[:100]
    return NAMES["a1111"]


def _has_keys(text: str, keys: tuple[str, ...]) -> bool:
    said = loads(text)
    return any(key in said for key in keys)


def _is_graph(text: str) -> bool:
    nodes = list(loads(text).values())
    return bool(nodes) and all(isinstance(node, dict) and "class_type" in node for node in nodes)
