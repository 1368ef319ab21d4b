"""Where a loaded model came from."""

from dataclasses import dataclass
from pathlib import Path

from app.catalog import ModelEntry
from app.diffusion.pipelines import Checked, OnEvent
from app.diffusion.placement import packages
from app.diffusion.single_file import CheckedFile
from app.diffusion.stamps import Stamp
from app.tiers.model_parts import ModelParts


@dataclass(frozen=True)
class Source:
    """What is needed to load a model once more."""

    entry: ModelEntry
    checked: Checked
    parts: ModelParts
    folder: Path
    on_event: OnEvent | None
    stamp: Stamp

    @property
    def pixels(self) -> int:
        """Of the picture that it is laid out in memory for."""
        return self.entry.width * self.entry.height

    @property
    def packages(self) -> frozenset[str]:
        """The optional packages that it can be quantized with: only a folder's denoiser can be while it is read."""
        return frozenset() if isinstance(self.checked, CheckedFile) else packages()
