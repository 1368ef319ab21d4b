"""One saved picture on the page: the picture itself, what can be done with it, and what is known about it."""

from collections.abc import Mapping
from typing import Any

from app.core.parameters import numbers_of_infotext
from app.core.picture import FORMATS
from app.core.samplers import DEFAULT
from app.core.schema import GenerationRequest
from app.core.task import Task
from app.ui.markup import Markup, action, attributes, icon, join
from app.ui.strings import Words
from app.ui.times import duration

FAR = 0.75  # how far variations go unless it is said: 0 would be the picture, 1 is another; less looks alike


def picture_url(image_id: str) -> str:
    """Where the page finds the PNG exactly as it was saved."""
    return f"atelier/picture/{image_id}.png"


def thumbnail_url(image_id: str, width: int) -> str:
    """Where the page finds a small WebP."""
    return f"atelier/thumbnail/{image_id}.webp?w={width}"


def ratio_style(width: int, height: int) -> str:
    """The shape of a picture for the style sheet, so that the page does not jump when it arrives."""
    return f"--ratio:{width / height:.4f};aspect-ratio:{width} / {height}"


def zoomable(
    image: Any,
    prompt: str,
    words: Words,
    *,
    source: str,
    eager: bool = False,
    known: Mapping[str, object] | None = None,
) -> Markup:
    """The picture as a button that shows it large. `known` is what the lightbox then says and can do."""
    return Markup(
        '<button type="button" class="at-picture" data-zoom="{full}" data-caption="{caption}" style="{ratio}" '
        'data-start-from="{id}" aria-label="{label}"{known}>'
        '<img src="{source}" alt="" width="{width}" height="{height}" loading="{loading}" decoding="async"></button>'
    ).format(
        full=picture_url(image.id),
        id=image.id,
        caption=words("picture_caption", seed=image.seed, width=image.width, height=image.height),
        label=words("picture_show_large", prompt=prompt[:200]),
        known=attributes({f"data-{name}": value for name, value in (known or {}).items()}),
        ratio=ratio_style(image.width, image.height),
        source=source,
        width=image.width,
        height=image.height,
        loading="eager" if eager else "lazy",
    )


def download_link(image: Any, words: Words, *, bare: bool = False) -> Markup:
    """A link to the original bytes, saved under a name that says the seed."""
    text = words("download_png")
    inside = icon("download") if bare else join([icon("download"), Markup("<span>{}</span>").format(text)])
    return Markup('<a class="at-button at-plain{}" href="{}?download=1" download="{}"{}>{}</a>').format(
        " at-bare" if bare else "",
        picture_url(image.id),
        f"atelier-{image.seed}-{image.id[:8]}.png",
        Markup(' aria-label="{0}" title="{0}"').format(text) if bare else "",
        inside,
    )


def other_formats(image: Any, words: Words) -> Markup:
    """Links to the same picture in other formats, each with its recipe."""
    links = join(
        Markup('<a href="{}?download=1&format={}" download="atelier-{}-{}{}">{}</a>').format(
            picture_url(image.id), FORMATS[ending], image.seed, image.id[:8], ending, FORMATS[ending].upper()
        )
        for ending in (".jpg", ".webp", ".avif")
    )
    return Markup('<span class="at-formats" role="group" aria-label="{}">{}</span>').format(words("download_as"), links)


def favourite_button(image_id: str, marked: bool, words: Words) -> Markup:
    """A star that is pressed while the picture is a favourite."""
    data: dict[str, object] = {"id": image_id, "value": "0" if marked else "1"}
    text = words("favourite")
    return action("favourite", text, picture="star", bare=True, data=data, pressed=marked)


def start_button(image_id: str, words: Words, *, bare: bool = True) -> Markup:
    """Makes the picture the one that the next ones start from."""
    return action("start", words("use_as_start"), picture="start", bare=bare, data={"id": image_id})


def variations_button(image_id: str, words: Words) -> Markup:
    """Makes four others like it."""
    return action("variations", words("variations"), picture="variations", bare=True, data={"id": image_id})


def how_far(words: Words) -> Markup:
    """A slider for what `variations_button` makes: near the picture, or far from it."""
    return Markup(
        '<label class="at-far"><span>{}</span><span class="at-quiet">{}</span><input type="range" data-far min="0.05" '
        'max="1" step="0.05" value="{}" aria-label="{}"><span class="at-quiet">{}</span></label>'
    ).format(words("variations"), words("variations_near"), FAR, words("variations_how_far"), words("variations_far"))


def upscale_button(image_id: str, words: Words) -> Markup:
    """Makes it twice as large."""
    return action("upscale", words("upscale"), picture="upscale", bare=True, data={"id": image_id})


def delete_button(image_id: str, words: Words) -> Markup:
    """Deletes after the dialog said yes."""
    question = (words("delete_question"), words("delete_yes"), words("keep"))
    return action("delete", words("delete"), picture="trash", bare=True, data={"id": image_id}, confirm=question)


def facts(request: Mapping[str, Any], seconds: float | None, words: Words) -> list[tuple[str, str]]:
    """Name and value of what a picture was made with, ready to show."""
    rows = [
        (words("field_model"), request.get("model") or None),
        (words("chain_made_from"), _made_from(request, words)),
        (words("field_strength"), request.get("strength")),
        (words("form_size"), _size(request)),
        (words("field_num_inference_steps"), request.get("num_inference_steps")),
        (words("field_guidance_scale"), request.get("guidance_scale")),
        (words("field_seed"), request.get("seed")),
        (words("field_subseed_strength"), request.get("subseed_strength") or None),
        (words("field_scheduler"), request.get("scheduler")),
        (words("took"), None if seconds is None else duration(seconds, words)),
    ]
    return [(name, _shown(value)) for name, value in rows if value is not None]


def _made_from(request: Mapping[str, Any], words: Words) -> str | None:
    """What became of the picture that it starts from, in words; None for one from words alone."""
    sides = request.get("extend")  # a file may say anything
    wider = request.get("task") == Task.INPAINT and isinstance(sides, list | tuple) and any(sides)
    return words.find("from_extended" if wider else f"from_{request.get('task')}")


def _size(request: Mapping[str, Any]) -> str | None:
    width, height = request.get("width"), request.get("height")
    if width is None or height is None:
        return None
    scale = request.get("hr_scale") if request.get("enable_hr") else None
    larger = f" → {round(width * scale)} × {round(height * scale)}" if scale else ""
    return f"{width} × {height}{larger}"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def facts_list(rows: list[tuple[str, str]]) -> Markup:
    """Names and values as a definition list."""
    return Markup('<dl class="at-facts">{}</dl>').format(
        join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in rows)
    )


def parameters_text(request: GenerationRequest) -> str:
    """The parameters as other programs read them: prompt, negative prompt, then `Steps: …, CFG scale: …`."""
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    pairs = numbers_of_infotext(request)
    if request.scheduler and request.scheduler != DEFAULT:
        pairs["Sampler"] = request.scheduler
    pairs |= {"Seed": request.seed, "Size": f"{request.width}x{request.height}", "Model": request.model}
    lines.append(", ".join(f"{name}: {value}" for name, value in pairs.items()))
    return "\n".join(lines)


def copy_button(text: str, words: Words) -> Markup:
    """Puts `text` on the clipboard and says so."""
    return Markup(
        '<button type="button" class="at-button at-plain" data-copy="{}" data-copied="{}">{}<span>{}</span></button>'
    ).format(text, words("copied"), icon("copy"), words("copy_parameters"))
