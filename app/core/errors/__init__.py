"""Every error that Atelier raises on purpose.

AtelierError
├── CallerError                the caller can mend it (HTTP 4xx)
│   ├── InvalidRequest         one or more fields are wrong: each with value and what is allowed
│   ├── UnknownJob · UnknownImage · UnknownModel · UnknownInput · UnknownGrid
│   ├── IdempotencyConflict    the same key with another request
│   ├── QueueFull              try later (429, Retry-After)
│   ├── NotAllowed · NotAuthenticated
│   ├── UnreadablePicture      not a picture, or one that we refuse to open
│   ├── ModelNotInstalled · ModelRefused · ModelBusy · NotDownloadable
│   └── JobsComeFirst · SketchReplaced · TooSlowToSketch   of pictures while typing
├── ServerError                ours, or the machine's (HTTP 5xx)
│   ├── EngineCrashed · EngineHung
│   ├── EngineUnavailable
│   │   └── EngineLost         the machine of a cluster is gone; its jobs run again
│   ├── OutOfMemory
│   ├── StorageUnavailable     pictures cannot be saved or read right now
│   │   └── DiskFull
│   ├── LibraryFull · InputsFull   the owner's limits for all pictures, and for those that jobs start from
│   ├── DatabaseBusy           the job table cannot be used right now
│   │   └── DatabaseGone · DatabaseDamaged
│   ├── DatabaseOnNetworkDisk · ShuttingDown
│   ├── CatalogUnreadable      the list of models cannot be read; what is queued waits
│   ├── DownloadFailed         the network or the hub; what arrived is kept
│   └── GenerationFailed
├── GenerationCancelled        not a fault: someone asked for it
└── ServiceError               client side: what the image service answered (code, status, message)
    └── ServiceUnreachable     client side: nothing answered

The docstring of a class is its message when none is given, so no error can lack an explanation.
"""

from app.core.errors.base import (
    AtelierError,
    GenerationCancelled,
)
from app.core.errors.caller import (
    CallerError,
    FieldError,
    IdempotencyConflict,
    InvalidRequest,
    JobsComeFirst,
    ModelBusy,
    ModelNotInstalled,
    ModelRefused,
    NotAllowed,
    NotAuthenticated,
    NotDownloadable,
    QueueFull,
    SketchReplaced,
    TooSlowToSketch,
    UnknownGrid,
    UnknownImage,
    UnknownInput,
    UnknownJob,
    UnknownModel,
    UnreadablePicture,
)
from app.core.errors.client import (
    ServiceError,
    ServiceUnreachable,
)
from app.core.errors.server import (
    CatalogUnreadable,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseGone,
    DatabaseOnNetworkDisk,
    DiskFull,
    DownloadFailed,
    EngineCrashed,
    EngineHung,
    EngineLost,
    EngineUnavailable,
    GenerationFailed,
    InputsFull,
    LibraryFull,
    OutOfMemory,
    ServerError,
    ShuttingDown,
    StorageUnavailable,
)

__all__ = [
    "AtelierError",
    "CallerError",
    "CatalogUnreadable",
    "DatabaseBusy",
    "DatabaseDamaged",
    "DatabaseGone",
    "DatabaseOnNetworkDisk",
    "DiskFull",
    "DownloadFailed",
    "EngineCrashed",
    "EngineHung",
    "EngineLost",
    "EngineUnavailable",
    "FieldError",
    "GenerationCancelled",
    "GenerationFailed",
    "IdempotencyConflict",
    "InputsFull",
    "InvalidRequest",
    "JobsComeFirst",
    "LibraryFull",
    "ModelBusy",
    "ModelNotInstalled",
    "ModelRefused",
    "NotAllowed",
    "NotAuthenticated",
    "NotDownloadable",
    "OutOfMemory",
    "QueueFull",
    "ServerError",
    "ServiceError",
    "ServiceUnreachable",
    "ShuttingDown",
    "SketchReplaced",
    "StorageUnavailable",
    "TooSlowToSketch",
    "UnknownGrid",
    "UnknownImage",
    "UnknownInput",
    "UnknownJob",
    "UnknownModel",
    "UnreadablePicture",
]
