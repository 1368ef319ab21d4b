"""Whether OpenVINO computes a model that was just loaded, and why not."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch

from app.catalog import ModelEntry
from app.core.errors import ModelRefused
from app.core.settings import Compute, Tier
from app.diffusion.compiled.parts import Part, parts_for
from app.diffusion.compiled.replace import MOST_SHAPES, Compiled, compiled_parts, replace
from app.diffusion.compiled.translate import kept_name, translated
from app.diffusion.kinds import Pipeline
from app.diffusion.machine import BF16_MIN_PARAMETERS
from app.diffusion.placement import channels_last
from app.tiers.plan import Plan

OnEvent = Callable[[str, int, int], None]

PACKAGE = "openvino"
REQUIREMENTS_FILE = "requirements-openvino.txt"
WHOLE = (Tier.RESIDENT, Tier.RELEASED)  # tiers in which the denoiser stays where it is, as it is

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Computing:
    """What the owner wants to compute with, and the folder for translations (none: torch computes).

    AUTO takes OpenVINO for models of BF16_MIN_PARAMETERS and more: a fixed rule, so that a seed gives the same picture
    on every start of a machine.
    """

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
        if find_spec(PACKAGE) is None:
            if self.wish is Compute.AUTO:
                return ""
            words = f"ATELIER_COMPUTE={self.wish} needs the package {PACKAGE}, which is not installed."
            raise ModelRefused(words, hint=f"pip install -r {REQUIREMENTS_FILE}")
        parts = parts_for(pipe)
        reason = self._against(parts, plan) or _replaced(parts, self.folder, entry, files, tell)
        if reason:
            logger.info("%s is computed by torch: %s", entry.key, reason)
        return f"computed by torch: {reason}" if reason and self.wish is Compute.OPENVINO else ""

    def _against(self, parts: list[Part], plan: Plan) -> str:
        if not parts:
            return "OpenVINO computes the UNets of Stable Diffusion and SDXL alone"
        if plan.tier not in WHOLE:
            return f"the memory tier {plan.tier} moves or changes the weights"
        weights = list(parts[0].module.parameters())
        if self.wish is Compute.AUTO and sum(one.numel() for one in weights) < BF16_MIN_PARAMETERS:
            return "the model is small"
        needs = sum(tensor.nbytes for part in parts for tensor in part.module.parameters())
        if psutil.virtual_memory().available < MOST_SHAPES * needs:
            return "there is no room for the weights twice more"
        return ""


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
    at_work = compiled_parts([getattr(pipe, "unet", None)])
    return {"compute": f"{PACKAGE} {version(PACKAGE)}"} if at_work else {}
