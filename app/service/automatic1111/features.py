"""What A1111 can do and Atelier cannot (yet): a request that asks for it is refused by name, never drawn without it.

The values that switch a feature off are fine; the real clients send most of them in every request.
"""

from collections.abc import Mapping
from typing import Any

from app.core.samplers import Choice

_OFF = (None, False, 0, "")
# Field → the values that ask for nothing. 0 and False are equal, and so are 1 and 1.0.
TXT2IMG: Mapping[str, tuple[Any, ...]] = {
    "hr_checkpoint_name": (*_OFF, "Use same checkpoint"),
    "hr_sampler_name": (*_OFF, "Use same sampler"),
    "hr_scheduler": (*_OFF, "Use same scheduler", "Automatic", "automatic"),
    "hr_prompt": _OFF,
    "hr_negative_prompt": _OFF,
    "restore_faces": _OFF,
    "tiling": _OFF,
    "script_name": (*_OFF, "None"),
    "refiner_checkpoint": (*_OFF, "None"),
    "firstpass_image": _OFF,
    "firstphase_width": _OFF,
    "firstphase_height": _OFF,
    "seed_resize_from_w": (*_OFF, -1),
    "seed_resize_from_h": (*_OFF, -1),
    "eta": (*_OFF, 1),  # see eta_comment
    "s_churn": _OFF,
    "s_tmin": _OFF,
    "s_tmax": _OFF,
    "s_noise": (None, 1),
    "s_min_uncond": _OFF,
    "disable_extra_networks": _OFF,
}
INSTEAD: Mapping[str, str] = {
    "script_name": "scripts are not run here; for an X/Y/Z plot use POST /api/grids, `atelier grid`, or the Grid tab",
}
# `image_cfg_scale` is for one kind of model, which is not here: it is ignored, as A1111 does for all others.
IMG2IMG: Mapping[str, tuple[Any, ...]] = {
    **TXT2IMG,
    "enable_hr": _OFF,
    "latent_mask": _OFF,
    "initial_noise_multiplier": (*_OFF, 1),
}
OVERRIDES: Mapping[str, tuple[Any, ...]] = {
    "forge_additional_modules": (*_OFF, []),
    "eta_noise_seed_delta": _OFF,
    "sd_hypernetwork": (*_OFF, "None"),
}
# Those that are obeyed, and those that do not change what is drawn: how a server saves, shows and names things.
HARMLESS_OVERRIDES = ("sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers", "sd_checkpoint_hash", "samples_",
                      "grid_", "save_", "outdir_", "return_", "enable_pnginfo", "show_progress_", "live_preview",
                      "do_not_")  # fmt: skip
UPSCALING: Mapping[str, tuple[Any, ...]] = {
    "gfpgan_visibility": _OFF,
    "codeformer_visibility": _OFF,
    "extras_upscaler_2_visibility": _OFF,
    "upscaler_2": (*_OFF, "None"),
}
OWN_ETA = "DDIM"  # with A1111's default it takes eta 0, whatever webuiapi's 1.0 says


def eta_comment(eta: Any, choice: Choice | None) -> str:
    """What is said when an eta was sent that the sampler did not take."""
    sampler = choice.sampler.name if choice and choice.sampler else None
    return f"eta {eta} was not used: {OWN_ETA} ran with eta 0." if eta and sampler == OWN_ETA else ""


def is_script_off(script: Any) -> bool:
    """True for an extension's arguments that switch it off: none, a first `false`, units that are not enabled."""
    args = script.get("args") if isinstance(script, Mapping) else script
    if not args:
        return True
    return isinstance(args, list) and (args[0] is False or all(_is_unit_off(unit) for unit in args))


def _is_unit_off(unit: Any) -> bool:
    return isinstance(unit, Mapping) and unit.get("enabled") is False
