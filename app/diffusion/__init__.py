"""The only room with torch: find, check, load, run and free diffusers pipelines. Knows no HTTP, page or database."""

import os

# These three are read once, when torch and diffusers are first imported, so they must be set before that.
# 1. Never run code that comes with a model, whatever a model's config asks for.
os.environ.setdefault("DIFFUSERS_DISABLE_REMOTE_CODE", "1")
# 2. OpenMP threads sleep instead of spinning at their barriers: with any other busy process on the same cores,
#    spinning makes a picture 40 times slower (8 s instead of 0.2 s, measured on two cores); alone it costs nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# 3. No advice about torchvision, which nothing here needs.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from app.diffusion.service import DiffusionService

__all__ = ["DiffusionService"]
