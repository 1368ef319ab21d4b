"""Atelier, a self-hosted text-to-image studio.

Imports point one way: tests/rooms.py says what each room may import, docs/architecture.md what it is for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.diffusion import DiffusionService

__version__ = "0.1.0"
__all__ = ["DiffusionService", "__version__"]


def __getattr__(name: str) -> object:
    # The one lazy import of the package: `from app import DiffusionService` must work, while every other
    # process (HTTP service, page, command line) must be able to import `app` without paying for torch.
    if name == "DiffusionService":
        try:
            from app.diffusion import DiffusionService
        except ModuleNotFoundError as missing:
            if missing.name not in ("torch", "diffusers", "transformers", "accelerate"):
                raise
            raise ModuleNotFoundError(
                f"DiffusionService needs {missing.name}: pip install 'atelier[service]', or in a checkout "
                "pip install -r image_generation_service_requirements.txt",
                name=missing.name,
            ) from None
        return DiffusionService
    raise AttributeError(f"module 'app' has no attribute {name!r}")
