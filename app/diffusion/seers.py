"""Models that are preprocessors: what they see in a picture, as a picture that control models read."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image

from app.catalog import ModelEntry
from app.core.control import Preprocessor
from app.core.errors import ModelRefused
from app.diffusion.alone import load_alone
from app.families import family_of
from app.picture.fit import flat, scaled
from app.picture.pose import drawn

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures that ViTPose learnt from
SURE = 0.3  # of a place of the body, from which on it is drawn
PLACES = 17  # of COCO's bodies


class Seer(torch.nn.Module):  # type: ignore[misc]
    """A loaded model that is a preprocessor. The same picture always gives the same bytes on one device."""

    def __init__(self, preprocessor: Preprocessor, network: torch.nn.Module, looks: Any) -> None:
        super().__init__()
        self.preprocessor = preprocessor
        self.network = network
        self.looks = looks

    @torch.no_grad()
    def seen(self, picture: Image.Image) -> Image.Image:
        """What it sees in an RGB picture, in the picture's size and in RGB."""
        return self._depth(picture) if self.preprocessor is Preprocessor.DEPTH else self._pose(picture)

    def _depth(self, picture: Image.Image) -> Image.Image:
        """The nearest white, the farthest black."""
        values = self.looks(images=picture, return_tensors="pt")["pixel_values"]
        depth = self.network(pixel_values=self._there(values)).predicted_depth[None].float()
        size = picture.height, picture.width
        depth = torch.nn.functional.interpolate(depth, size=size, mode="bicubic", align_corners=False)[0, 0]
        low, high = depth.min(), depth.max()
        share = (depth - low) / (high - low).clamp(min=1e-6)
        if getattr(self.network.config, "depth_estimation_type", "relative") == "metric":  # in metres from the eye
            share = 1 - share
        grey = share.mul(255).round().to(torch.uint8).cpu().numpy()
        return Image.fromarray(grey).convert("RGB")

    def _pose(self, picture: Image.Image) -> Image.Image:
        """The one person that the whole picture is taken to show."""
        high, wide = self.network.config.backbone_config.image_size
        share = min(wide / picture.width, high / picture.height)
        inner = max(1, round(picture.width * share)), max(1, round(picture.height * share))
        left, top = (wide - inner[0]) // 2, (high - inner[1]) // 2
        canvas = Image.new("RGB", (wide, high))
        canvas.paste(scaled(picture, *inner, Image.Resampling.BILINEAR), (left, top))
        data = torch.frombuffer(bytearray(canvas.tobytes()), dtype=torch.uint8).view(high, wide, 3)
        mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
        values = ((data / 255 - mean) / deviation).permute(2, 0, 1)[None]
        maps = self.network(pixel_values=self._there(values)).heatmaps[0].float().cpu()
        rows, columns = maps.shape[1:]
        body = {}
        for number, one in enumerate(maps[:PLACES]):
            place = int(one.argmax())
            if float(one.flatten()[place]) >= SURE:
                x, y = (place % columns + 0.5) * wide / columns, (place // columns + 0.5) * high / rows
                body[number] = ((x - left) / share, (y - top) / share)
        return drawn(body, *picture.size)

    def _there(self, values: torch.Tensor) -> torch.Tensor:
        first = next(self.network.parameters())
        there: torch.Tensor = values.to(first.device, first.dtype)
        return there


def read_seer(entry: ModelEntry, folder: Path) -> Seer:
    """The model in a folder, in float32. Raises ModelRefused, and what the libraries raise."""
    preprocessor = family_of(entry.pipeline).sees
    if preprocessor is None:
        raise ModelRefused(f"{entry.key} is no preprocessor.")
    network = load_alone(entry, folder, torch.device("cpu"), torch.float32)
    looks: Any = None
    if preprocessor is Preprocessor.DEPTH:
        here = (folder / "preprocessor_config.json").is_file()
        looks = transformers.DPTImageProcessorPil
        looks = looks.from_pretrained(folder, local_files_only=True) if here else looks()
    return Seer(preprocessor, network, looks)


def seen_as_png(seer: Seer, file: bytes) -> bytes:
    """What it sees in a PNG, as a PNG."""
    with Image.open(BytesIO(file), formats=["PNG"]) as picture:
        picture.load()
    stream = BytesIO()
    seer.seen(flat(picture)).save(stream, "PNG")
    return stream.getvalue()
