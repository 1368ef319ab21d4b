"""`python -m tests.ui.samples`: draw the pictures that an empty page shows, with the shipped model."""

import json
import tempfile

from app.diffusion import DiffusionService
from app.ui.strings import LOCALES_FOLDER
from app.ui.views.generate import SAMPLES, SAMPLES_FOLDER

SEED = 5


def main() -> None:
    """One WebP for each name in SAMPLES, from its English words."""
    texts = json.loads((LOCALES_FOLDER / "en.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        service = DiffusionService(output_dir=folder)
        service.load_model("pocket")
        for name in SAMPLES:
            made = service.generate_image(
                prompt=texts[f"example_{name}"], negative_prompt="blurry, low quality, watermark",
                width=256, height=256, num_inference_steps=2, guidance_scale=1.5, seed=SEED,
            )  # fmt: skip
            made["images"][0].save(SAMPLES_FOLDER / f"{name}.webp", quality=85)


if __name__ == "__main__":
    main()
