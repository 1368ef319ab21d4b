"""IP-Adapters in memory: what looks at a picture, and what makes a model draw by what was seen."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

from app.catalog import ModelEntry
from app.core.errors import ModelRefused
from app.diffusion.checkpoints import check_alone, class_alone
from app.weights.adapters import adapter_file

MOST_SEEN = 8  # pictures of which is kept what was seen
CLIP, SIGLIP = "CLIPVisionModelWithProjection", "SiglipVisionModel"
# A model's class → the part of it that looks.
LOOKED_THROUGH = {CLIP: CLIP, "CLIPModel": CLIP, SIGLIP: SIGLIP, "SiglipModel": SIGLIP}


class Encoder(torch.nn.Module):  # type: ignore[misc]
    """A network that looks at pictures, with what prepares them for it."""

    def __init__(self, network: torch.nn.Module, looks: Any) -> None:
        super().__init__()
        self.network = network
        self.looks = looks

    @torch.no_grad()
    def embeds(self, picture: Image.Image) -> torch.Tensor:
        """What the whole of it shows, [1, d]."""
        seen: torch.Tensor = self.network(self._pixels(picture)).image_embeds
        return seen

    @torch.no_grad()
    def states(self, picture: Image.Image, *, empty: bool = False) -> torch.Tensor:
        """What each part of it shows, [1, parts, d]; `empty`: the same of a picture of zeros."""
        pixels = self._pixels(picture)
        pixels = torch.zeros_like(pixels) if empty else pixels
        states: torch.Tensor = self.network(pixels, output_hidden_states=True).hidden_states[-2]
        return states

    def _pixels(self, picture: Image.Image) -> torch.Tensor:
        values = self.looks(picture, return_tensors="pt").pixel_values
        first = next(self.network.parameters())
        pixels: torch.Tensor = values.to(first.device, first.dtype)
        return pixels


class IpAdapter(torch.nn.Module):  # type: ignore[misc]
    """The weights of an IP-Adapter and what looks at its pictures. One thread."""

    def __init__(self, weights: dict[str, torch.Tensor], encoder: Encoder) -> None:
        super().__init__()
        for name, tensor in weights.items():
            self.register_buffer(name.replace(".", "/"), tensor)
        self.encoder = encoder
        self.steps_along = any(name.startswith("image_proj.time_embedding") for name in weights)
        self._whole = "image_proj.proj.weight" in weights
        self._seen: OrderedDict[str, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()

    def state(self) -> dict[str, dict[str, torch.Tensor]]:
        """The weights in the form that diffusers reads from a file."""
        parts: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
        for name, tensor in self.named_buffers(recurse=False):
            part, _, rest = name.replace("/", ".").partition(".")
            if part in parts:
                parts[part][rest] = tensor
        return parts

    def width(self) -> int | None:
        """Numbers of a token of the prompts that a UNet's IP-Adapter stands beside; None for another."""
        weights = self.state()["ip_adapter"].get("1.to_k_ip.weight")
        return None if weights is None else int(weights.shape[1])

    def seen(self, sha256: str, picture: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
        """What is seen of a picture, and what stands for none where a model is guided: as diffusers makes both."""
        if sha256 not in self._seen:
            self._seen[sha256] = self._look(picture)
            if len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)
        return self._seen[sha256]

    def _look(self, picture: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
        if self._whole:
            seen = self.encoder.embeds(picture)
            return seen, torch.zeros_like(seen)
        seen = self.encoder.states(picture)
        return seen, torch.zeros_like(seen) if self.steps_along else self.encoder.states(picture, empty=True)


def read_ip_adapter(entry: ModelEntry, folder: Path, dtype: torch.dtype, encoder: Encoder) -> IpAdapter:
    """The IP-Adapter in a folder. Raises ModelRefused, and what the libraries raise."""
    file = adapter_file(folder)
    if file is None:
        raise ModelRefused(f"{entry.key} has no weights of an IP-Adapter in one safetensors file.")
    weights = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    if any(name.startswith("image_proj.norm.") for name in weights) and "image_proj.proj.weight" not in weights:
        raise ModelRefused(f"{entry.key} looks at faces by another program's numbers; nothing here makes them.")
    return IpAdapter(weights, encoder)


def read_encoder(folder: Path, dtype: torch.dtype) -> Encoder:
    """What looks at pictures, from a folder of CLIP or SigLIP, be it with their part for words. Raises as above."""
    named = class_alone(folder)
    if named not in LOOKED_THROUGH:
        raise ModelRefused(f"{folder.name} is a {named}, and no IP-Adapter looks through that.")
    check_alone(folder, named)
    transformers.utils.logging.disable_progress_bar()
    cls = getattr(transformers, LOOKED_THROUGH[named])
    options = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    network, told = cls.from_pretrained(folder, dtype=dtype, **options)
    if told["missing_keys"]:
        raise ModelRefused(f"{folder.name} lacks weights: {', '.join(sorted(told['missing_keys'])[:3])}.")
    return Encoder(network, _processor(folder, cls.__name__, int(network.config.image_size)))


def _processor(folder: Path, cls: str, side: int) -> Any:
    """As diffusers makes it: of CLIP by the network's size alone, of SigLIP by its file."""
    if cls == CLIP:
        return transformers.CLIPImageProcessorPil(size=side, crop_size=side)
    if (folder / "preprocessor_config.json").is_file():
        return transformers.SiglipImageProcessorPil.from_pretrained(folder, local_files_only=True)
    return transformers.SiglipImageProcessorPil(size={"height": side, "width": side})
