"""What a process of ours hands on of its environment: named variables, and never what looks like a secret."""

from collections.abc import Collection, Mapping

COMPUTING = {
    "PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "LANG", "LANGUAGE", "TZ", "SYSTEMROOT", "WINDIR", "COMSPEC",
    "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS", "PYTHONFAULTHANDLER", "PYTHONUTF8",
    "MACHINE_SIZE", "DO_NOT_TRACK",
}  # fmt: skip
BEGINNINGS = (
    "LC_", "OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "OPENBLAS_", "MALLOC_", "TORCH_", "PYTORCH_", "CUDA_",
    "CUBLAS_", "CUDNN_", "NVIDIA_", "HSA_", "HIP_", "ROCR_", "MIOPEN_", "DIFFUSERS_", "TRANSFORMERS_", "SAFETENSORS_",
    "HF_HUB_", "HF_XET_",
)  # fmt: skip
SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH", "URL")


def handed_on(own: Mapping[str, str], *, more: Collection[str] = ()) -> dict[str, str]:
    """What computing needs, and `more` by name (in capitals; the case of the variable does not matter)."""
    return {name: value for name, value in own.items() if name.upper() in more or _is_kept(name.upper())}


def _is_kept(name: str) -> bool:
    secret = any(word in name for word in SECRET_WORDS)
    return name in COMPUTING or (name.startswith(BEGINNINGS) and not secret)
