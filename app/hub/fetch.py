"""Download a model of the hub: what it needs and no more, after a look at the free disk, resumed where it stopped.

Proxies, mirrors and logins are huggingface_hub's: `HTTPS_PROXY`, `HF_ENDPOINT`, `HF_TOKEN` or `hf auth login`.
"""

import errno
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from app.core.errors import DiskFull, DownloadFailed, ModelNotInstalled, ModelRefused
from app.hub.alone import alone
from app.hub.choose import other_variants, wanted_files, wanted_of_one
from app.hub.disk import DEFAULT_REVISION, HubModel, bytes_present, on_disk, storage_folder
from app.hub.download_plan import DownloadPlan, PlannedFile
from app.hub.reach import guard_redirects
from app.hub.transfer import FileTransfer, Meter

FILES_AT_ONCE = 4
SPARE_BYTES = 64 * 2**20  # a disk filled to the last byte would break other programs
GATED_HINT = (
    "Accept its terms on {page} with your account there, then run `hf auth login` (or set HF_TOKEN) and try again."
)
NETWORK_HINT = "Is this machine online? Behind a proxy set HTTPS_PROXY, for a mirror HF_ENDPOINT."


def fetch(model: HubModel, tell: Callable[[int, int], None] | None = None) -> Path:
    """The snapshot folder of a model, with all it needs in it. `tell(done, of)` hears of the bytes.

    What arrived before stays and is used, also after an error. Raises ModelRefused (no diffusers model),
    ModelNotInstalled (unknown, gated, offline), ModelBusy (another process downloads it), DownloadFailed (network or
    hub), DiskFull (before anything is written, or when the disk fills up meanwhile).
    """
    if not model.repository:
        raise ModelNotInstalled("This model has no repository to download from.")
    with _plain_words(model.repository):
        storage = storage_folder(model.repository)
        found = on_disk(model)
        if found.folder is not None:
            return found.folder
        plan = make_plan(model)
        storage.mkdir(parents=True, exist_ok=True)
        with alone(storage):
            plan.write(storage)
            _bring(model.repository, plan, storage, tell or (lambda done, of: None))
            _write_reference(storage, plan)
        return storage / "snapshots" / plan.commit


def make_plan(model: HubModel) -> DownloadPlan:
    """Ask the hub which files there are, and choose. Raises ModelRefused if they are no diffusers pipeline."""
    repository = str(model.repository)
    asked = model.revision or DEFAULT_REVISION
    guard_redirects()
    info = HfApi(library_name="atelier").model_info(repository, revision=asked, files_metadata=True)
    names = [item.rfilename for item in info.siblings or ()]
    if model.single:
        wanted = set(wanted_of_one(names, model.variant))
    elif "model_index.json" in names:
        wanted = set(wanted_files(names, model.variant))
    else:
        raise ModelRefused(
            f"{repository} is no diffusers model: it has no model_index.json.",
            hint="A single .safetensors file can be put into the models folder by hand.",
        )
    for part, variant in () if model.single else other_variants(names, wanted).items():
        raise ModelRefused(
            f"{repository} has no plain weights of {part}, only {variant} ones.",
            hint=f'List it in models/catalog.toml with variant = "{variant}".',
        )
    bare = bool(model.transformer)
    if bare:
        wanted -= {name for name in wanted if name.startswith("transformer/") and "safetensors" in name}
    if not any(name.endswith(".safetensors") for name in wanted):
        raise ModelRefused(f"{repository} has no safetensors weights; nothing else is loaded.")
    try:
        return DownloadPlan(asked, str(info.sha), model.variant, tuple(_planned(info, wanted)), bare)
    except ValueError as error:  # its words become paths
        raise DownloadFailed(f"The hub's answer for {repository} is refused: {error}.", hint=NETWORK_HINT) from error


def _planned(info: ModelInfo, wanted: set[str]) -> Iterator[PlannedFile]:
    # Small files first: what a model is shows at once, and a wrong choice is stopped before its gigabytes.
    for item in sorted(info.siblings or (), key=lambda item: item.size or 0):
        if item.rfilename in wanted:
            checksum = item.lfs.sha256 if item.lfs else None
            blob = checksum or item.blob_id
            if blob is None or item.size is None:
                raise DownloadFailed(f"The hub does not say what {item.rfilename} is like.", hint=NETWORK_HINT)
            yield PlannedFile(item.rfilename, item.size, blob, checksum)


def _bring(repository: str, plan: DownloadPlan, storage: Path, tell: Callable[[int, int], None]) -> None:
    done = sum(bytes_present(storage, file) for file in {file.blob: file for file in plan.files}.values())
    need, free = plan.size - done, shutil.disk_usage(storage).free
    if need + SPARE_BYTES > free:
        raise DiskFull(
            f"The disk has too little room for {repository}: {need} bytes ({need / 1e9:.2f} GB) are needed, "
            f"{free} bytes ({free / 1e9:.2f} GB) are free.",
            hint=f"Free some of the disk of {storage.parent}, or set HF_HOME to a folder on a larger one.",
        )
    tell(done, plan.size)
    transfer = FileTransfer(repository, plan, storage, Meter(done, plan.size, tell))
    unique = {file.blob: file for file in plan.files}.values()
    with ThreadPoolExecutor(FILES_AT_ONCE, "download") as pool:
        results = [pool.submit(transfer.fetch, file) for file in unique]
        try:
            for result in as_completed(results):
                result.result()
        finally:
            transfer.stop()
            pool.shutdown(cancel_futures=True)
    for file in plan.files:  # those that share a blob with another
        transfer.place(file)
    tell(plan.size, plan.size)


def _write_reference(storage: Path, plan: DownloadPlan) -> None:
    """A branch or tag is remembered as huggingface_hub does it, so that others find the snapshot offline."""
    if plan.asked != plan.commit:
        reference = storage / "refs" / plan.asked
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(plan.commit, encoding="utf-8")


@contextmanager
def _plain_words(repository: str) -> Iterator[None]:
    """Whatever the hub, the network or the disk says, as one of our errors."""
    page = f"{constants.ENDPOINT}/{repository}"
    try:
        yield
    except GatedRepoError as error:
        raise ModelNotInstalled(f"{repository} is gated: only logged-in users who accepted its terms get it.",
                                hint=GATED_HINT.format(page=page)) from error  # fmt: skip
    except RepositoryNotFoundError as error:
        raise ModelNotInstalled(
            f"The hub has no model {repository!r}, or it is private.",
            hint="Check its name; for a private one run `hf auth login` or set HF_TOKEN.",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelNotInstalled(f"{repository} has no such revision as the catalog names.") from error
    except HFValidationError as error:
        raise ModelRefused(f"{repository!r} is not a model id of the hub: {error}") from error
    except OfflineModeIsEnabled as error:
        raise ModelNotInstalled("Downloads are switched off.", hint="Unset HF_HUB_OFFLINE to allow them.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ModelNotInstalled(
                f"The hub refuses {repository} ({status}).", hint=GATED_HINT.format(page=page)
            ) from error
        raise DownloadFailed(f"The hub answered {status} for {repository}.", hint="Try again later.") from error
    except httpx2.HTTPError as error:
        raise DownloadFailed(f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}: {error}).",
                             hint=NETWORK_HINT) from error  # fmt: skip
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full. What arrived is kept.", hint="Free some room and try again.") from error
        raise DownloadFailed(f"{repository} could not be saved: {error}") from error
