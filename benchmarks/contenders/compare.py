"""Part `contenders`: each against plain diffusers in float32, and ours against the best of the plain ones, in pairs."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.contenders.names import FLOAT32, IN_PROCESS, OPENVINO, SERVERS, SERVICE, SERVICE_TORCH, TUNED
from benchmarks.figures import Figure, Options, in_pairs, ratio
from benchmarks.large import make_large

BEST = "ours, over HTTP ÷ the best plain one"
ALL = (TUNED, OPENVINO, *SERVERS, IN_PROCESS, SERVICE_TORCH, SERVICE)
MOST = {"sd15": 0.36, "sdxl": 0.45, "pixart": 0.45}
TO_BEST = 1.03
# Weights in float32 and in bfloat16, with what OpenVINO keeps of them: two contenders run side by side if both fit.
NEEDS = {"sd15": 14 * 2**30, "pixart": 12 * 2**30, "sdxl": 34 * 2**30}
LIMIT_S = 1800


class Contender:
    """A contender's process. Use as a context manager."""

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        work = options.work / "contenders" / name.replace(" ", "-").replace("'", "")
        work.mkdir(parents=True, exist_ok=True)
        self._command = [sys.executable, "-m", "benchmarks.contenders", name, str(folder), str(work)]
        self._command += [str(options.size), str(options.steps)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Contender":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, text=True, **pipes)  # type: ignore[call-overload]
        if self._line() != "ready":
            raise RuntimeError(f"it did not start; try it alone: {' '.join(self._command)}")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate(timeout=LIMIT_S)

    def __call__(self) -> float:
        """Draw one picture; its seconds."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("draw\n")
        self._process.stdin.flush()
        return float(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        timer = threading.Timer(LIMIT_S, self._process.kill)
        timer.start()
        try:
            line: str = self._process.stdout.readline()
        finally:
            timer.cancel()
        return line.strip()


def measure(options: Options) -> Iterator[Figure]:
    """The ratios, ours last, for it is asked to be as quick as the best of the others."""
    folder = make_large(options.large, options.work / options.large)
    pairs = min(options.pairs, 6)
    together = psutil.virtual_memory().available > NEEDS.get(options.large, 0)
    found: dict[str, float] = {}
    for name in [name for name in ALL if not options.only or name in options.only]:
        if name == OPENVINO and options.tiny:
            continue
        most = MOST.get(options.large) if name == SERVICE else None
        figure = ratio(f"{name} ÷ {FLOAT32}", _compared(FLOAT32, name, folder, options, pairs, together), most=most)
        found[name] = figure.value
        yield figure
    plain = {name: found[name] for name in (TUNED, OPENVINO) if name in found}
    if (options.only and BEST not in options.only) or not (plain or options.only):
        return
    best = min(plain, key=plain.__getitem__) if plain else OPENVINO
    compared = _compared(best, SERVICE, folder, options, pairs, together)
    yield ratio(f"{SERVICE} ÷ {best}", compared, most=None if options.tiny else TO_BEST)


def _compared(
    one: str, other: str, folder: Path, options: Options, pairs: int, together: bool
) -> list[tuple[float, float]]:
    """Pairs of seconds, of processes side by side; or, where both do not fit, of one after the other."""
    if together:
        with Contender(one, folder, options) as first, Contender(other, folder, options) as second:
            return in_pairs(first, second, pairs)

    def alone(name: str) -> Callable[[], float]:
        def draw() -> float:
            with Contender(name, folder, options) as contender:
                return contender()

        return draw

    return in_pairs(alone(one), alone(other), min(pairs, 2))
