"""What a child can reach: the models, Python and the system's libraries to read, a folder of its own and that of the
translated models to write."""

import glob
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from app.catalog import ModelEntry
from app.catalog.decoders import DECODER_FOLDER, decoder_folder
from app.confine import Walls
from app.confine.memory import all_memory
from app.core.environment import handed_on
from app.core.settings import PROJECT_FOLDER, Settings
from app.hub.disk import hub_cache, storage_folder
from app.weights.embeddings import EMBEDDING_FOLDER
from app.weights.loras import LORA_FOLDER
from app.weights.vaes import VAE_FOLDER

SCRATCH_FOLDER = "scratch"
SYSTEM = (
    "/lib*", "/usr/lib*", "/usr/local/lib*", "/usr/share", "/usr/include", "/usr/local/cuda*", "/opt/rocm*",
    "/opt/intel", "/nix/store", "/run/opengl-driver", "/proc", "/sys", "/etc/ld.so.*", "/etc/localtime",
    "/etc/nsswitch.conf", "/etc/passwd", "/etc/nvidia", "/etc/OpenCL", "/etc/alternatives",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
GPU_DEVICES = ("/dev/nvidia*", "/dev/kfd", "/dev/dri", "/dev/dxg")

logger = logging.getLogger(__name__)


class Reach:
    """What the children of one engine may read. It follows the disk: what is new there is told by `covers`."""

    def __init__(self, settings: Settings, *, gpu: bool) -> None:
        self._models = settings.models_folder
        self._private = _private(settings)
        self._output = settings.output_folder
        self._scratch = settings.data_folder / SCRATCH_FOLDER
        self._compiled = settings.compiled_folder
        self._gpu = gpu
        self._readable: frozenset[str] = frozenset()
        self._told: set[Path] = set()

    def scratch(self) -> Path:
        """A new empty folder for one child; what dead services left there is removed."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        for folder in self._scratch.iterdir():
            if _left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._scratch)).resolve()

    def compiled(self) -> Path:
        """The folder in which all children keep translated models. It may be emptied whenever no service runs."""
        self._compiled.mkdir(parents=True, exist_ok=True)
        return self._compiled.resolve()

    def walls(self, scratch: Path) -> Walls:
        """The walls of a child that is started now."""
        self._readable = frozenset(map(str, self._models_now()))
        system = [path for path in _matches(SYSTEM) if self._allowed(Path(path).resolve())]
        devices = _matches(GPU_DEVICES) if self._gpu else []
        return Walls(
            read=tuple(sorted({*system, *map(str, self._python()), *self._readable})),
            write=(str(scratch), str(self.compiled())),
            use=(*DEVICES, *devices),
            data_bytes=None if self._gpu else all_memory(),
            local_sockets=self._gpu,
        )

    def covers(self, entry: ModelEntry) -> bool:
        """False if the model, LoRAs, embeddings or VAEs came after the last `walls`; a new child can read them."""
        wanted = [self._models / LORA_FOLDER, self._models / EMBEDDING_FOLDER, self._models / VAE_FOLDER]
        wanted += [place for place in [decoder_folder(self._models, entry)] if place]
        for each in (entry, *entry.beside):
            wanted += [self._models / name for name in (each.path, each.config, each.transformer) if name]
            if each.repository and not each.path:
                wanted.append(storage_folder(each.repository))
        there = [path.resolve() for path in wanted if path.exists()]
        return all(self._is_readable(path) or not self._allowed(path) for path in there)

    def _is_readable(self, path: Path) -> bool:
        return any(str(parent) in self._readable for parent in (path, *path.parents))

    def _models_now(self) -> Iterable[Path]:
        """Each thing in the models folder but the pictures, where it really is; and the hub's cache."""
        beside = (LORA_FOLDER, EMBEDDING_FOLDER, DECODER_FOLDER, VAE_FOLDER)
        for folder in (self._models, *(self._models / name for name in beside), hub_cache()):
            entries = folder.iterdir() if folder.is_dir() else ()
            for path in entries:
                target = path.resolve()
                if target != self._output.resolve() and self._allowed(target):
                    yield target

    def _python(self) -> Iterable[Path]:
        """This project's code, the interpreter, and the folders that modules are found in."""
        libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
        places = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, *libraries} - {"", "."}
        yield PROJECT_FOLDER / "app"
        for place in (Path(place).resolve() for place in places):
            if place != PROJECT_FOLDER and place.exists() and self._allowed(place):
                yield place

    def _allowed(self, path: Path) -> bool:
        """False for what is private or has something private in it, such as a link to the home folder."""
        inside = [private for private in self._private if private == path or path in private.parents]
        if inside and path not in self._told:
            self._told.add(path)
            logger.warning("%s is kept from the models' process, because %s is private", path, inside[0])
        return not inside


def child_environment(own: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What of this process's environment a child gets: what computing and finding files needs, by name.

    Its home and its temporary files are `scratch`; it asks no model hub.
    """
    folder = str(scratch)
    return handed_on(own) | {
        "HOME": folder,
        "TMPDIR": folder,
        "XDG_CACHE_HOME": folder,
        "HF_HOME": folder,
        "HF_HUB_CACHE": str(hub_cache()),
        "CUDA_CACHE_PATH": folder,
        "HF_HUB_OFFLINE": "1",
        "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
    }


def _matches(patterns: Iterable[str]) -> list[str]:
    return [path for pattern in patterns for path in glob.glob(pattern)]


def _private(settings: Settings) -> tuple[Path, ...]:
    """What no rule may open: the database, the keys, the logs, the home folder."""
    url = settings.resolved_database_url
    database = [Path(url.removeprefix("sqlite:///"))] if url.startswith("sqlite:///") else []
    files = [settings.api_keys_file, settings.ui_auth_file, settings.drop_folder, *database]
    home = Path(os.path.expanduser("~"))  # `Path.home` raises for a user without one
    folders = [settings.data_folder, settings.logs_folder, settings.output_folder, home]
    return tuple(path.resolve() for path in (*files, *folders) if path is not None)


def _left_behind(folder: Path) -> bool:
    """True for the scratch folder of a child whose service is gone."""
    owner = folder.name.split("-")[0]
    if not owner.isdecimal() or not psutil.pid_exists(int(owner)):
        return True
    # In a container every service has the same number: what is older than this one is another's.
    return int(owner) == os.getpid() and folder.stat().st_mtime < psutil.Process().create_time()
