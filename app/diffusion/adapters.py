"""Adapters at work: what they add to each call of the denoiser, whichever pipeline calls it.

diffusers has pipelines of their own for T2I-Adapters, for words alone; what those do to the denoiser is done here, so
that they hold pictures of every task, beside control models and IP-Adapters, and between any two steps.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from diffusers import T2IAdapter
from PIL import Image

from app.core.control import ControlUnit
from app.core.errors import FieldError, InvalidRequest, ModelRefused
from app.core.schema import GenerationRequest
from app.diffusion.control import Guides
from app.diffusion.ip_adapters import IpAdapter
from app.diffusion.kinds import Pipeline
from app.diffusion.memory import is_out_of_memory

ADAPTERS = (T2IAdapter, IpAdapter)
KEPT = ("encoder_hid_proj", "image_proj", "text_encoder_hid_proj")  # what IP-Adapters put into a denoiser
HINTS = "down_intrablock_additional_residuals"


class Adapters:
    """The adapters that hold the pictures of one pass, in the size that is drawn. `guided`: each step also runs without
    the prompt."""

    def __init__(self, guides: Guides, models: dict[str, Any], size: tuple[int, int], *, guided: bool) -> None:
        self.step = 0  # of the pass, from 0; counted by who hears of its steps
        self._hints, self._prompts = guides.of(models, T2IAdapter), guides.of(models, IpAdapter)
        self._models, self._size, self._guided = models, size, guided

    @contextmanager
    def at_work(self, pipe: Pipeline) -> Iterator[dict[str, Any]]:
        """While open, they are: gives what the pipeline is to be called with. Raises ModelRefused, InvalidRequest."""
        denoiser = getattr(pipe, "unet", None) or pipe.transformer
        added = [self._added(unit, picture) for unit, picture in self._hinted()]

        def before(module: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            if self._prompts.units:
                scales = [unit.weight if self._counts(unit, pipe) else 0.0 for unit in self._prompts.units]
                pipe.set_ip_adapter_scale(scales if len(scales) > 1 else scales[0])
            now = [each for unit, each in zip(self._hints.units, added, strict=True) if self._counts(unit, pipe)]
            if not now:
                return args, given
            return args, {**given, HINTS: [sum(level[1:], level[0]) for level in zip(*now, strict=True)]}

        hook = denoiser.register_forward_pre_hook(before, with_kwargs=True)
        try:
            with _worn(denoiser, self._prompts.models(self._models)):
                yield self._arguments()
        finally:
            hook.remove()

    def _counts(self, unit: ControlUnit, pipe: Pipeline) -> bool:
        """As the pipelines of control models count."""
        steps = getattr(pipe, "num_timesteps", None) or 1
        return self.step / steps >= unit.start and (self.step + 1) / steps <= unit.end

    def _hinted(self) -> list[tuple[ControlUnit, Image.Image]]:
        return list(zip(self._hints.units, self._hints.at(*self._size, self._models), strict=True))

    @torch.no_grad()
    def _added(self, unit: ControlUnit, picture: Image.Image) -> list[torch.Tensor]:
        """What a T2I-Adapter adds at each level of the denoiser; the same for all rows."""
        model = self._models[unit.model]
        if any(side % model.downscale_factor for side in self._size):
            allowed = f"allowed are multiples of {model.downscale_factor} with the control model {unit.model}"
            raise InvalidRequest([FieldError("width", f"{self._size[0]}x{self._size[1]}", allowed)])
        seen = picture.convert("L") if model.config.in_channels == 1 else picture
        data = torch.frombuffer(bytearray(seen.tobytes()), dtype=torch.uint8)
        values = data.view(seen.height, seen.width, -1).permute(2, 0, 1)[None].float() / 255
        first = next(model.parameters())
        return [level * unit.weight for level in model(values.to(first.device, first.dtype))]

    def _arguments(self) -> dict[str, Any]:
        """What is seen of the pictures, behind what stands for none where the model is guided; the pipelines repeat it
        for each row."""
        if not self._prompts.units:
            return {}
        steps_along = any(model.steps_along for model in self._prompts.models(self._models))
        seen, empty = [], []
        for unit, picture in zip(self._prompts.units, self._prompts.pictures, strict=True):
            model = self._models[unit.model]
            something, nothing = (each if model.steps_along else each[None] for each in model.seen(unit.image, picture))
            seen.append(torch.cat([nothing, something]) if self._guided else something)
            empty.append(nothing)
        return {
            "ip_adapter_image_embeds": seen[0] if steps_along else seen,  # its pipeline takes no list
            "negative_ip_adapter_image_embeds": empty,  # FLUX would look at a black picture for it, and use neither
        }


def adapters_of(
    guides: Guides | None, models: dict[str, Any], request: GenerationRequest, *, guided: bool
) -> Adapters | None:
    """Those that hold a request's pictures; None if there are none."""
    if guides is None or not guides.of(models, ADAPTERS).units:
        return None
    return Adapters(guides, models, (request.width or 0, request.height or 0), guided=guided)


def at_work(adapters: Adapters | None, pipe: Pipeline) -> AbstractContextManager[dict[str, Any]]:
    """`Adapters.at_work`; nothing for none."""
    return adapters.at_work(pipe) if adapters else nullcontext({})


@contextmanager
def _worn(denoiser: Any, adapters: list[IpAdapter]) -> Iterator[None]:
    """While open, the denoiser has these IP-Adapters in it; afterwards it is as it was, to the object."""
    if not adapters:
        yield
        return
    processors = dict(denoiser.attn_processors)
    parts = {name: getattr(denoiser, name) for name in KEPT if hasattr(denoiser, name)}
    kind = getattr(denoiser.config, "encoder_hid_dim_type", None)
    states = [adapter.state() for adapter in adapters]
    problem: str | None = None
    try:
        try:
            # What `load_ip_adapter` of the pipelines does after it has read the file and the network that looks.
            denoiser._load_ip_adapter_weights(states[0] if adapters[0].steps_along else states)
        except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            if is_out_of_memory(error):
                raise
            problem = f"{type(error).__name__}: {str(error)[:200]}"
        if problem is not None:
            raise ModelRefused(f"The IP-Adapter does not fit this model: {problem}")
        yield
    finally:
        for name in KEPT:  # first: some have processors of their own, which would be counted
            if name in parts:
                setattr(denoiser, name, parts[name])
            elif hasattr(denoiser, name):
                delattr(denoiser, name)
        denoiser.set_attn_processor(processors)
        denoiser.config.encoder_hid_dim_type = kind
