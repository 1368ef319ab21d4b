"""Build a diffusers pipeline from a checked folder, lay it out in memory, and take it apart again."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError

from app.catalog import ModelEntry
from app.core.errors import ModelNotInstalled, ModelRefused, OutOfMemory
from app.core.models import Presence
from app.core.settings import Tier
from app.diffusion.checkpoints import CheckedFolder, check_folder, pipeline_class, read_index, weight_files
from app.diffusion.compiled.choose import Computing
from app.diffusion.embeddings import Embeddings
from app.diffusion.kinds import Pipeline
from app.diffusion.loras import Loras
from app.diffusion.machine import choose_dtype
from app.diffusion.memory import free_caches, is_out_of_memory, module_bytes
from app.diffusion.picture_words import read_pipeline
from app.diffusion.placement import place, quantization
from app.diffusion.previews import PreviewFit, fit_previews
from app.diffusion.prompt_cache import PromptCache
from app.diffusion.quantized import TRANSFORMER, read_transformer, with_transformer
from app.diffusion.released import ReadAgain
from app.diffusion.shared import SharedParts
from app.diffusion.single_file import CheckedFile, check_file, read_file
from app.diffusion.small_decoder import DecodedPreviews, SmallDecoder
from app.diffusion.tokens.reading import check_tokens, read_tokens, token_components
from app.diffusion.upscalers import Upscaler
from app.diffusion.vaes import OtherVae
from app.families import family_of
from app.hub.disk import on_disk
from app.hub.fetch import fetch
from app.tiers.model_parts import ModelParts, guessed_parts, parts_of, role_of
from app.tiers.plan import PACKAGES, Plan
from app.weights.header import read_header

# What the libraries raise for files that do not fit together or are damaged inside.
LOAD_ERRORS = (
    MemoryError, ImportError, OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError,
    RuntimeError, SafetensorError, SingleFileComponentError,
)  # fmt: skip
LIBRARIES = ("torch", "diffusers", "transformers")
OnEvent = Callable[[str, int, int], None]  # phase ("downloading", "loading", "loaded"), bytes done, bytes in all


@dataclass
class LoadedModel:
    """A pipeline that is ready to run, and how it was loaded. Used by one thread at a time.

    `plan` is how it is laid out now, `planned` how it would be if memory had not run out; `retried` says so in words.
    `controls`: the control models that its next pictures may name, by key; `upscaler` what enlarges between their two
    passes, if a model does; `vae` what stands in for its own VAE. `decoder` decodes in the place of its VAE, and makes
    `previews`, if there is one.
    """

    entry: ModelEntry
    pipe: Pipeline
    device: torch.device
    dtype: torch.dtype
    plan: Plan
    weight_bytes: int
    revision: str | None = None
    preview_fit: PreviewFit | None = None
    planned: Plan | None = None
    retried: str | None = None
    prompts: PromptCache = field(default_factory=PromptCache)
    loras: Loras = field(default_factory=Loras)
    embeddings: Embeddings = field(default_factory=Embeddings)
    controls: dict[str, Any] = field(default_factory=dict)
    upscaler: Upscaler | None = None
    vae: OtherVae | None = None
    decoder: SmallDecoder | None = None
    previews: DecodedPreviews | None = None
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in LIBRARIES})


Checked = CheckedFolder | CheckedFile


def check_model(
    entry: ModelEntry, models_folder: Path, on_event: OnEvent | None = None, *, download: bool = False
) -> Checked:
    """Find a model's files and look through them; no weights are read.

    Fetches what is not on this machine only if `download`. Raises ModelNotInstalled, and ModelRefused for files that
    are unsafe, damaged or of a class we do not run; what a download raises.
    """
    if entry.refused and not (entry.path or entry.repository):  # an entry of the catalog that says nothing of use
        raise ModelRefused(entry.refused)
    path = models_folder / entry.path if entry.path else _hub_folder(entry, on_event, download)
    if path.is_file():
        return check_file(path, models_folder / entry.config if entry.config else None)
    if not path.is_dir():
        raise ModelRefused(f"{entry.title} should be in {path}, but there is nothing.")
    if family_of(entry.pipeline).tokens:
        return check_tokens(path, entry.pipeline)
    checked = check_folder(path, variant=entry.variant)
    if entry.transformer:
        return with_transformer(checked, models_folder / entry.transformer, entry.variant)
    return checked


def _hub_folder(entry: ModelEntry, on_event: OnEvent | None, download: bool) -> Path:
    found = on_disk(entry)
    if found.folder is not None:
        return found.folder
    if download:
        return fetch(entry, (lambda done, of: on_event("downloading", done, of)) if on_event else None)
    size = f" ({entry.size_bytes / 1e9:.1f} GB)" if entry.size_bytes else ""
    what = "is not complete on this machine" if found.presence is Presence.PARTIAL else "is not on this machine"
    raise ModelNotInstalled(
        f"{entry.title} {what}, and nothing is downloaded unasked.",
        hint=f"Download it{size} in the page's Models tab, with `python -m app models download {entry.key}`, "
        f'or in Python with load_model("{entry.key}", download=True).',
    )


def parts_of_checked(checked: Checked) -> ModelParts:
    """What a model's parts hold, by the headers of its files."""
    if isinstance(checked, CheckedFile):
        return guessed_parts(checked.parameters, checked.pipeline)
    if family_of(checked.pipeline).tokens:
        return parts_of(token_components(checked), checked.pipeline)
    components = {
        part: sum(read_header(file).parameters for file in weight_files(checked.folder / part, None))
        for part in checked.components
    }
    if checked.transformer is None:
        return parts_of(components, checked.pipeline)
    components[TRANSFORMER] = checked.transformer.stat().st_size // 2
    return replace(parts_of(components, checked.pipeline), one_file=True)


def format_for(checked: Checked, device: torch.device, plan: Plan) -> torch.dtype:
    """The number format that a model is computed in."""
    return torch.bfloat16 if plan.half else choose_dtype(device, checked.parameters)


def load_pipeline(
    entry: ModelEntry,
    checked: Checked,
    device: torch.device,
    plan: Plan,
    *,
    on_event: OnEvent | None = None,
    shared: SharedParts | None = None,
    computing: Computing | None = None,
    files: object = None,
) -> LoadedModel:
    """Load a checked model and lay it out as the plan says. Runs no code of the model's and opens no pickle.

    Components that `shared` knows are used as they are, and the others become known to it. `computing` may have
    OpenVINO take over from torch; `files` stands for the bytes of the model's files in what it keeps.

    Raises ModelRefused for files that do not fit together and for a plan whose optional package is missing,
    OutOfMemory.
    """
    tell = on_event or (lambda phase, done, of: None)
    tell("loading", 0, checked.weight_bytes)
    dtype = format_for(checked, device, plan)
    parts = common_parts(entry, checked, device, plan, shared)
    pipe = _read(checked, dtype, entry.variant, parts, plan)
    fit = getattr(pipe, "preview_fit", None) or fit_previews(getattr(pipe, "vae", None))
    weights = module_bytes(pipe)
    encoding = _place(pipe, plan, device, checked, entry.variant, dtype)
    if shared is not None and isinstance(checked, CheckedFolder) and _is_common(plan):
        shared.keep(checked, entry.variant, dtype, pipe)
    reason = computing.take_over(pipe, entry, plan, device, files, tell) if computing else ""
    tell("loaded", checked.weight_bytes, checked.weight_bytes)
    if side := getattr(pipe, "side", None):  # it draws no other
        entry = entry.model_copy(update={"shapes": (f"{side}x{side}",)})
    loaded = LoadedModel(
        entry, pipe, device, dtype, plan, weights, _revision(entry, checked), fit, planned=plan
    )  # fmt: skip
    loaded.notes += [reason] if reason else []
    loaded.prompts.encoding = loaded.loras.changing = encoding
    if plan.tier in (Tier.FP8, Tier.FP8_OFFLOAD):  # peft would keep the LoRA in fp8 as well, and nothing computes in it
        loaded.loras.refused = f"A model in the memory tier {plan.tier} takes no LoRA."
    return loaded


def common_parts(
    entry: ModelEntry, checked: Checked, device: torch.device, plan: Plan, shared: SharedParts | None
) -> dict[str, torch.nn.Module]:
    """The components of a model that are in memory already. None where its weights would be moved about or cast."""
    if shared is None or not isinstance(checked, CheckedFolder) or not _is_common(plan):
        return {}
    return shared.find(checked, entry.variant, format_for(checked, device, plan))


def _is_common(plan: Plan) -> bool:
    """True if a model laid out like this may have components in common with another."""
    return plan.tier is Tier.RESIDENT and not plan.vae_tiling


def _read(
    checked: Checked, dtype: torch.dtype, variant: str | None, parts: Mapping[str, torch.nn.Module], plan: Plan
) -> Pipeline:
    # Bars and advice of the libraries would end up in the owner's terminal; our events say it better.
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    problem: str
    try:
        if isinstance(checked, CheckedFile):
            _refuse_to_quantize(checked, plan)
            pipe = read_file(checked, dtype)
        elif family_of(checked.pipeline).tokens:
            pipe = read_tokens(checked, dtype, plan)
        else:
            pipe = _read_folder(checked, dtype, variant, {**parts, **_quantized(checked, dtype, variant, plan)})
    except LOAD_ERRORS as error:
        problem, memory_ran_out = f"{type(error).__name__}: {error}", is_out_of_memory(error)
    else:
        pipe.set_progress_bar_config(disable=True)
        return pipe
    # Outside the except block: the traceback's frames would keep half a loaded model alive.
    free_caches()
    if memory_ran_out:
        raise OutOfMemory(f"There is not enough memory to load {checked.name}.", hint=problem)
    raise ModelRefused(f"{checked.name} could not be loaded: {problem}")


def _read_folder(
    checked: CheckedFolder, dtype: torch.dtype, variant: str | None, parts: Mapping[str, torch.nn.Module]
) -> Pipeline:
    cls = pipeline_class(checked.pipeline)
    options: dict[str, Any] = {"variant": variant} if variant else {}
    options |= parts
    if checked.transformer is not None:
        options[TRANSFORMER] = read_transformer(checked, checked.transformer, dtype)
    if "safety_checker" in cls._optional_components:
        options |= {"safety_checker": None}
        if "requires_safety_checker" in inspect.signature(cls.__init__).parameters:
            options |= {"requires_safety_checker": False}
    options |= {"use_safetensors": True, "local_files_only": True, "dtype": dtype}
    return read_pipeline(cls, checked.folder, read_index(checked.folder), **options)


def _quantized(
    checked: CheckedFolder, dtype: torch.dtype, variant: str | None, plan: Plan
) -> dict[str, torch.nn.Module]:
    """The denoiser, quantized while it is read, if the plan wants that."""
    config = quantization(plan)
    if config is None:
        return {}
    if checked.transformer is not None:
        _refuse_to_quantize(checked, plan)
    index = read_index(checked.folder)
    found = {}
    for part in checked.components:
        if role_of(part) == "denoiser":
            cls = getattr(diffusers, index[part][1])
            options = {"variant": variant} if variant else {}
            found[part] = _read_part(cls, checked.folder / part, quantization_config=config, dtype=dtype, **options)
    return found


def _read_part(cls: Any, folder: Path, **options: Any) -> torch.nn.Module:
    module: torch.nn.Module = cls.from_pretrained(folder, use_safetensors=True, local_files_only=True, **options)
    return module


def _refuse_to_quantize(checked: Checked, plan: Plan) -> None:
    if plan.tier in PACKAGES:
        raise ModelRefused(f"{checked.name} cannot be quantized (memory tier {plan.tier}): only whole folders can.")


def _place(
    pipe: Pipeline, plan: Plan, device: torch.device, checked: Checked, variant: str | None, dtype: torch.dtype
) -> Callable[[], AbstractContextManager[None]]:
    """Lay the pipeline out. Gives what has to be open while the text encoders work."""

    read_again: ReadAgain | None = None
    if isinstance(checked, CheckedFolder):
        options = {"variant": variant} if variant else {}
        classes = {name: type(part) for name, part in pipe.components.items()}
        folder = checked.folder

        def read_again(name: str) -> torch.nn.Module:
            return _read_part(classes[name], folder / name, dtype=dtype, **options)

    try:
        released = place(pipe, plan, device, read_again)
        return released.encoding if released else nullcontext
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        problem = str(error)
    _drop(pipe)
    free_caches()
    raise OutOfMemory(f"The model does not fit on {device}.", hint=problem)


def _drop(pipe: Pipeline) -> None:
    """Let go of all components. Nothing is copied back: the files, in the system's page cache, are the master copy."""
    pipe.remove_all_hooks()
    for name in list(pipe.components):
        setattr(pipe, name, None)


def release(loaded: LoadedModel) -> None:
    """Free a pipeline's memory. The object must not be used afterwards; what other models share with it stays."""
    _drop(loaded.pipe)
    loaded.preview_fit = loaded.decoder = loaded.previews = loaded.upscaler = loaded.vae = None
    loaded.prompts.clear()
    loaded.prompts.encoding = loaded.loras.changing = nullcontext
    free_caches()


def _revision(entry: ModelEntry, checked: Checked) -> str | None:
    # A hub snapshot's folder is named by its commit.
    hub = isinstance(checked, CheckedFolder) and entry.repository and checked.folder.parent.name == "snapshots"
    return checked.name if hub else entry.revision
