"""Both passes of the hires fix, over the same rows: from words, then from what that made, enlarged."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from app.core.errors import GenerationCancelled
from app.core.hires import from_latents, second_pass, steps_again
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.shapes import as_drawn
from app.diffusion.pipelines import LoadedModel
from app.diffusion.rows import Row, RunWatch, latents_of, run_rows
from app.diffusion.starts import Latents, Start, finished, whole
from app.diffusion.upscalers import Upscaler, fitted
from app.picture.fit import scaled


def run_twice(loaded: LoadedModel, rows: list[Row], asked: GenerationRequest, watch: RunWatch) -> dict[Row, Picture]:
    """`run_rows` for rows with a second pass; the pictures come in the size that is given out.

    `asked` has the sizes that all rows share, as they were asked for. The same as asking for the two passes by hand.
    Raises GenerationCancelled if nobody waits for any of them, and what `run_rows` and `Upscaler.enlarge` raise.
    """
    again = second_pass(asked)
    drawn = as_drawn(again, loaded.entry.shapes)
    upscaler = loaded.upscaler
    tiles = _steps_between(upscaler, asked) if upscaler else 0
    watch.beside = 0, tiles + steps_again(asked)
    first: dict[Row, Picture] = {}
    frames: dict[Row, Start] = {}
    notes: list[str] = []
    starts: dict[Row, Start | Latents]
    if from_latents(asked):
        starts = dict(zip(rows, _enlarged_latents(loaded, latents_of(loaded, rows, watch), drawn), strict=True))
    else:
        alone = asked.model_copy(update={"enable_hr": False})
        first = {row: finished(made, alone, None) for row, made in run_rows(loaded, rows, watch).items()}
        watch.beside = watch.steps, tiles + steps_again(asked)
        large, notes = _by_model(upscaler, first, asked, again, watch) if upscaler else _by_lanczos(first, again)
        starts = {row: whole(picture, None, drawn, again) for row, picture in large.items()}
        frames = {row: whole(picture, None, again, again) for row, picture in large.items()}
    watch.beside = watch.steps + tiles, 0
    second = {row: _second(row, drawn, starts[row]) for row in rows if row.request_index not in watch.dropped}
    if not second:
        raise GenerationCancelled
    made = run_rows(loaded, list(second.values()), watch)
    done = {row: finished(made[other], again, frames.get(row)) for row, other in second.items() if other in made}
    how = _between(upscaler, asked) if upscaler else {}
    return {
        row: replace(picture, how=_both(picture, first.get(row), asked, notes) | how) for row, picture in done.items()
    }


def _steps_between(upscaler: Upscaler, asked: GenerationRequest) -> int:
    """How many steps the upscaler makes for each picture."""
    return upscaler.steps(asked.width or 0, asked.height or 0, asked.hr_scale, upscaler.own(asked, asked.seed))


def _by_lanczos(first: dict[Row, Picture], again: GenerationRequest) -> tuple[dict[Row, Image.Image], list[str]]:
    size = again.width or 0, again.height or 0
    return {row: scaled(_opened(picture), *size, Image.Resampling.LANCZOS) for row, picture in first.items()}, []


def _by_model(
    upscaler: Upscaler, first: dict[Row, Picture], asked: GenerationRequest, again: GenerationRequest, watch: RunWatch
) -> tuple[dict[Row, Image.Image], list[str]]:
    """Each picture made larger by the model, less those that nobody waits for any more; and what is said of it."""
    large: dict[Row, Image.Image] = {}
    notes: list[str] = []
    for place, (row, picture) in enumerate(first.items()):

        def told(done: int, of: int, row: Row = row, place: int = place) -> None:
            watch.between(row.request_index, (place * of + done) // len(first))

        with suppress(GenerationCancelled):
            own = upscaler.own(row.request, row.seed)
            made = upscaler.enlarge(_opened(picture), asked.hr_scale, told, "hr_scale", own)
            large[row], notes = fitted(made, again.width or 0, again.height or 0)
    return large, notes


def _opened(picture: Picture) -> Image.Image:
    return Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)


def _between(upscaler: Upscaler, asked: GenerationRequest) -> dict[str, Any]:
    how = upscaler.maker.how(upscaler.own(asked, asked.seed))
    told = {name: how[name] for name in ("revision", "pipeline", "redrawn") if name in how}
    return {"hires_upscaler": {"model": upscaler.entry.key, "repository": upscaler.entry.repository, **told}}


def _enlarged_latents(loaded: LoadedModel, latents: torch.Tensor, drawn: GenerationRequest) -> list[Latents]:
    """As A1111 enlarges them."""
    factor = loaded.pipe.vae_scale_factor
    size = (drawn.height or 0) // factor, (drawn.width or 0) // factor
    return [Latents(row) for row in torch.nn.functional.interpolate(latents, size=size, mode="bilinear")]


def _second(row: Row, drawn: GenerationRequest, start: Start | Latents) -> Row:
    """The row's second pass: its words and seeds are its own."""
    own = {name: getattr(drawn, name) for name in ("task", "enable_hr", "width", "height", "num_inference_steps")}
    return replace(row, asked=replace(row.asked, request=row.request.model_copy(update=own)), start=start)


def _both(picture: Picture, first: Picture | None, asked: GenerationRequest, notes: list[str]) -> dict[str, Any]:
    """How the picture was made, in both passes, with what is said of what is between."""
    before: dict[str, Any] = first.how if first else {"seconds": 0.0, "notes": []}
    return {
        **picture.how,
        "first_pass": {"width": asked.width, "height": asked.height},
        "seconds": round(before["seconds"] + picture.how["seconds"], 3),
        "notes": list(dict.fromkeys([*before["notes"], *notes, *picture.how["notes"]])),
    }
