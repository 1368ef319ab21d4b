"""One pass of a pipeline over rows that share everything but prompt and seed, watched step by step."""

import inspect
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from app.core.batching import steps_of
from app.core.errors import AtelierError, GenerationCancelled, GenerationFailed, OutOfMemory
from app.core.parameters import parameters
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.task import Task
from app.diffusion.adapters import ADAPTERS, Adapters, adapters_of, at_work
from app.diffusion.blend import Blend, begin_anew
from app.diffusion.compiled.choose import computed_by
from app.diffusion.control import Guides, settled
from app.diffusion.decode import DecodeOutOfMemory, Decoding
from app.diffusion.edits import Shown
from app.diffusion.guidance import takes_negative
from app.diffusion.kinds import Pipeline, Scheduler
from app.diffusion.machine import dtype_name
from app.diffusion.made import PassWatch
from app.diffusion.memory import free_caches, is_out_of_memory
from app.diffusion.noise import Variation, varied
from app.diffusion.noised import noised
from app.diffusion.pipelines import LoadedModel
from app.diffusion.previews import PredictionTap
from app.diffusion.prompts import Asked, prompt_notes, text_arguments
from app.diffusion.samplers import make_scheduler, sampler_label, with_config
from app.diffusion.small_decoder import in_place_of_vae
from app.diffusion.starts import Latents, Start, pipeline_of, start_arguments
from app.diffusion.vaes import with_other_vae
from app.diffusion.word_room import word_room
from app.families import family_of

SOFT = "decoded by a small decoder: small things are softer than the model's own VAE draws them"
LATENT_FILLS = {2: True, 3: False}  # `inpainting_fill` → whether there is noise under the mask, or nothing


@dataclass(frozen=True)
class Row:
    """One image to make: which request it belongs to, which image of it, its seed, start, guides and instruction."""

    request_index: int
    image: int
    seed: int
    asked: Asked
    start: Start | Latents | None = None
    control: Guides | None = None
    shown: Shown | None = None

    @property
    def request(self) -> GenerationRequest:
        """The request it belongs to."""
        return self.asked.request

    @property
    def variation(self) -> Variation | None:
        """Which other seed it goes towards, and how far."""
        subseed = self.request.subseed_of(self.image)
        return None if subseed is None else Variation(subseed, self.request.subseed_strength)

    def __hash__(self) -> int:
        return hash((self.request_index, self.image))


class RunWatch:
    """The callback at the end of each step: tells progress, makes previews, stops when nobody waits any more."""

    def __init__(
        self,
        rows: list[Row],
        places: dict[int, tuple[int, int]],
        watch: PassWatch,
    ) -> None:
        self._rows = rows
        self._places = places
        self._watch = watch
        self._tap: PredictionTap | None = None
        self._loaded: LoadedModel | None = None
        self._blend: Blend | None = None
        self.adapters: Adapters | None = None  # which are to hear of the steps
        self.dropped: set[int] = set()
        self.beside = 0, 0  # steps of these rows before this pass, and after it
        self.steps = 0  # of the newest pass

    def attach(self, rows: list[Row], loaded: LoadedModel, tap: PredictionTap | None, blend: Blend | None) -> None:
        """Say which rows and model run, where its predictions can be read, and what keeps it inside a mask."""
        self._rows, self._loaded, self._tap, self._blend = rows, loaded, tap, blend

    def __call__(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Called by the pipeline. Raises GenerationCancelled, which ends it before anything is decoded."""
        indices = list(dict.fromkeys(row.request_index for row in self._rows))
        self._drop(indices)
        if self.dropped.issuperset(indices):
            raise GenerationCancelled
        told = getattr(pipe, "num_timesteps", None)  # of the sampler's times, of which some have two a step
        self.steps = told or steps_of(self._rows[0].request)
        if self.adapters:
            self.adapters.step = step + 1
        earlier, later = self.beside
        of = earlier + self.steps + later
        for index in indices:
            if index not in self.dropped:
                before, chunks = self._places[index]
                preview = self._preview(index, tensors.get("latents"))
                self._watch.step(index, before * of + earlier + step + 1, chunks * of, preview)
        if not self._blend:
            return {}
        left = (self.steps - step - 1) * (1 if told else self._blend.order)
        return {"latents": self._blend(tensors["latents"], left)}

    def older(self, step: int, timestep: Any, latents: torch.Tensor) -> None:
        """The same for pipelines that know only `callback(step, timestep, latents)`, and go on with these latents."""
        latents.copy_(self(None, step, timestep, {"latents": latents}).get("latents", latents))

    def between(self, index: int, done: int) -> None:
        """Tell a request how much of what lies between two passes is done; `beside` counts that to the second.

        Raises GenerationCancelled if nobody waits for it any more.
        """
        self._drop([index])
        if index in self.dropped:
            raise GenerationCancelled
        earlier, later = self.beside
        before, chunks = self._places[index]
        self._watch.step(index, before * (earlier + later) + earlier + done, chunks * (earlier + later), None)

    def _drop(self, indices: list[int]) -> None:
        self.dropped |= {index for index in indices if index not in self.dropped and self._watch.cancelled(index)}

    def _preview(self, index: int, latents: torch.Tensor | None) -> bytes | None:
        loaded = self._loaded
        fit = (loaded.previews or loaded.preview_fit) if loaded else None
        if fit is None or latents is None or not self._watch.wants_preview(index):
            return None
        predicted = self._tap.predicted() if self._tap else None
        source = latents if predicted is None or predicted.shape != latents.shape else predicted
        at = next(i for i, row in enumerate(self._rows) if row.request_index == index)
        request = self._rows[at].request
        return fit.jpeg(source[at], request.width or 512, request.height or 512)


def run_rows(loaded: LoadedModel, rows: list[Row], watch: RunWatch) -> dict[Row, Picture]:
    """Make all rows in one pass; rows of requests that were cancelled meanwhile are left out of the result.

    Raises GenerationCancelled if all were, OutOfMemory, GenerationFailed, InvalidRequest. The pipeline's own scheduler
    and hooks are back in place whatever happens.
    """
    started = time.monotonic()
    request = rows[0].request  # what all rows share

    # 1. The task's pipeline, made of the loaded parts, and a sampler of this pass's own.
    pipe, scheduler = _begun(loaded, rows[0])

    # 2. to 4. Encode, denoise, decode. Where nothing of the picture is to change, it is there already.
    decoding = Decoding()
    starts = [row.start.pixels() for row in rows if isinstance(row.start, Start)]
    if starts and request.strength == 0:
        pixels = _to_pixels(torch.stack(starts), request)
    else:
        pixels = _drawn(loaded, pipe, scheduler, rows, watch, decoding)

    # 5. Label: each picture says how it was made.
    seconds = (time.monotonic() - started) / len(rows)
    height, width = int(pixels.shape[1]), int(pixels.shape[2])
    made = {}
    for i, row in enumerate(rows):
        if row.request_index in watch.dropped:
            continue
        how = _how(loaded, pipe, row, scheduler, len(rows), seconds)
        how["notes"] += decoding.notes
        made[row] = Picture(row.image, row.seed, width, height, pixels[i].numpy().tobytes(), how)
    return made


def latents_of(loaded: LoadedModel, rows: list[Row], watch: RunWatch) -> torch.Tensor:
    """`run_rows` without its end: what would be decoded of the rows, [n, C, h, w]."""
    pipe, scheduler = _begun(loaded, rows[0])
    return _drawn(loaded, pipe, scheduler, rows, watch, Decoding(), output="latent")


def _begun(loaded: LoadedModel, row: Row) -> tuple[Pipeline, Scheduler]:
    request, scheduler = row.request, loaded.pipe.scheduler
    if scheduler is not None:  # token by token nothing steps
        base = with_config(scheduler, loaded.entry.scheduler_config)
        scheduler = make_scheduler(base, request.scheduler, type(loaded.pipe).__name__)
    nets = row.control.of(loaded.controls, ADAPTERS, others=True).models(loaded.controls) if row.control else ()
    return pipeline_of(loaded.pipe, request.task, nets), scheduler


def _drawn(
    loaded: LoadedModel,
    pipe: Pipeline,
    scheduler: Scheduler,
    rows: list[Row],
    watch: RunWatch,
    decoding: Decoding,
    output: str = "pt",
) -> torch.Tensor:
    """Steps 2 to 4 of `run_rows`: the rows' pixels, or with the `output` "latent" what would be decoded."""
    own_scheduler, state = loaded.pipe.scheduler, (type(pipe).__name__, loaded.loras.active)
    noise = [torch.Generator("cpu").manual_seed(row.seed) for row in rows]
    masks = [row.start.mask for row in rows if row.start and row.start.mask]
    blend = Blend(scheduler, masks) if masks and "mask_image" not in _taken(pipe) else None
    fill = rows[0].request.inpainting_fill
    if masks and fill in LATENT_FILLS:
        begin_anew(scheduler, masks, noise=LATENT_FILLS[fill])
    guided = takes_negative(loaded.pipe, rows[0].request.guidance_scale or 0.0)
    adapters = adapters_of(rows[0].control, loaded.controls, rows[0].request, guided=guided)
    watch.attach(rows, loaded, PredictionTap(scheduler, noise) if scheduler else None, blend)
    watch.adapters = adapters
    problem: AtelierError
    try:
        pipe.scheduler = scheduler
        with (
            loaded.prompts.around(pipe, state),
            in_place_of_vae(pipe, None if loaded.vae else loaded.decoder, tiled=loaded.plan.vae_tiling),
            with_other_vae(pipe, loaded.vae, tiled=loaded.plan.vae_tiling),
            decoding.watched(pipe),
            varied(pipe, [row.variation for row in rows]),
            settled(pipe.vae) if rows[0].control else nullcontext(),
            at_work(adapters, pipe) as adapted,
        ):
            # 2. Encode what the pipeline itself could not weigh or would cut; bare words go to it as they are, and its
            # own encoding of them asks the same cache.
            asked = [row.asked for row in rows]
            words = text_arguments(loaded.pipe, asked, loaded.prompts, loaded.loras.active)
            # 3. Denoise from each row's own noise: `watch` hears of each step, and may end it there. 4. Decode: in the
            # same call, for diffusers' pipelines do both; `decoding` looks at what the VAE gives.
            arguments = _arguments(pipe, loaded, rows, words | adapted, watch) | {"output_type": output}
            starts = [] if "strength" in _taken(pipe) else [row.start for row in rows if row.start is not None]
            call = noised(pipe, starts, rows[0].request.strength or 0.0, noise) if starts else pipe
            images: torch.Tensor = call(**arguments, generator=noise).images
        if pipe is not loaded.pipe:  # it knows nothing of the hooks that the loaded one has on their common parts
            loaded.pipe.maybe_free_model_hooks()
        return images if output == "latent" else _to_pixels(images, rows[0].request)
    except AtelierError as error:
        problem = error
    except (MemoryError, RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        problem = _as_ours(error, rows[0].request, decoding)
    finally:
        loaded.pipe.scheduler = own_scheduler
    # Here and not inside `except`: the traceback's frames would keep the pass's tensors alive.
    loaded.pipe.maybe_free_model_hooks()
    if isinstance(problem, OutOfMemory):
        free_caches()
    raise problem.with_traceback(None)


def _arguments(
    pipe: Pipeline, loaded: LoadedModel, rows: list[Row], words: dict[str, Any], watch: RunWatch
) -> dict[str, Any]:
    """What the pipeline is called with, beside the noise; what it does not take is left out, and noted by `_how`."""
    request = rows[0].request
    starts = [row.start for row in rows if row.start is not None]
    known, control, shown = _taken(pipe), rows[0].control, rows[0].shown  # all rows of a pass have the same
    guides = control.of(loaded.controls, ADAPTERS, others=True) if control else None
    width, height = request.width or 0, request.height or 0
    arguments: dict[str, Any] = {
        **words,
        **_asked(request),
        **start_arguments(starts, request.strength),
        **(guides.arguments(known, width, height, loaded.controls) if guides else {}),
        **(shown.arguments(known, width, height, len(rows)) if shown else {}),
        "use_resolution_binning": False,  # it would draw another size and stretch that
        "max_area": width * height,  # so would this
        "callback_on_step_end": watch,
    }
    if "callback_on_step_end" not in known:  # PixArt has the older form only
        arguments["callback"] = watch.older
    return {name: value for name, value in arguments.items() if name in known}


def _asked(request: GenerationRequest) -> dict[str, Any]:
    """The parameters that a pipeline gets as they are, less those that ask for nothing."""
    fields = GenerationRequest.model_fields
    rows = {name: getattr(request, name) for name, row in parameters(GenerationRequest).items() if row.argument}
    return {name: value for name, value in rows.items() if value != fields[name].default}


def _taken(pipe: Any) -> set[str]:
    """Names of the arguments that have an effect in this pipeline."""
    known = set(inspect.signature(pipe.__call__).parameters)
    # An encoder that keeps positions for itself says there what only its last layer knows.
    return known - {"clip_skip"} if word_room(getattr(pipe, "tokenizer", None)) else known


def _not_taken(pipe: Any, request: GenerationRequest) -> list[str]:
    """What was asked for and is no argument of this pipeline; of one that starts from a picture that has the size."""
    sized = ("width", "height") if request.task is not Task.TEXT else ()
    return [f"{name} has no effect with this model" for name in _asked(request) if name not in {*_taken(pipe), *sized}]


def _to_pixels(images: torch.Tensor, request: GenerationRequest) -> torch.Tensor:
    """[n, 3, h, w] in 0 to 1 → uint8 [n, h, w, 3], rounded as diffusers does for PIL."""
    images = images.float().cpu()
    if not bool(torch.isfinite(images).all()):
        raise GenerationFailed("The model made numbers that are not a picture (NaN).", hint="Try another sampler.")
    if tuple(images.shape[2:]) != (request.height, request.width):
        made = f"{images.shape[3]}x{images.shape[2]}"
        raise GenerationFailed(f"The model made {made} pixels instead of {request.width}x{request.height}.")
    return images.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _as_ours(error: BaseException, request: GenerationRequest, decoding: Decoding) -> AtelierError:
    if is_out_of_memory(error):
        kind = DecodeOutOfMemory if decoding.out_of_memory else OutOfMemory
        return kind(
            f"There was not enough memory for {request.width}x{request.height} pixels.",
            hint="Try a smaller size or fewer images.",
        )
    return GenerationFailed(f"The pipeline failed: {type(error).__name__}: {error}")


def _how(loaded: LoadedModel, pipe: Pipeline, row: Row, scheduler: Any, batch: int, seconds: float) -> dict[str, Any]:
    request = row.request
    notes = prompt_notes(loaded.pipe, row.asked)
    decoder = family_of(loaded.entry.pipeline).small_decoder if loaded.decoder and not loaded.vae else None
    notes += [SOFT] if decoder else []
    if row.shown:
        notes += row.shown.notes(_taken(pipe), request.width or 0, request.height or 0)
    loras = {"loras": [lora.as_dict() for lora in loaded.loras.active]} if loaded.loras.active else {}
    variation = {"subseed": row.variation.subseed} if row.variation else {}
    return {
        "model": loaded.entry.key,
        "repository": loaded.entry.repository,
        "revision": loaded.revision,
        "pipeline": type(pipe).__name__,
        **({"scheduler": type(scheduler).__name__, "sampler": sampler_label(scheduler)} if scheduler else {}),
        **getattr(pipe, "how", {}),
        "device": str(loaded.device),
        "dtype": dtype_name(loaded.dtype),
        **loras,
        **({"embeddings": list(row.asked.embeddings)} if row.asked.embeddings else {}),
        **variation,
        **({"control": [unit.model for unit in row.control.units]} if row.control else {}),
        "batch_size": batch,
        "memory": loaded.plan.words(),
        **computed_by(loaded.pipe),
        **({"vae": {"name": loaded.vae.name, "hash": loaded.vae.hash}} if loaded.vae else {}),
        **({"decoder": f"{decoder.name} ({decoder.repository})"} if decoder else {}),
        **({"retried": loaded.retried} if loaded.retried else {}),
        "safety_checker": False,
        "seconds": round(seconds, 3),
        "versions": loaded.versions,
        "notes": [*loaded.notes, *getattr(pipe, "notes", ()), *notes, *_not_taken(pipe, request)],
    }
