"""The samplers of ComfyUI and InvokeAI by our names.

Sources: ComfyUI's `comfy/samplers.py` (`KSAMPLER_NAMES`, `SCHEDULER_HANDLERS`), InvokeAI's
`backend/stable_diffusion/schedulers/schedulers.py`.
"""

from app.core.samplers import parse_scheduler

_COMFY = {
    "euler": "Euler", "euler_ancestral": "Euler a", "heun": "Heun", "dpm_2": "DPM2", "dpm_2_ancestral": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M", "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_3m_sde": "DPM++ 3M SDE", "dpmpp_sde": "DPM++ SDE",
    "uni_pc": "UniPC", "deis": "DEIS", "ddim": "DDIM", "ddpm": "DDPM", "lcm": "LCM",
}  # fmt: skip
# "normal" and "simple" are what ComfyUI takes where nobody chose.
_COMFY_SCHEDULES = {
    "normal": "", "simple": "", "karras": "Karras", "exponential": "Exponential", "sgm_uniform": "SGM Uniform",
}  # fmt: skip
_INVOKE = {
    "euler": "Euler", "euler_a": "Euler a", "heun": "Heun", "kdpm_2": "DPM2", "kdpm_2_a": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M", "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_2s": "DPM++ 2S", "dpmpp_sde": "DPM++ SDE",
    "unipc": "UniPC", "deis": "DEIS", "ddim": "DDIM", "ddpm": "DDPM", "pndm": "PLMS", "lcm": "LCM", "tcd": "TCD",
}  # fmt: skip
_INVOKE_KARRAS = "_k"


def of_comfyui(sampler: object, schedule: object) -> str | None:
    """Our name of ComfyUI's pair, whether or not the two go together here; theirs, as it is, if we have none, so that
    somebody sees it."""
    if not isinstance(sampler, str) or not sampler:
        return None
    spread = schedule if isinstance(schedule, str) and schedule else "normal"
    ours, ending = _COMFY.get(sampler.removesuffix("_gpu")), _COMFY_SCHEDULES.get(spread)
    if ours is None or ending is None:
        return f"{sampler} {spread}" if _COMFY_SCHEDULES.get(spread) != "" else sampler
    return f"{ours} {ending}".strip()


def of_invokeai(name: object) -> str | None:
    """Our name of InvokeAI's; theirs, as it is, if we have none."""
    if not isinstance(name, str) or not name:
        return None
    plain = name.removesuffix(_INVOKE_KARRAS)
    karras = " Karras" if plain != name else ""
    ours = _INVOKE.get(plain)
    return _known(f"{ours}{karras}" if ours else name) or name


def _known(name: str) -> str | None:
    choice = parse_scheduler(name)
    return choice.value if choice else None
