"""What callers of AUTOMATIC1111's API get. The shapes are A1111's (`modules/api/models.py`)."""

from typing import Any

from pydantic import BaseModel, Field, RootModel


class A1111Made(BaseModel):
    """The pictures of a request. Grids never come first, for there are none."""

    images: list[str] = Field(description="PNGs in base64.")
    parameters: dict[str, Any] = Field(description="The request as it was sent.")
    info: str = Field(description="JSON: seeds, infotexts, what was used and what was not.")


class A1111State(BaseModel):
    """How far a job is."""

    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = ""
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class A1111Progress(BaseModel):
    """The caller's own open job. Idle is exactly `progress == 0` and `job_count == 0`: clients wait for it."""

    progress: float = 0.0
    eta_relative: float = Field(0.0, description="Seconds.")
    state: A1111State = A1111State()
    current_image: str | None = Field(None, description="A preview, a JPEG in base64.")
    textinfo: str | None = None
    current_task: str | None = None


class A1111TaskProgress(BaseModel):
    """How far one job is."""

    active: bool
    queued: bool
    completed: bool
    progress: float | None
    eta: float | None = Field(description="Seconds.")
    live_preview: str | None = Field(description="A data: URL of a JPEG.")
    id_live_preview: Any
    textinfo: str | None


class A1111Tasks(BaseModel):
    """The open jobs."""

    size: int
    tasks: list[str]


class A1111Info(BaseModel):
    """What a picture file says about how it was made."""

    info: str = Field(description="Its infotext.")
    items: dict[str, str]
    parameters: dict[str, Any] = Field(description="The infotext, taken apart.")


class A1111Caption(BaseModel):
    """What a picture shows."""

    caption: str


class A1111Enlarged(BaseModel):
    """An enlarged picture."""

    html_info: str = ""
    image: str = Field(description="A PNG in base64.")


class A1111EnlargedBatch(BaseModel):
    """Enlarged pictures."""

    html_info: str = ""
    images: list[str] = Field(description="PNGs in base64.")


class A1111Model(BaseModel):
    """A model. The title is what /options takes."""

    title: str
    model_name: str
    hash: str | None = None
    sha256: str | None = None
    filename: str
    config: str | None = None


class A1111Models(RootModel[list[A1111Model]]):
    """The models that are installed."""


class A1111Lora(BaseModel):
    """A LoRA. `refused` is ours: why it cannot be used."""

    name: str
    alias: str
    path: str
    metadata: dict[str, Any]
    refused: str | None = None


class A1111Loras(RootModel[list[A1111Lora]]):
    """The LoRAs of the models folder."""


class A1111Memory(BaseModel):
    """Bytes of RAM, and of the first GPU."""

    ram: dict[str, float]
    cuda: dict[str, Any]


class A1111AllOptions(BaseModel):
    """The options that clients look for."""

    sd_model_checkpoint: str = Field(description="The title of the model that draws.")
    sd_checkpoint_hash: str = ""
    samples_format: str = "png"
    samples_save: bool = True
    enable_pnginfo: bool = True
    grid_save: bool = False
    return_grid: bool = False
    CLIP_stop_at_last_layers: int = 1
    sd_vae: str = "Automatic"
    show_progress_every_n_steps: int = 1
    outdir_samples: str = ""


class A1111Fixed(RootModel[Any]):
    """A list or an object that is always the same."""


class A1111Empty(BaseModel):
    """Done."""


class A1111Failure(BaseModel):
    """Why a call was not served."""

    error: str
    detail: str
    body: str = ""
    errors: str
