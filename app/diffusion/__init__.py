"""The only room with torch: find, check, load, run and free diffusers pipelines. Knows no HTTP, page or database."""

import os

# These four are read once, when torch and diffusers are first imported, so they must be set before that.
# 1. Never run code that comes with a model, whatever a model's config asks for.
os.environ.setdefault("DIFFUSERS_DISABLE_REMOTE_CODE", "1")
# 2. OpenMP threads sleep instead of spinning at their barriers: with any other busy process on the same cores,
#    spinning makes a picture 40 times slower (8 s instead of 0.2 s, measured on two cores); alone it costs nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# 3. No advice about torchvision, which nothing here needs.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# 4. The model hub hears which model is downloaded, and nothing about this machine or its user.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from app.diffusion.service import DiffusionService

__all__ = ["DiffusionService"]
