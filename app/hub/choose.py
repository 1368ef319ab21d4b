"""Which of a repository's files a pipeline needs: no code, no pickles, one set of weights per component."""

import fnmatch
import re
from collections.abc import Iterable

WANTED = ("model_index.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors", "*/*.jinja")
NEVER = ("*.py", "*onnx*", "*flax*", "*openvino*", "*non_ema*", "safety_checker/*", "feature_extractor/*.safetensors")
WEIGHTS = ".safetensors"
_ALONE = re.compile(
    r"((preprocessor|processor|generation|tokenizer)_)?config\.json|tokenizer\.(json|model)|(vocab|added_tokens)\.json"
    r"|special_tokens_map\.json|vocab\.txt|merges\.txt|spiece\.model|(diffusion_pytorch_)?model[A-Za-z0-9._-]*\.safetensors(\.index[a-z0-9.]*\.json)?"
    r"|ip[-_]adapter[A-Za-z0-9_-]*\.safetensors|image_encoder/((preprocessor_)?config\.json|model\.safetensors)"
)
_VARIANT = re.compile(r"\.([a-z]+[0-9]+[a-z0-9_]*)(?:-[0-9]{5}-of-[0-9]{5})?\.safetensors$")


def wanted_files(names: Iterable[str], variant: str | None = None) -> list[str]:
    """The files to download, in the order given: of each component the weights of `variant`, else those of none."""
    chosen = [name for name in names if _is_wanted(name)]
    with_variant = {_component(name) for name in chosen if variant and _variant_of(name) == variant}
    return [
        name
        for name in chosen
        if not name.endswith(WEIGHTS) or _variant_of(name) == (variant if _component(name) in with_variant else None)
    ]


def wanted_of_one(names: Iterable[str], variant: str | None = None) -> list[str]:
    """The files of a repository that holds one model and no pipeline: its configurations and one set of weights."""
    chosen = [name for name in names if _ALONE.fullmatch(name)]
    served = {_variant_of(name) for name in chosen if name.endswith(WEIGHTS)}
    which = variant if variant in served else None
    return [name for name in chosen if not name.endswith(WEIGHTS) or _variant_of(name) == which]


def other_variants(names: Iterable[str], chosen: Iterable[str]) -> dict[str, str]:
    """Components of which no weights were chosen because there are only those of another variant: name → variant."""
    served = {_component(name) for name in chosen if name.endswith(WEIGHTS)}
    left = [name for name in names if name.endswith(WEIGHTS) and _is_wanted(name)]
    return {_component(name): _variant_of(name) or "" for name in left if _component(name) not in served}


def _is_wanted(name: str) -> bool:
    # A name is a path below the model's folder on every system: `..` and a backslash could lead out of it.
    outside = ".." in name or "\\" in name or name.startswith("/") or ":" in name
    fits = any(fnmatch.fnmatch(name, pattern) for pattern in WANTED)
    return fits and not outside and not any(fnmatch.fnmatch(name, pattern) for pattern in NEVER)


def _component(name: str) -> str:
    return name.split("/")[0]


def _variant_of(name: str) -> str | None:
    """`fp16` of `model.fp16.safetensors` and of `model.fp16-00001-of-00002.safetensors`."""
    found = _VARIANT.search(name)
    return found[1] if found else None
