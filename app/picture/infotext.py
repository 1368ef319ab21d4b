r"""A1111's infotext: the text under the PNG keyword `parameters` that every other program reads.

    <prompt, may be multi-line>
    Negative prompt: <negative prompt, may be multi-line>
    Steps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 1, Size: 512x768, Model: name, Version: …

Written and read as A1111 1.10 does (`modules/infotext_utils.py`, `modules/processing.py:create_infotext`). The grammar
cannot hold every prompt (a line that starts with `Negative prompt:`, spaces at the ends of lines): the exact request is
in the recipe beside it, see `recipe.py`.
"""

import json
import re
from typing import Any, get_args

from app import __version__
from app.core.parameters import numbers_of_infotext, parameters
from app.core.samplers import find_sampler, parse_scheduler
from app.core.schema import GenerationRequest, InputRole
from app.picture.control_words import control_of, control_values
from app.picture.found import Found, found, number

NEGATIVE = "Negative prompt:"
MAX_CHARS = 256 * 1024  # two prompts of 20,000 characters and all parameters are far less
MAX_PARAMETER_LINE_CHARS = 16 * 1024
MIN_PARAMETERS = 3
HIRES_SCALE, HIRES_STEPS, HIRES_UPSCALER = "Hires upscale", "Hires steps", "Hires upscaler"
VAE = "VAE"
VARIATION_SEED = "Variation seed"  # of the image, as its seed

# A1111's pattern, with the key's length bounded so that a hostile line cannot cost quadratic time.
_PARAMETER = re.compile(r'(\w[\w \-/]{1,100}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
# The keys under which the SHA-256 of a picture to start from stands; SD.Next has the first two.
_HASHES = {
    InputRole.IMAGE: "Init image hash",
    InputRole.MASK: "Mask hash",
    InputRole.REFERENCE: "Reference hash",
}
_SIZE = re.compile(r"^(\d+)x(\d+)$")


def quote(value: object) -> str:
    """The value as it stands in the parameter line: JSON-quoted if it has a comma, a colon or a line break."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(char in text for char in ",:\n") else text


def unquote(text: str) -> str:
    """The value that `quote` wrote; text that is no JSON string stays as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def build(request: GenerationRequest, index_seed: int, how: dict[str, Any]) -> str:
    """The infotext of one image: `index_seed` is that image's own seed, `how` is what its engine reported.

    `Steps` comes first and `Sampler` second, the seed is not the job's but the image's, and `Version` is no number
    of A1111's, because readers switch old behaviour on by it.
    """
    only_larger = "upscaler" in how  # nothing was drawn
    sampler, schedule_type = (None, None) if only_larger else _sampler(request, how)
    numbers = numbers_of_infotext(request)
    parameters = {
        "Steps": numbers.pop("Steps", None),
        "Sampler": sampler,
        "Schedule type": schedule_type,
        **numbers,
        "Seed": index_seed,
        VARIATION_SEED: how.get("subseed"),
        "Size": f"{request.width}x{request.height}" if request.width else None,
        "Drawn size": _drawn_size(how),
        **hires_values(request),
        "Upscaler": how.get("upscaler"),
        **{_HASHES[item.role]: item.sha256 for item in request.inputs},
        **control_values(request),
        "Model hash": how.get("model_hash"),
        "Model": request.model,
        "VAE hash": (how.get("vae") or {}).get("hash"),
        VAE: (how.get("vae") or {}).get("name") or request.vae,
        "Lora hashes": _hashes(how, "loras"),
        "TI hashes": _hashes(how, "embeddings"),
        "Styles": ", ".join(request.written.styles) or None,
        "Template": request.written.prompt or None,  # as the extension Dynamic Prompts calls them
        "Negative Template": request.written.negative_prompt or None,
        # The noise comes from a CPU generator whatever the device.
        "RNG": None if only_larger and "redrawn" not in how else "CPU",
        "Version": f"Atelier {__version__}",
    }
    return _text(request, parameters)


def build_of(found: Found) -> str:
    """The infotext of a recipe that another program wrote in its own way: what is known of it."""
    request = GenerationRequest.model_validate({"prompt": "", **found.request})
    sampler, schedule_type = _sampler(request, {}) if request.scheduler else (None, None)
    numbers = numbers_of_infotext(request)
    parameters = {
        "Steps": numbers.pop("Steps", None),
        "Sampler": sampler,
        "Schedule type": schedule_type,
        **numbers,
        "Seed": found.request.get("seed", found.unusable.get("seed")),
        "Size": f"{request.width}x{request.height}" if request.width and request.height else None,
        "Model": found.model or None,
    }
    return _text(request, parameters)


def _text(request: GenerationRequest, parameters: dict[str, Any]) -> str:
    line = ", ".join(f"{key}: {quote(value)}" for key, value in parameters.items() if value is not None)
    negative = f"\n{NEGATIVE} {request.negative_prompt}" if request.negative_prompt else ""
    return f"{request.prompt}{negative}\n{line}".strip()


def hires_values(request: GenerationRequest) -> dict[str, Any]:
    """A1111's keys for a second pass; nothing for a request without one."""
    if not request.enable_hr:
        return {}
    scale = int(request.hr_scale) if request.hr_scale == int(request.hr_scale) else request.hr_scale
    keys = {HIRES_SCALE: scale, HIRES_STEPS: request.hr_second_pass_steps or None}
    return {**keys, HIRES_UPSCALER: request.hr_upscaler}


def _drawn_size(how: dict[str, Any]) -> str | None:
    """`128x128` of a picture that was drawn at another size than it has."""
    drawn = how.get("drawn")
    return f"{drawn['width']}x{drawn['height']}" if drawn else None


def _hashes(how: dict[str, Any], kind: str) -> str | None:
    """`name: hash, name: hash`, as Civitai looks LoRAs and embeddings up; their names are in the prompt."""
    return ", ".join(f"{file['name']}: {file['hash']}" for file in how.get(kind, ())) or None


def parse(text: str) -> dict[str, Any]:
    """What an infotext says, under A1111's keys: `Prompt`, `Negative prompt`, `Steps`, `Size-1`, `Size-2`, …

    All values are text. The last line counts as parameters only if it has at least three of them. A text of more than
    256 K characters is all prompt. Never raises.
    """
    if len(text) > MAX_CHARS:
        return {"Prompt": text, "Negative prompt": ""}
    *lines, last = text.strip().split("\n")
    found = _PARAMETER.findall(last) if len(last) <= MAX_PARAMETER_LINE_CHARS else []
    if len(found) < MIN_PARAMETERS:
        lines.append(last)
        found = []
    prompt: list[str] = []
    negative: list[str] = []
    current = prompt
    for line in (line.strip() for line in lines):
        if line.startswith(NEGATIVE):
            current = negative
            line = line.removeprefix(NEGATIVE).strip()
        if current or line:  # A1111 drops empty lines before the text begins
            current.append(line)
    values: dict[str, Any] = {"Prompt": "\n".join(prompt), "Negative prompt": "\n".join(negative)}
    for key, raw in found:
        value = unquote(raw)
        if size := _SIZE.match(value):
            values |= {f"{key}-1": size[1], f"{key}-2": size[2]}
        else:
            values[key] = value
    return values


def request_fields(parsed: dict[str, Any]) -> dict[str, Any]:
    """The fields of a GenerationRequest that `parse` found and that are valid, for a form to show.

    A value that a request cannot hold is left out, never bent to fit. The model is left out too: names of models
    mean different files to different programs.
    """
    return found_in(parsed).request


def found_in(parsed: dict[str, Any]) -> Found:
    """What `parse` found, in our fields; also what a request cannot hold, and the model's name."""
    sampler = " ".join(parsed[key] for key in ("Sampler", "Schedule type") if _named(parsed.get(key)))
    numbers = {key: number(parsed.get(key), int) for key in ("Size-1", "Size-2", "Seed", VARIATION_SEED)}
    raw = {
        "prompt": parsed["Prompt"],
        "negative_prompt": parsed["Negative prompt"],
        **_numbers(parsed),
        "width": numbers["Size-1"],
        "height": numbers["Size-2"],
        "seed": numbers["Seed"],
        "subseed": numbers[VARIATION_SEED],
        "scheduler": sampler or None,
        "enable_hr": True if HIRES_SCALE in parsed else None,
        "hr_scale": number(parsed.get(HIRES_SCALE), float),
        "hr_upscaler": parsed.get(HIRES_UPSCALER),
        "hr_second_pass_steps": number(parsed.get(HIRES_STEPS), int),
        "control": control_of(parsed),
        "vae": parsed[VAE].removesuffix(".safetensors") if _named(parsed.get(VAE)) else None,
    }
    return found(raw, parsed.get("Model"))


def _sampler(request: GenerationRequest, how: dict[str, Any]) -> tuple[str, str | None]:
    """The A1111 sampler name and schedule type of what ran, or of what was wanted.

    `how["sampler"]` (an A1111 name) wins, then the class in `how["scheduler"]`, then the request. Never empty, because
    readers such as sd-parsers refuse an infotext without a sampler; a class that A1111 lacks keeps its own name.
    """
    ran = str(how.get("sampler") or how.get("scheduler") or request.scheduler or "default")
    wanted = parse_scheduler(request.scheduler or "default")
    schedule = wanted.schedule.label if wanted and wanted.schedule.name != "automatic" else None
    choice = parse_scheduler(ran)
    if choice and choice.sampler:
        own = choice.schedule.label if choice.schedule.name != "automatic" else schedule
        return choice.sampler.name, own
    if wanted and wanted.sampler and not find_sampler(ran):
        return wanted.sampler.name, schedule
    return ran.removesuffix("Scheduler") or ran, schedule


def _numbers(parsed: dict[str, Any]) -> dict[str, int | float | None]:
    """The fields that stand in an infotext as plain numbers."""
    said = {}
    for name, row in parameters(GenerationRequest).items():
        if row.infotext in parsed:
            known = GenerationRequest.model_fields[name].annotation
            kind: type[int] | type[float] = float if float in (known, *get_args(known)) else int
            value = number(parsed[row.infotext], kind)
            said[name] = None if value is None else value - row.infotext_from
    return said


def _named(name: str | None) -> bool:
    return bool(name) and name not in ("Automatic", "None")
