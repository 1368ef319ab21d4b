"""A machine whose clock is wrong."""

import os
from pathlib import Path


def skewed(seconds: float) -> dict[str, str]:
    """Environment variables with which every Python program, and those that it starts, has a clock that is so wrong."""
    folders = [str(Path(__file__).parent / "skew"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(folders).rstrip(os.pathsep), "SKEW_S": str(seconds)}
