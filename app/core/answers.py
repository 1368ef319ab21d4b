"""What the image service answers about itself and its library: once, for the service that says it and who reads it."""

from datetime import date, datetime
from typing import Any

from pydantic import Field, computed_field

from app.core.grids import GridRequest
from app.core.schema import Job, JobError, SavedImage
from app.core.values import Value


class Image(SavedImage):
    """A saved image and where its bytes are. `path` is relative to the library's folder."""

    @computed_field(description="Address of the PNG, relative to the service.")  # type: ignore[prop-decorator]
    @property
    def url(self) -> str:
        """Address of the PNG."""
        return f"/images/{self.id}.png"

    @computed_field(description="Address of a WebP; `?w=512` is the larger one.")  # type: ignore[prop-decorator]
    @property
    def thumbnail_url(self) -> str:
        """Address of a small WebP."""
        return f"/images/{self.id}/thumbnail.webp"


class Parent(Value):
    """A picture that another was made from."""

    role: str = Field(description="image, reference or control; variation: it began near that picture's noise.")
    sha256: str | None = Field(None, description="As it is kept: GET /api/inputs/{sha256}.png. Variations have none.")
    image_id: str | None = Field(None, description="Of which picture of this library; null: it came from elsewhere.")
    image: Image | None = None
    deleted: bool = Field(False, description="That picture is no longer in the library.")


class Chain(Value):
    """What a picture was made from, and what was made from it, the newest first; one step each way."""

    made_from: tuple[Parent, ...]
    became: tuple[Image, ...]


class ImageGroup(Value):
    """Images of one prompt and model, newest first. `seconds` is the working time of all `count` of them."""

    prompt: str
    model: str
    seconds: float | None = None
    created_at: datetime
    job_id: str
    images: tuple[Image, ...]
    count: int = 0


class Inspection(Value):
    """What a picture file says about how it was made. All of it is text to show, never to run."""

    kind: str = Field(description="Which program wrote it: atelier, a1111, comfyui, invokeai, …; or none.")
    made_by: str = Field("", description="That program's name for people.")
    width: int
    height: int
    recipe: dict[str, Any] | None = Field(None, description="Our own exact recipe.")
    request: dict[str, Any] | None = Field(None, description="The fields of a request that could be read.")
    grid: GridRequest | None = Field(None, description="Of the sheet of a grid: what POST /api/grids makes it of.")
    unusable: dict[str, str] = Field(
        {}, description="Fields that it says and that no request can hold, as it says them."
    )
    model: str = Field("", description="The model's name in the program that made it.")
    parameters: str | None = Field(
        None,
        description="Its recipe as A1111 writes it: what stands under `parameters`, or another program's so told.",
    )
    labels: dict[str, Any] = Field({}, description="What its XMP packet says: made by a machine, by which, when.")
    c2pa: bool = Field(False, description="It has Content Credentials (C2PA), which are not checked here.")
    texts: dict[str, str] = Field({}, description="Further texts of the file: at most 64, of at most 16 KiB.")
    cut: tuple[str, ...] = Field((), description="Names of the texts that were too long to show in full.")


class Queue(Value):
    """The line."""

    paused: bool
    queued: int
    running: int


class DeviceStatus(Value):
    """One device and the process that works on it. Memory in bytes, null = unknown."""

    device: str
    name: str
    pid: int | None
    alive: bool
    busy: bool
    loaded_models: tuple[str, ...]
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    restarts: int
    last_end: str | None = Field(description="When and why the last process ended that was not asked to.")


class KeyStatus(Value):
    """One API key, without anything secret."""

    caller: str = Field(description="Its name, or a part of its hash that is no secret.")
    scope: str
    expires: date | None = Field(description="Its last day (UTC).")
    last_used: datetime | None = Field(description="Since the service started.")


class Status(Value):
    """How the service is."""

    version: str
    uptime_s: float
    stopping: bool
    queue: Queue
    running: tuple[Job, ...] = Field(description="With step, of and eta.")
    devices: tuple[DeviceStatus, ...]
    loaded_models: tuple[str, ...]
    waiting_calls: int = Field(description="Open event streams and waiting calls.")
    keys: tuple[KeyStatus, ...] | None = Field(None, description="The API keys, for a caller whose key is an admin's.")
    problems: tuple[JobError, ...] = Field(description="What keeps engines from taking jobs, such as a full disk.")
    trash_days: float = Field(0, description="How long deleted pictures can be had back; 0 = not at all.")
    warnings: tuple[JobError, ...] = Field((), description="What will soon keep new jobs out, such as little room.")
