"""DiffusionService: the whole of Atelier's picture making as one class, usable alone as a library."""

import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from app.catalog import Catalog, ModelEntry, file_entry, folder_entry, hub_entry
from app.core.errors import AtelierError, CallerError, FieldError, InvalidRequest, ServerError, UnknownModel
from app.core.picture import Picture
from app.core.schema import HR_LANCZOS, NO_SIDES, RANDOM_SEED, GenerationRequest
from app.core.settings import Settings
from app.diffusion.asked import validated
from app.diffusion.cache import ModelCache
from app.diffusion.compiled.choose import Computing
from app.diffusion.enlarge import enlarged
from app.diffusion.generate import generate
from app.diffusion.given import Given, control_fields, start_fields
from app.diffusion.pipelines import LoadedModel
from app.diffusion.throttle import throttle
from app.families import family_of
from app.picture.png import encode
from app.picture.recipe import stated
from app.shipped import unpack_shipped

OnStep = Callable[[int, int, bytes | None], None]
# One for the whole process: while the libraries read a model they change what every thread of the process sees (how
# modules are made, the usual number format), so a second object may neither load nor draw meanwhile.
_ONE_AT_A_TIME = threading.RLock()
_NO_MODEL = ModelEntry(key="none", title="none")
_WHICH_MODEL = "allowed is a catalog key, a folder, a .safetensors file or a hub id"


class DiffusionService:
    """Load models, turn prompts into pictures, save them as PNGs that carry their recipe, remember what was made.

    Nothing is downloaded unless `load_model(..., download=True)` says so, only safetensors are opened, and no code
    that comes with a model is run. A model's safety checker is not loaded: what may be drawn is for the owner of
    the machine to decide, and every picture's metadata says `"safety_checker": false`.

    Methods may be called from any thread. Of all objects in a process one loads or draws at a time; the others wait.
    Faults that a caller can meet come back as `success: False` with a message, never as a traceback.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str] = "models/generated_images",
        *,
        device: str | None = None,
        models_folder: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()
        if models_folder is not None:
            settings = settings.model_copy(update={"models_folder": Path(models_folder)})
        else:
            unpack_shipped(settings.models_folder)
        self.output_dir = Path(output_dir)
        self._settings = settings
        self._catalog = Catalog(settings)
        self._cache = ModelCache(
            device or settings.device,
            machine_size=settings.machine_size,
            tier=settings.memory_tier,
            computing=Computing(settings.compute, settings.compiled_folder),
        )
        self._own_entries: dict[str, ModelEntry] = {}
        self._current: str | None = None
        self._not_loaded: str | None = None  # why the last load_model failed
        self._history: list[dict[str, Any]] = []

    def load_model(
        self,
        model: str | os.PathLike[str],
        *,
        download: bool = False,
        on_event: Callable[[str, int, int], None] | None = None,
    ) -> tuple[bool, str]:
        """Load a catalog key, a folder, a `.safetensors` file or a hub id and use it: (True, what) or (False, why).

        Free if it is loaded. A hub model that is not on this machine is fetched only with `download=True`.
        `on_event(phase, done, of)` tells of downloading and loading, in bytes. After a False no picture is made until
        a model was loaded or `generate_image` names one: the one before is not what was wanted.
        """
        with _ONE_AT_A_TIME:
            try:
                loaded = self._load(_model_name(model), download=download, on_event=on_event)
            except AtelierError as error:
                self._current, self._not_loaded = None, _sentence(error)
                return False, self._not_loaded
            self._current, self._not_loaded = loaded.entry.key, None
            size = loaded.weight_bytes / 2**20
            return True, f"{loaded.entry.title} is loaded on {loaded.device} ({loaded.dtype}, {size:.0f} MiB)."

    def unload_model(self, key: str) -> bool:
        """Free a model's memory. False if it was not loaded."""
        with _ONE_AT_A_TIME:
            if self._current == key:
                self._current = None
            return self._cache.unload(key)

    def loaded_models(self) -> tuple[str, ...]:
        """Keys of the models in memory, the least recently used first."""
        return self._cache.loaded()

    def generate_image(
        self,
        prompt: str,
        negative_prompt: str = "",
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        width: int | None = None,
        height: int | None = None,
        seed: int = RANDOM_SEED,
        num_images: int = 1,
        scheduler: str | None = None,
        model: str | None = None,
        on_step: OnStep | None = None,
        cancelled: threading.Event | None = None,
        clip_skip: int = 0,
        image: Given | None = None,
        mask_image: Given | None = None,
        strength: float | None = None,
        mask_blur: float = 0.0,
        inpaint_full_res: bool = False,
        inpaint_full_res_padding: int = 32,
        inpainting_fill: int = 1,
        extend: tuple[int, int, int, int] = NO_SIDES,
        subseed: int = RANDOM_SEED,
        subseed_strength: float = 0.0,
        enable_hr: bool = False,
        hr_scale: float = 2.0,
        hr_upscaler: str = HR_LANCZOS,
        hr_second_pass_steps: int = 0,
        edit: bool = False,
        reference_images: Sequence[Given] = (),
        control: Sequence[Mapping[str, Any]] = (),
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float | None = None,
        vae: str | None = None,
    ) -> dict[str, Any]:
        """Make and save `num_images` pictures; `None` means the model's own default, seed -1 a random one.

        With an `image` (a PIL picture, or a file's bytes or path) they start from it, and leave it as far as `strength`
        says, from 0 to 1; with a `mask_image` too, only where that is white is anything made anew: its edge softened by
        `mask_blur` pixels, beginning with `inpainting_fill` (0 the colours around it, 1 what is there, 2 noise,
        3 nothing). With `inpaint_full_res` that part alone is drawn, with `inpaint_full_res_padding` pixels around it,
        at `width` and `height`, and put back into the picture, which keeps its own size. `extend` draws so many pixels
        more at its left, top, right and bottom.

        With `enable_hr` what was drawn is enlarged `hr_scale` times (`hr_upscaler` "Lanczos", "Latent" or the key of an
        upscaling model) and drawn again as far as `strength` says, in `hr_second_pass_steps` steps (0 = as many as the
        first time).

        With `edit` the prompt is an instruction: the `image` is changed as it says, and it may speak of the
        `reference_images`. `control` holds the picture by others: `{"model": key, "image": picture}`, and if wanted
        `preprocessor`, `weight`, `start` and `end`. `top_k`, `top_p` and `temperature` are for models that draw token
        by token; others say that they have no effect. `vae` names one of the models folder's `vae/` to stand in for the
        model's own.

        Gives `{"success": True, "images": [PIL], "paths": [str], "seeds": [int], "metadata": [dict], "message"}` or
        `{"success": False, "message", "error": {"code", "message", "hint"}}`. Image i has seed + i and is the same as
        a single image with that seed; with a `subseed_strength` above 0 all have the seed, and their noise goes so far
        towards that of `subseed` + i. `on_step(step, of, preview)` hears of each step, `preview` being a small JPEG or
        None; setting `cancelled` ends the run within one step. `model` is a catalog key, folder or hub id; absent, the
        model loaded last, or the default one if none was asked for. That `output_dir` can be written is tried first.
        """
        fields = {
            "prompt": prompt, "negative_prompt": negative_prompt, "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale, "width": width, "height": height, "seed": seed,
            "num_images": num_images, "scheduler": scheduler, "clip_skip": clip_skip, "strength": strength,
            "mask_blur": mask_blur, "inpaint_full_res": inpaint_full_res,
            "inpaint_full_res_padding": inpaint_full_res_padding, "inpainting_fill": inpainting_fill,
            "extend": extend, "subseed": subseed, "subseed_strength": subseed_strength, "enable_hr": enable_hr,
            "hr_scale": hr_scale, "hr_upscaler": hr_upscaler, "hr_second_pass_steps": hr_second_pass_steps,
            "top_k": top_k, "top_p": top_p, "temperature": temperature, "vae": vae,
        }  # fmt: skip
        with _ONE_AT_A_TIME:
            try:
                # 1. What is asked for, as this method's own door reads it.
                start, pictures = start_fields(image, mask_image, extend, self._settings, reference_images, edit=edit)
                start |= control_fields(control, self._settings, pictures)
                asked = validated(fields | start)
                # 2. Load the model, and fill in what it decides.
                loaded = self._load(self._wanted(model))
                resolved = self._catalog.resolve_for(asked, loaded.entry)
                request = resolved.request
                loaded = self._cache.load(resolved.entry, self._settings.models_folder)  # and what is to hold it
                self._check_output()
                # 3. Encode, denoise, decode: a pass for each few pictures (`rows.run_rows`).
                made = generate(
                    loaded,
                    request,
                    on_step=on_step,
                    cancelled=cancelled.is_set if cancelled else None,
                    wants_preview=throttle(self._settings.previews_per_s) if on_step else None,
                    cache=self._cache,
                    pictures=pictures,
                )
                # 4. Label and save.
                return self._result(request, made)
            except AtelierError as error:
                return {"success": False, "message": _sentence(error), "error": error.as_dict()}

    def upscale(self, image: Given, scale: int = 2, prompt: str = "", model: str | None = None) -> dict[str, Any]:
        """Make a picture `scale` (2, 3 or 4) times as wide and as high and save it, by Lanczos or an upscaling `model`.

        `prompt` is kept with it, and steers a model that draws the picture anew. Gives what `generate_image` gives.
        """
        with _ONE_AT_A_TIME:
            try:
                start, pictures = start_fields(image, None, NO_SIDES, self._settings)
                asked = validated({"prompt": prompt, "scale": scale, **start, "task": "upscale"})
                entry = self._entry(_model_name(model)) if model is not None else _NO_MODEL
                request = self._catalog.resolve_for(asked, entry).request
                self._check_output()
                upscaler = None
                if family_of(entry.pipeline).only_enlarges:
                    upscaler = self._cache.upscaler(entry, self._settings.models_folder)
                return self._result(request, [enlarged(request, pictures, upscaler, cache=self._cache)])
            except AtelierError as error:
                return {"success": False, "message": _sentence(error), "error": error.as_dict()}

    def history(self) -> list[dict[str, Any]]:
        """What this object made, newest first: each picture's recipe and its `path`. Never waits for a run."""
        return [dict(item) for item in reversed(self._history.copy())]

    def _wanted(self, model: str | None) -> str:
        if model is not None:
            return _model_name(model)
        if self._not_loaded:
            raise ModelNotLoaded(f"No model is loaded: {self._not_loaded}")
        return self._current or self._catalog.default_key

    def _check_output(self) -> None:
        """Raises InvalidRequest if no picture could be saved, before one is made."""
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.output_dir):
                pass
        except OSError as error:
            allowed = f"a folder that can be written is needed ({error.strerror})"
            raise InvalidRequest([FieldError("output_dir", str(self.output_dir), allowed)]) from None

    def _load(
        self, model: str, *, download: bool = False, on_event: Callable[[str, int, int], None] | None = None
    ) -> LoadedModel:
        entry = self._own_entries.get(model) or self._entry(model)
        return self._cache.load(entry, self._settings.models_folder, on_event, download=download)

    def _entry(self, model: str) -> ModelEntry:
        try:
            return self._catalog.get(model)
        except UnknownModel:
            if _is(Path.is_dir, model):
                entry = folder_entry(Path(model).resolve())
            elif _is(Path.is_file, model):
                entry = file_entry(Path(model))
            elif model.count("/") == 1 and not model.startswith((".", "/")):
                entry = hub_entry(model)
            else:
                raise
        self._own_entries[model] = self._own_entries[entry.key] = entry
        return entry

    def _result(self, request: GenerationRequest, pictures: list[Picture]) -> dict[str, Any]:
        job_id, created = secrets.token_hex(8), datetime.now(UTC)
        recipes = [_recipe(request, picture, job_id, created) for picture in pictures]
        paths = [
            self._save(request, picture, recipe, created) for picture, recipe in zip(pictures, recipes, strict=True)
        ]
        self._history += [{**recipe, "path": path} for recipe, path in zip(recipes, paths, strict=True)]
        seconds = sum(picture.how["seconds"] for picture in pictures)
        plural = "picture" if len(pictures) == 1 else "pictures"
        return {
            "success": True,
            "images": [Image.frombytes("RGB", (p.width, p.height), p.rgb) for p in pictures],
            "paths": paths,
            "seeds": [picture.seed for picture in pictures],
            "metadata": recipes,
            "message": f"{len(pictures)} {plural} in {seconds:.1f} s.",
        }

    def _save(self, request: GenerationRequest, picture: Picture, recipe: dict[str, Any], created: datetime) -> str:
        data = encode(
            stated(request, picture), picture.rgb, picture.width, picture.height, recipe, image_id=recipe["image_id"]
        )
        path = self.output_dir / f"{created:%Y%m%d-%H%M%S}-{recipe['image_id']}.png"
        unfinished = path.with_suffix(".tmp")
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)  # a reader never sees half a picture
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise ServerError(f"The picture could not be saved in {self.output_dir}: {error.strerror}.") from None
        return str(path)


def _recipe(request: GenerationRequest, picture: Picture, job_id: str, created: datetime) -> dict[str, Any]:
    return {
        "image_id": f"{job_id}-{picture.index}",
        "job_id": job_id,
        "index": picture.index,
        "seed": picture.seed,
        "origin": "library",
        "created_at": created.isoformat(),
        "request": stated(request, picture).model_dump(mode="json"),
        "how": picture.how,
        **({"composite": True} if request.inputs else {}),  # what was given need not be a machine's
    }


class ModelNotLoaded(CallerError):
    """No model is loaded."""

    code = "model_not_loaded"
    http_status = 409


def _model_name(model: object) -> str:
    """Raises InvalidRequest for what cannot name a model."""
    name = os.fspath(model) if isinstance(model, os.PathLike) else model
    if not isinstance(name, str) or not name.strip():
        raise InvalidRequest([FieldError("model", model, _WHICH_MODEL)])
    return name


def _is(kind: Callable[[Path], bool], name: str) -> bool:
    """False too for a name that the system refuses, such as one that is too long."""
    try:
        return kind(Path(name))
    except (OSError, ValueError):
        return False


def _sentence(error: AtelierError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message
