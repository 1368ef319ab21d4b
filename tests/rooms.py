"""The rooms of `app/` and what each may import: the one list that the test checks and the architecture page shows.

`python -m tests.rooms` writes the table of docs/architecture.md.
"""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: made by `python -m tests.rooms` -->\n", "<!-- end of rooms -->\n"


@dataclass(frozen=True)
class Room:
    """What a room does, and what of ours it may import beside `core`, which is allowed everywhere."""

    does: str
    imports: frozenset[str] = frozenset()


def _room(does: str, imports: str = "") -> Room:
    return Room(does, frozenset(imports.split()))


ROOMS = {
    "core": _room("errors, request and job values, settings, logs"),
    "families": _room(
        "what is known of each family of models: tasks and their pipeline classes, defaults, samplers, guidance, LoRAs"
    ),
    "weights": _room("what a weights file says about itself, without opening it", "families"),
    "hub": _room(
        "models of the hub on this disk, and downloads in processes of their own; `fetch`, `transfer` and `reach` "
        "alone import huggingface_hub"
    ),
    "catalog": _room("which models there are", "families weights hub"),
    "machine": _room("facts about this machine, without torch"),
    "tiers": _room("how a model is laid out in the memory there is", "families machine"),
    "confine": _room("walls around the process with the models: no network, no other files, no programs"),
    "shipped": _room("the models that come along, unpacked where Atelier was installed as a package"),
    "picture": _room("what a PNG carries, thumbnails"),
    "storage": _room("files that are whole or not there, also after a power cut: in a folder or in a bucket"),
    "diffusion": _room(
        "load a model, make pixels; `DiffusionService`", "picture shipped catalog families tiers weights hub"
    ),
    "engine": _room(
        "run jobs in watched child processes; `makers/` is what runs in them, and alone imports diffusion; `cluster/` "
        "has them on other machines, by Ray",
        "diffusion catalog confine families hub weights",
    ),
    "database": _room("tables and how they are opened", "storage"),
    "migrations": _room("how the tables change", "database"),
    "image_rows": _room("the row of a picture"),
    "input_rows": _room("the rows of the pictures that jobs start from", "database"),
    "inputs": _room(
        "pictures that jobs start from: made plain at the door, kept by what is in them, freed when nothing names them",
        "storage database input_rows picture",
    ),
    "jobs": _room(
        "the queue and its dispatcher; of the engine the interface", "engine database image_rows input_rows catalog"
    ),
    "library": _room("saved pictures: files and rows", "storage inputs input_rows engine database image_rows picture"),
    "service": _room(
        "HTTP: `native/`, `openai/`, `automatic1111/`, `playground.py` and `environment.py` are one door each; "
        "`foreign/` is what the last four share, `http/` what all share (keys, errors, streams, metrics, the page of "
        "the API), `serving/` runs the app (gunicorn, waitress, the loop in front of the threads, the lock of the "
        "data folder)",
        "jobs library inputs catalog picture database hub machine tiers",
    ),
    "client_stream": _room("event streams as a client reads them"),
    "client_http": _room("one call of the client, and its refusal"),
    "client_library": _room("the client's calls to the library", "client_http"),
    "client_queue": _room("the client's calls to the queue", "client_http"),
    "client_grids": _room("the client's calls for grids", "client_http"),
    "client": _room(
        "the files that know the service's addresses",
        "client_http client_library client_queue client_grids client_stream",
    ),
    "dropfolder": _room("prompt files in, pictures out", "client"),
    "cli": _room("the command line", "confine client dropfolder catalog families machine tiers"),
    "ui": _room("the page", "client"),
}
# Libraries that some rooms alone may import.
LIBRARIES = {
    "torch": {"diffusion"},
    "diffusers": {"diffusion"},
    "transformers": {"diffusion"},
    "cv2": {"picture"},
    "flask": {"service"},
    "flask_openapi3": {"service"},
    "gradio": {"ui"},
    "huggingface_hub": {"hub"},
    "ray": {"engine"},
    "sqlalchemy": {"database", "migrations", "image_rows", "input_rows", "inputs", "jobs", "library", "service"},
}


def table() -> str:
    """The rooms as a table."""
    lines = ["| room | what it does | imports of ours | alone imports |", "|---|---|---|---|"]
    for name, room in ROOMS.items():
        path = f"app/{name}" if (PAGE.parents[1] / "app" / name).is_dir() else f"app/{name}.py"
        ours = ", ".join(below for below in ROOMS if below in room.imports) or ("nothing" if name == "core" else "core")
        libraries = ", ".join(library for library, rooms in LIBRARIES.items() if name in rooms)
        lines.append(f"| `{path}` | {room.does} | {ours} | {libraries} |")
    lines.append(
        "| `image_generation_service.py` | builds the parts by hand, starts and stops them | the service's side | |"
    )
    return "\n".join(lines) + "\n"


def page() -> str:
    """The architecture page with the table as it is now."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
