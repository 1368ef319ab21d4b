"""Names for the objects of diffusers that pass through this room. Its classes build their attributes at run time,
so a type checker can say nothing about them: these names are for readers."""

from typing import Any, TypeAlias

Pipeline: TypeAlias = Any  # diffusers.DiffusionPipeline
Scheduler: TypeAlias = Any  # diffusers.SchedulerMixin with ConfigMixin
Vae: TypeAlias = Any  # diffusers.AutoencoderKL and its relatives
