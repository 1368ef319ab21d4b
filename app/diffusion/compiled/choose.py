"""Whether OpenVINO computes a model that was just loaded, and why not."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from app.catalog import ModelEntry
from app.core.errors import ModelRefused
from app.core.settings import Compute
from app.diffusion.compiled.part import Part
from app.diffusion.compiled.parts import parts_for
from app.diffusion.compiled.replace import Compiled, compiled_parts, replace
from app.diffusion.compiled.translate import kept_name, translated
from app.diffusion.kinds import Pipeline
from app.diffusion.placement import channels_last
from app.tiers.compute import PACKAGE, computed, installed
from app.tiers.plan import Plan

OnEvent = Callable[[str, int, int], None]

REQUIREMENTS_FILE = "requirements-openvino.txt"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Computing:
    """What the owner wants to compute with, and the folder for translations (none: torch computes)."""

    wish: Compute = Compute.TORCH
    folder: Path | None = None

    def take_over(
        self,
        pipe: Pipeline,
        entry: ModelEntry,
        plan: Plan,
        device: torch.device,
        files: object,
        tell: OnEvent,
    ) -> str:
        """Let OpenVINO compute the parts of the pipeline that it can; a translation that is missing is made first.

        Gives the reason why torch computes although OpenVINO was asked for by name, else "". Raises ModelRefused if it
        was, and is not installed.
        """
        if self.wish is Compute.TORCH or self.folder is None or device.type != "cpu":
            return ""
        there = installed()
        if not there and self.wish is Compute.OPENVINO:
            words = f"ATELIER_COMPUTE={self.wish} needs the package {PACKAGE}, which is not installed."
            raise ModelRefused(words, hint=f"pip install -r {REQUIREMENTS_FILE}")
        parts = parts_for(pipe)
        choice = computed(
            entry,
            plan,
            self.wish,
            on_gpu=False,
            there=there,
            denoiser=sum(one.numel() for one in parts[0].module.parameters()) if parts else 0,
            weight_bytes=sum(tensor.nbytes for part in parts for tensor in part.module.parameters()),
            ram_free=psutil.virtual_memory().available,
        )
        if choice.by is Compute.TORCH:
            reason = choice.why
        elif not parts:
            reason = "its denoiser is of a kind that OpenVINO does not know"
        else:
            reason = _replaced(parts, self.folder, entry, files, tell)
        if reason:
            logger.info("%s is computed by torch: %s", entry.key, reason)
        return f"computed by torch: {reason}" if reason and self.wish is Compute.OPENVINO else ""


def _replaced(parts: list[Part], folder: Path, entry: ModelEntry, files: object, tell: OnEvent) -> str:
    for done, part in enumerate(parts):
        if isinstance(getattr(part.module, "forward", None), Compiled):
            continue  # a component that another loaded model has, too
        name = kept_name(entry.key, part.name, part.module, files)
        if not (folder / f"{name}.xml").is_file():
            tell("translating", done, len(parts))
        try:
            needs = sum(tensor.nbytes for tensor in part.module.parameters())
            folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(folder).free < 2 * needs:
                return f"the disk has no room for a translation of {2 * needs / 2**30:.1f} GiB"
            file = translated(part.traced, part.example, folder, entry.key, part.name, name)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - tracing runs the model's whole code; torch computes it as well
            return f"{type(error).__name__}: {error}"
        finally:
            channels_last(part.module)
        replace(part.module, file, part.arrange, part.answer)
    return ""


def computed_by(pipe: Pipeline) -> dict[str, str]:
    """`{"compute": "openvino 2026.4.1"}` for the recipe while OpenVINO computes the denoiser, else nothing."""
    at_work = compiled_parts([getattr(pipe, name, None) for name in ("unet", "transformer")])
    return {"compute": f"{PACKAGE} {version(PACKAGE)}"} if at_work else {}
