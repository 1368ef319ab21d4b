"""ComfyUI's recipes: the graph of nodes under `prompt`, or the drawing of it under `workflow`.

The graph says node → class and inputs; an input is a value or a link, `[node, place]`. From the picture that is saved
the links lead back to the sampler, and from there to the words, the model and the size. A second pass over the same
picture (larger, or by a refiner) is passed by: its first pass is what a request can ask for.
Sources: ComfyUI's `nodes.py`, `comfy_extras/nodes_custom_sampler.py`, `comfy_extras/nodes_flux.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from app.picture.comfyui_workflow import graph_of
from app.picture.found import Found, found, loads, number
from app.picture.sampler_names import of_comfyui

MOST_NODES = 2000
_SAVES = ("SaveImage", "PreviewImage")
_LATENTS = ("latent_image", "samples", "latent")
_PARTS = ("noise", "guider", "sampler", "sigmas")  # what a sampler in pieces is put together from
_CONDITIONS = ("conditioning", "conditioning_to", "conditioning_from", "conditioning_1", "conditioning_2")
_TEXTS = ("text", "text_g", "t5xxl", "clip_l", "text_l", "prompt")
_VALUES = ("value", "text", "string", "int", "float", "number", "seed", "noise_seed", "prompt")
_MODELS = ("ckpt_name", "unet_name", "model_name")


def read(texts: Mapping[str, str]) -> Found | None:
    """What the texts of a file say; None if no sampler is found in them."""
    graph = _Graph(loads(texts.get("prompt", ""))) or _Graph(graph_of(loads(texts.get("workflow", ""))))
    sampler = graph.first_pass()
    if sampler is None:
        return None
    parts = [sampler, *graph.parts(sampler)]
    guided = next((part for part in parts if "positive" in graph.inputs(part)), None)
    positive = graph.link(guided or "", "positive") or next(
        filter(None, (graph.link(p, "conditioning") for p in parts)), None
    )
    negative = graph.link(guided or "", "negative")
    latent = next(filter(None, (graph.link(sampler, name) for name in _LATENTS)), None)

    def value(*names: str) -> object:
        return next((said for name in names for part in parts if (said := graph.value(part, name)) is not None), None)

    guidance = graph.upstream_value(positive, "guidance")  # Flux has it in the words' own chain, and its cfg is 1
    return found(
        {
            "prompt": graph.words(positive, "positive"),
            "negative_prompt": graph.words(negative, "negative") or None,
            "num_inference_steps": number(value("steps"), int),
            "guidance_scale": number(guidance if guidance is not None else value("cfg"), float),
            "width": number(graph.upstream_value(latent, "width"), int),
            "height": number(graph.upstream_value(latent, "height"), int),
            "seed": number(value("seed", "noise_seed"), int),
            "scheduler": of_comfyui(value("sampler_name"), value("scheduler")),
        },
        graph.model(parts),
    )


class _Graph:
    """Looks things up in a graph that came from outside: any node may be missing, odd, or part of a ring."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        listed = list(nodes.items())[:MOST_NODES]
        self._nodes = {str(id): node for id, node in listed if isinstance(node, dict) and "class_type" in node}

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def inputs(self, id: str) -> Mapping[str, Any]:
        """A node's inputs by name."""
        said = self._nodes.get(id, {}).get("inputs")
        return said if isinstance(said, dict) else {}

    def link(self, id: str, name: str) -> str | None:
        """The node that an input leads to."""
        said = self.inputs(id).get(name)
        if not isinstance(said, list) or len(said) != 2:
            return None
        return str(said[0]) if str(said[0]) in self._nodes else None

    def value(self, id: str, name: str) -> Any:
        """What an input says: a plain value, here or in the node that it leads to; None if there is none."""
        seen: set[str] = set()
        names: tuple[str, ...] = (name,)
        while id not in seen:
            seen.add(id)
            plain = next((v for n in names if isinstance(v := self.inputs(id).get(n), str | int | float)), None)
            if plain is not None:
                return plain
            led = next(filter(None, (self.link(id, each) for each in names)), None)
            if led is None:
                return None
            id, names = led, (name, *_VALUES)
        return None

    def upstream(self, start: str | None, names: tuple[str, ...] | None = None) -> Iterator[str]:
        """A node and all before it, the nearest first; along these inputs, or along all."""
        line, seen = [start] if start else [], set[str]()
        while line:
            id = line.pop(0)
            if id in seen:
                continue
            seen.add(id)
            yield id
            line += [led for name in (names or self.inputs(id)) if (led := self.link(id, name))]

    def upstream_value(self, start: str | None, name: str) -> Any:
        """What the nearest node before says under this name."""
        return next((said for id in self.upstream(start) if (said := self.value(id, name)) is not None), None)

    def first_pass(self) -> str | None:
        """The sampler that began the picture which is saved."""
        ends = [id for id, node in self._nodes.items() if str(node["class_type"]).startswith(_SAVES)]
        for start in ends or list(self._nodes):
            passes = [id for id in self.upstream(start) if self._samples(id)]
            if passes:
                return passes[-1]
        return None

    def parts(self, sampler: str) -> list[str]:
        """The nodes that a sampler in pieces is put together from."""
        return [led for name in _PARTS if (led := self.link(sampler, name))]

    def words(self, start: str | None, side: str) -> str | None:
        """The words that a picture's condition was made from; None if there are none to be found. `side` is which of
        two a node has that passes on both, `positive` or `negative`."""
        for id in self.upstream(start, (*_CONDITIONS, side)):
            for name in _TEXTS:
                said = self.value(id, name)
                if isinstance(said, str) and said.strip():
                    return said
        return None

    def model(self, starts: list[str]) -> str:
        """The file of the nearest model."""
        for start in starts:
            for id in self.upstream(self.link(start, "model"), ("model",)):
                said = next((v for name in _MODELS if isinstance(v := self.value(id, name), str)), None)
                if said:
                    return said
        return ""

    def _samples(self, id: str) -> bool:
        inputs = self.inputs(id)
        whole = "steps" in inputs and ("seed" in inputs or "noise_seed" in inputs) and "positive" in inputs
        return whole or ("sampler" in inputs and "sigmas" in inputs)
