"""ComfyUI's drawing of a graph (`workflow`), as the graph that it runs (`prompt`): for files that hold only the first.

The drawing lists the values of a node without their names, so only nodes whose values are known here count.
"""

from collections.abc import Mapping
from typing import Any

_OFF = (2, 4)  # the modes of nodes that are muted or passed by
# Class → the names of its values, in their order; "" is the button beside a seed.
_VALUES: dict[str, tuple[str, ...]] = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
    "SamplerCustom": ("add_noise", "noise_seed", "", "cfg"),
    "SamplerCustomAdvanced": (),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed", ""),
    "BasicGuider": (),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSDXL": ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "ConditioningZeroOut": (),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "VAEDecode": (),
    "SaveImage": ("filename_prefix",),
    "PreviewImage": (),
}


def graph_of(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Node → class and inputs, as ComfyUI's `prompt` has it; empty if this is no drawing. Never raises."""
    nodes, links = workflow.get("nodes"), workflow.get("links")
    if not isinstance(nodes, list) or not isinstance(links, list):
        return {}
    led = {str(link[0]): [str(link[1]), link[2]] for link in links if isinstance(link, list) and len(link) >= 3}
    graph = {}
    for node in nodes:
        if isinstance(node, dict) and node.get("type") in _VALUES and node.get("mode") not in _OFF:
            graph[str(node.get("id"))] = {"class_type": node["type"], "inputs": _inputs(node, led)}
    return graph


def _inputs(node: Mapping[str, Any], led: Mapping[str, list[Any]]) -> dict[str, Any]:
    values = node.get("widgets_values")
    named = zip(_VALUES[node["type"]], values, strict=False) if isinstance(values, list) else ()
    found: dict[str, Any] = {name: value for name, value in named if name}
    if isinstance(values, dict):
        found |= {str(name): value for name, value in values.items()}
    listed = node.get("inputs")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and str(item.get("link")) in led:
            found[str(item.get("name"))] = led[str(item["link"])]
    return found
