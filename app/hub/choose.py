"""Which of a repository's files a pipeline needs: no code, no pickles, one set of weights per component."""

import fnmatch
from collections.abc import Iterable

WANTED = ("model_index.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors", "*/*.jinja")
NEVER = ("*.py", "*onnx*", "*flax*", "*openvino*", "*non_ema*", "safety_checker/*", "feature_extractor/*.safetensors")


def wanted_files(names: Iterable[str], variant: str | None = None) -> list[str]:
    """The files to download, in the order given. Where a component has weights of the `variant`, the others stay."""
    chosen = [name for name in names if _is_wanted(name)]
    tag = f".{variant}." if variant else None
    with_variant = {name.split("/")[0] for name in chosen if tag and tag in name and name.endswith(".safetensors")}
    return [
        name
        for name in chosen
        if not name.endswith(".safetensors") or _is_variant(name, tag) == (name.split("/")[0] in with_variant)
    ]


def _is_wanted(name: str) -> bool:
    # A name is a path below the model's folder on every system: `..` and a backslash could lead out of it.
    outside = ".." in name or "\\" in name or name.startswith("/") or ":" in name
    fits = any(fnmatch.fnmatch(name, pattern) for pattern in WANTED)
    return fits and not outside and not any(fnmatch.fnmatch(name, pattern) for pattern in NEVER)


def _is_variant(name: str, tag: str | None) -> bool:
    file = name.split("/")[-1]
    return tag in file if tag else ".fp16." in file or ".bf16." in file
