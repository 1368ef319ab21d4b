"""What must be so before anything of ours speaks with a cluster: whoever may call one runs code on all of it."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from app.core.settings import EngineKind, Settings, WrongSettings, wrong_setting

MODE = "RAY_AUTH_MODE"
OWN_PLACE = ".ray/auth_token"  # in the home folder; Ray's


def check_cluster(settings: Settings) -> None:
    """Raise WrongSettings if `settings.engine` is a cluster and this process could not, or must not, attach to one."""
    if settings.engine is not EngineKind.RAY:
        return
    if settings.ray_min > settings.ray_max:
        raise wrong_setting(settings, "ray_min", f"allowed is at most ATELIER_RAY_MAX, which is {settings.ray_max}")
    if importlib.util.find_spec("ray") is None:
        raise WrongSettings(
            "ATELIER_ENGINE is 'ray', and the package ray is not installed.",
            hint="pip install -r requirements-cluster.txt",
        )
    gap = token_gap(os.environ)
    if gap:
        raise WrongSettings(
            f"ATELIER_ENGINE is 'ray', but {gap}",
            hint="A cluster without a token runs whatever anybody sends it. Every machine of the cluster needs "
            "RAY_AUTH_MODE=token and the same token: docs/guides/cluster.md.",
        )


def token_gap(environment: Mapping[str, str]) -> str | None:
    """What is missing for calls that only who knows the token can make; None if nothing is."""
    mode = environment.get(MODE, "")
    if mode.lower() != "token":
        return f"RAY_AUTH_MODE is {mode!r}; allowed is 'token'."
    if environment.get("RAY_AUTH_TOKEN", "").strip():
        return None
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path(environment.get("HOME") or os.path.expanduser("~")) / OWN_PLACE
    try:
        return None if file.read_text("utf-8").strip() else f"the token in {file} is empty."
    except OSError:
        return f"there is no token in RAY_AUTH_TOKEN, and none can be read from {file}."
