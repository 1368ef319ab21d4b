"""All settings, read once from the environment and then frozen. `docs/settings.md` is made from this class."""

import os
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.errors import AtelierError

PROJECT_FOLDER = Path(__file__).resolve().parents[2]  # where `app` lies: a checkout, or a place for packages


def home_folder(project: Path) -> Path:
    """Where models, pictures and the job table are by default: the checkout itself, else the user's own data folder."""
    if (project / "pyproject.toml").is_file():
        return project
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "atelier"


HOME_FOLDER = home_folder(PROJECT_FOLDER)
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*")


class WrongSettings(AtelierError):
    """A setting has a value that is not allowed."""

    code = "wrong_settings"


class MachineSize(StrEnum):
    """How much the owner lets Atelier use, in the words of the environment document."""

    BIG = "big"
    MEDIUM = "medium"
    LITTLE = "little"
    TINY = "tiny"


class Tier(StrEnum):
    """How a model is laid out in memory, from fast and large to slow or small."""

    RESIDENT = "resident"
    RELEASED = "released"
    MODEL_OFFLOAD = "model-offload"
    GROUP_OFFLOAD = "group-offload"
    INT8 = "int8"
    FP8 = "fp8"
    FP8_OFFLOAD = "fp8-offload"
    INT4 = "int4"


class Compute(StrEnum):
    """What computes on a processor."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"


class Confine(StrEnum):
    """How the process with the models is kept from the rest of the machine."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class WebServer(StrEnum):
    """What speaks HTTP for the image service."""

    GUNICORN = "gunicorn"
    WAITRESS = "waitress"


class EngineKind(StrEnum):
    """Who makes the pictures."""

    LOCAL = "local"
    TEST = "test"
    RAY = "ray"


class LogLevel(StrEnum):
    """How much the logs say."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Settings(BaseSettings):
    """Every setting with its default, its unit and what it does. Environment prefix `ATELIER_`.

    Making one raises WrongSettings: a sentence for each value that is not allowed.
    """

    model_config = SettingsConfigDict(env_prefix="ATELIER_", frozen=True, extra="ignore", populate_by_name=True)

    # Where the service listens
    host: str = Field("127.0.0.1", description="Address the image service listens on. Beyond loopback it needs keys.")
    port: int = Field(5001, ge=0, le=65535, description="Port of the image service.")
    service_url: str = Field(
        "http://127.0.0.1:5001", description="Where the page, the command line and the drop folder find the service."
    )
    api_key: SecretStr | None = Field(None, description="Key that the clients of this machine send.")
    api_keys_file: Path | None = Field(
        None,
        description="File with one API key a line (`scope:sha256:name:last-day`); needed beyond loopback.",
    )
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further host names under which the service may be called, separated by commas."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Exact origins of web pages that may call the service, separated by commas. None by default."
    )
    web_server: WebServer | None = Field(
        None, description="gunicorn (restarts a dead worker) or waitress; gunicorn if absent, except on Windows."
    )
    threads: int = Field(64, ge=4, le=512, description="HTTP threads of the image service.")
    max_event_streams: int = Field(48, ge=1, le=500, description="Open event streams; each holds a thread.")
    watchdog_s: int = Field(
        30, ge=5, le=3600, description="Seconds without a sign of life before the HTTP process is replaced (gunicorn)."
    )
    max_body_bytes: int = Field(32 * 2**20, ge=1024, description="Largest request body, bytes.")

    # The page
    ui_host: str = Field("127.0.0.1", description="Address the web page listens on. Beyond loopback it needs a login.")
    ui_port: int = Field(7860, ge=0, le=65535, description="Port of the web page.")
    ui_auth_file: Path | None = Field(None, description="Login file of the page (`name:argon2-hash:role` a line).")
    ui_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses of reverse proxies whose X-Forwarded-For and -Proto the page believes, by commas."
    )
    ui_cache_bytes: int = Field(256 * 2**20, ge=2**20, description="Most bytes of thumbnails kept beside the page.")
    ui_mcp: bool = Field(False, description="Offer the page's tools to assistants (MCP) under /gradio_api/mcp/.")

    # Where things are
    data_folder: Path = Field(HOME_FOLDER / "data", description="Job table, thumbnails and lock file.")
    models_folder: Path = Field(HOME_FOLDER / "models", description="Catalog, shipped and own models.")
    output_folder: Path = Field(
        HOME_FOLDER / "models" / "generated_images_service", description="Saved pictures, a folder a day."
    )
    output_bucket: str = Field(
        "",
        description="Bucket of an S3 server (`s3://bucket/prefix`) that has them in the folder's place. "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL say who asks and where it is.",
    )
    logs_folder: Path = Field(HOME_FOLDER / "logs", description="Log files.")
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the job table; SQLite in the data folder if absent, PostgreSQL by URL."
    )

    drop_folder: Path | None = Field(None, description="Folder whose prompt files quick_start.sh has answered.")

    # The queue
    max_queue: int = Field(10_000, ge=1, le=100_000, description="Queued jobs before a submit is answered 429.")
    max_queue_per_key: int = Field(2_000, ge=1, le=100_000, description="Queued jobs of one API key before its 429.")
    max_images: int = Field(10, ge=1, le=64, description="Most images of one job.")
    max_pixels: int = Field(4096 * 4096, ge=64 * 64, description="Most pixels of one image, width × height.")
    max_crashes: int = Field(3, ge=1, le=20, description="Engine crashes under one job before it is failed.")
    lease_s: float = Field(
        30,
        ge=3,
        le=3600,
        description="Seconds without a sign of life after which another service on the same PostgreSQL takes a "
        "service's jobs over.",
    )
    keep_jobs_days: float | None = Field(
        None,
        gt=0,
        description="Days that finished jobs are kept after their end; for ever if absent. Pictures stay in any case.",
    )
    trash_days: float = Field(
        7,
        ge=0,
        le=3650,
        description="Days that a deleted picture can be had back; file and words are kept so long. 0: gone at once.",
    )
    library_max_bytes: int | None = Field(
        None,
        ge=2**20,
        description="Most bytes of all saved pictures together; beyond it new jobs are refused (507), and from 90 % on "
        "page and status warn. As much as the disk has if absent.",
    )
    max_grid_cells: int = Field(100, ge=1, le=1000, description="Most pictures of one X/Y/Z grid.")
    max_inputs: int = Field(4, ge=1, le=16, description="Most pictures that one job starts from.")
    max_input_bytes: int = Field(20 * 2**20, ge=1024, description="Largest file of a picture to start from, bytes.")
    max_input_pixels: int = Field(
        2**24, ge=64 * 64, le=2**24, description="Most pixels of a picture to start from, width × height."
    )
    inputs_max_bytes: int = Field(
        4 * 2**30,
        ge=2**20,
        description="Most bytes of all pictures that jobs start from; beyond it new ones are refused (507). One that "
        "no open job and no saved picture names goes an hour after it was sent.",
    )
    start_paused: bool = Field(False, description="Pause the queue at the start (the choice after a crash).")

    # The engine
    machine_size: MachineSize | None = Field(
        None,
        validation_alias=AliasChoices("ATELIER_MACHINE_SIZE", "MACHINE_SIZE", "machine_size"),
        description="How much memory saving: big, medium, little or tiny; measured if absent.",
    )
    memory_tier: Tier | None = Field(
        None,
        description="How models are laid out in memory: resident, released, model-offload, group-offload, int8, fp8, "
        "fp8-offload or int4; chosen for each model if absent (`python -m app doctor` shows how).",
    )
    compute: Compute = Field(
        Compute.AUTO,
        description="What computes on a processor: torch, openvino (refused where it is not installed), or auto: "
        "OpenVINO where it is installed, for large models that it knows and that fit into memory twice more.",
    )
    default_model: str = Field("pocket", description="Catalog key of the model used when a request names none.")
    describe_model: str = Field(
        "pocket-captioner",
        description="Catalog key of the model that says what pictures show when a request names none.",
    )
    find_model: str = Field(
        "pocket-captioner",
        description="Catalog key of the model by which pictures are found that look like another, or like words; each "
        "picture of the library is looked at while nothing else is to do. Empty = none.",
    )
    model_aliases: str = Field(
        "dall-e-*, gpt-image-*, chatgpt-image-*",
        description="Names that OpenAI clients may ask for, and the model that answers: `dall-e-3=sdxl-turbo, gpt-*`. "
        "A name alone means the default model, `*` any ending; the answer says which model drew. Empty = none.",
    )
    preload: bool = Field(True, description="Load the default model when the service starts.")
    engine: EngineKind = Field(
        EngineKind.LOCAL,
        description="Who makes the pictures: local (this machine), test (fast, no model), or ray (the machines of a "
        "Ray cluster: docs/guides/cluster.md).",
    )
    ray_address: str = Field(
        "auto", description="host:port of the Ray cluster's head; `auto`: the cluster that runs on this machine."
    )
    ray_min: int = Field(1, ge=0, le=256, description="Devices of the cluster that are held even without work.")
    ray_max: int = Field(8, ge=1, le=256, description="Most devices of the cluster that are used at a time.")
    ray_gpus: float = Field(
        1,
        ge=0,
        le=8,
        description="GPUs of each, a part of one below 1 (two of 0.5 share one); 0 = it computes on processors.",
    )
    ray_cpus: float = Field(1, gt=0, le=1024, description="Processor cores of each, as Ray counts them.")
    device: str | None = Field(None, description="cpu, cuda:0, mps …; the best one of this machine if absent.")
    confine: Confine = Field(
        Confine.AUTO,
        description="Walls around the models' process: auto (as far as this machine can; the log and "
        "`python -m app doctor` say what is missing), required (it does not start without all) or off.",
    )
    denoise_timeout_s: float = Field(60, gt=0, description="Seconds without a sign of life while denoising = hung.")
    load_timeout_s: float = Field(900, gt=0, description="Seconds without a sign of life while loading = hung.")
    unload_after_s: float = Field(
        1800,
        ge=0,
        description="Seconds without work after which the models' process ends and gives all its memory back; "
        "the next job starts it again. 0 = never.",
    )
    cancel_timeout_s: float = Field(10, gt=0, description="Seconds a cancelled job may take before it is killed.")
    drain_timeout_s: float = Field(25, ge=0, description="Seconds a running job may finish after SIGTERM.")
    sketch_s: float = Field(
        0.5,
        ge=0,
        description="Models whose pictures take at most so many seconds here may draw while somebody types; 0 = none.",
    )
    previews_per_s: float = Field(4, ge=0, le=30, description="Most live previews a second; 0 = none.")

    # The network
    offline: bool = Field(
        False,
        validation_alias=AliasChoices("ATELIER_OFFLINE", "HF_HUB_OFFLINE", "offline"),
        description="Never ask the model hub for anything.",
    )
    traces: bool = Field(
        False,
        description="Send traces of requests and jobs to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.",
    )
    log_level: LogLevel = Field(
        LogLevel.INFO, description="DEBUG, INFO, WARNING or ERROR. Prompts are logged at DEBUG only."
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise WrongSettings("; ".join(_sentence(dict(item)) for item in error.errors())) from None

    @classmethod
    def variables(cls, name: str) -> tuple[str, ...]:
        """The environment variables that set the field `name`."""
        alias = cls.model_fields[name].validation_alias
        if isinstance(alias, AliasChoices):
            return tuple(str(choice) for choice in alias.choices if str(choice).isupper())
        return (f"ATELIER_{name.upper()}",)

    @field_validator("machine_size", "memory_tier", "web_server", "device", mode="before")
    @classmethod
    def _absent_if_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("output_bucket")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if value and not _BUCKET.fullmatch(value):
            raise ValueError("s3://bucket or s3://bucket/prefix")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: object) -> object:
        if isinstance(values, dict):
            for name in ("trusted_hosts", "cors_origins", "ui_proxies"):
                if isinstance(values.get(name), str):
                    values[name] = tuple(part.strip() for part in values[name].split(",") if part.strip())
        return values

    @property
    def compiled_folder(self) -> Path:
        """Where models that OpenVINO computes are kept in its format. It may be emptied whenever nothing draws."""
        return self.data_folder / "compiled"

    @property
    def resolved_database_url(self) -> str:
        """The job table's URL, with the default filled in. It may hold a password."""
        given = self.database_url
        return given.get_secret_value() if given is not None else f"sqlite:///{self.data_folder / 'atelier.db'}"

    @property
    def binds_beyond_loopback(self) -> bool:
        """True if other machines could reach the image service."""
        return self.host not in LOOPBACK_HOSTS


def wrong_setting(settings: Settings, name: str, allowed: str) -> WrongSettings:
    """The error for a field whose value turned out to be wrong when it was looked up."""
    return WrongSettings(_told(Settings.variables(name), getattr(settings, name), allowed))


def _sentence(error: dict[str, Any]) -> str:
    """`The setting MACHINE_SIZE is 'huge'; allowed is big, medium, little or tiny.`"""
    given = str(error["loc"][0]) if error["loc"] else ""
    name = next((name for name in Settings.model_fields if given in (name, *Settings.variables(name))), None)
    words = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ").replace("'", "")
    if name is None:
        return f"The settings are wrong: {words}"
    secret = "Secret" in str(Settings.model_fields[name].annotation)
    variables = [variable for variable in Settings.variables(name) if variable in os.environ] or Settings.variables(
        name
    )
    return _told(variables, "…" if secret else error["input"], f"allowed is {words}")


def _told(variables: Iterable[str], value: object, allowed: str) -> str:
    return f"The setting {' or '.join(variables)} is {str(value)!r}; {allowed}."
