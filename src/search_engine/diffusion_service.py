"""The import path of the original documentation: re-exports, nothing else."""

from app.diffusion import DiffusionService

__all__ = ["DiffusionService"]
