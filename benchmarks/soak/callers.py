"""What people and programs do with a studio, again and again: one function for each door."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import GenerationRequest, JobState
from tests.system.history import Promises

CALM = (408, 409, 429, 502, 503, 504, 507)  # what a service that is busy, full or restarting may say
PATIENCE_S = 300.0


@dataclass
class Studio:
    """What the callers share. All of it is written by many threads: single appends only."""

    url: str
    drop_folder: Path
    models: tuple[str, ...]
    stop: threading.Event
    promises: Promises = field(default_factory=Promises)
    deleted: set[str] = field(default_factory=set)  # prompts of pictures in the library
    undelivered: list[str] = field(default_factory=list)  # prompt files whose picture was deleted too soon
    done: Counter[str] = field(default_factory=Counter)
    put_off: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def request(self, dice: random.Random, words: str = "") -> GenerationRequest:
        """A small picture of a model by chance."""
        return GenerationRequest(
            prompt=f"picture {dice.random()} {words}", model=dice.choice(self.models), num_inference_steps=4,
            width=64, height=64, num_images=dice.choice((1, 1, 1, 2, 3)), seed=dice.randrange(2**31),
        )  # fmt: skip


Caller = Callable[[Studio, random.Random], None]


class PutOff(Exception):
    """The service said that it cannot now; the caller comes again."""


def native(studio: Studio, dice: random.Random) -> None:
    """Submit with a key, sometimes twice, follow the events to the end, fetch each picture."""
    key = f"soak-{uuid.uuid4()}"
    studio.promises.requests[key] = studio.request(dice)
    with ImageServiceClient(studio.url) as client:
        _submit(studio, client, key)
        if dice.random() < 0.2:
            _submit(studio, client, key)
        job = client.wait(studio.promises.ids[key])
        if job.state is not JobState.SUCCEEDED:
            studio.wrong.append(f"{key}: {job.state} {job.error}")
        for image in job.images:
            client.image_bytes(image.id)
            client.thumbnail(image.id)


def cancelling(studio: Studio, dice: random.Random) -> None:
    """Submit a slow one and cancel it after a moment."""
    key = f"soak-{uuid.uuid4()}"
    studio.promises.requests[key] = studio.request(dice, "!slow")
    with ImageServiceClient(studio.url) as client:
        _submit(studio, client, key)
        time.sleep(dice.uniform(0, 0.6))
        while not client.cancel(studio.promises.ids[key]).state.finished:
            time.sleep(0.1)


def looking(studio: Studio, dice: random.Random) -> None:
    """Search the library, mark a picture, and sometimes delete one."""
    with ImageServiceClient(studio.url) as client:
        found, _ = client.images(q=str(dice.randrange(10)), limit=20)
        client.status(), client.models(), client.groups()
        if found:
            image = dice.choice(found)
            client.set_favourite(image.id, dice.random() < 0.5)
            if dice.random() < 0.3:
                studio.promises.deleted.add(image.id)
                studio.deleted.add(image.prompt)
                client.delete_image(image.id)


def swapping(studio: Studio, dice: random.Random) -> None:
    """Load a model and unload another, as an owner does on the Models tab."""
    with ImageServiceClient(studio.url) as client:
        client.load_model(dice.choice(studio.models))
        client.unload_model(dice.choice(studio.models))


def automatic1111(studio: Studio, dice: random.Random) -> None:
    """txt2img and its progress."""
    wanted = studio.request(dice)
    body = {"prompt": wanted.prompt, "steps": 4, "width": 64, "height": 64, "batch_size": wanted.num_images}
    answer = _http(studio, "POST", "/sdapi/v1/txt2img", json=body)
    if len(answer["images"]) != wanted.num_images:
        studio.wrong.append(f"txt2img: {len(answer['images'])} of {wanted.num_images} pictures")
    _http(studio, "GET", "/sdapi/v1/progress")


def openai(studio: Studio, dice: random.Random) -> None:
    """A picture as base64."""
    wanted = studio.request(dice)
    body = {"prompt": wanted.prompt, "model": wanted.model, "size": "64x64", "num_inference_steps": 4,
            "response_format": "b64_json"}  # fmt: skip
    if not _http(studio, "POST", "/v1/images/generations", json=body)["data"][0]["b64_json"]:
        studio.wrong.append("openai: no picture")


def playground(studio: Studio, dice: random.Random) -> None:
    """A prompt and a look at the line."""
    _http(studio, "POST", "/prompt", json={"text": studio.request(dice).prompt, "num_images": 1, "seed": 0})
    _http(studio, "GET", "/queue_status")


def environment(studio: Studio, dice: random.Random) -> None:
    """One picture at a time."""
    made = _http(studio, "POST", "/image/generate", json={"prompt": studio.request(dice).prompt})
    _http(studio, "GET", f"/image/generate?generation_uuid={made['generation_uuid']}")


def dropping(studio: Studio, dice: random.Random) -> None:
    """A prompt file, and its answer: a picture, unless somebody deleted it in the library before it was delivered."""
    stem = f"{uuid.uuid4()}-soak-64x64"
    prompt = studio.request(dice).prompt.strip()
    part = studio.drop_folder / f"{stem}.part"
    part.write_text(prompt)
    part.rename(studio.drop_folder / f"{stem}.txt")
    answer, error = (studio.drop_folder / f"{stem}{ending}" for ending in (".png", "-error.txt"))
    deadline = time.monotonic() + PATIENCE_S
    while not (answer.exists() or error.exists()) and time.monotonic() < deadline and not studio.stop.is_set():
        time.sleep(0.2)
    if error.exists():
        if "has been deleted" in error.read_text() and prompt in studio.deleted:
            studio.undelivered.append(stem)
        else:
            studio.wrong.append(f"drop folder: {stem}: {error.read_text()}")
    elif not answer.exists() and not studio.stop.is_set():
        left = sorted(path.name for path in studio.drop_folder.iterdir())
        studio.wrong.append(f"drop folder: no answer to {stem}; there are {left}")
    answer.unlink(missing_ok=True)
    error.unlink(missing_ok=True)


CALLERS: tuple[Caller, ...] = (
    native, native, cancelling, looking, swapping, automatic1111, openai, playground, environment, dropping,
)  # fmt: skip


def keep_calling(studio: Studio, caller: Caller, seed: int, pause_s: float) -> None:
    """Until told to stop. What a service under repair may say is counted; everything else is wrong."""
    dice = random.Random(seed)
    name = caller.__name__
    while not studio.stop.wait(dice.uniform(0.5, 1.5) * pause_s):
        try:
            caller(studio, dice)
            studio.done[name] += 1
        except (requests.ConnectionError, requests.Timeout, PutOff, OSError):
            studio.put_off[name] += 1
        except ServiceError as error:
            # A picture may be deleted by another caller between looking and touching; a model may be in use.
            if error.http_status and error.http_status not in (*CALM, 404):
                studio.wrong.append(f"{name}: {error.http_status} {error.message}")
            studio.put_off[name] += 1
        except Exception as error:  # noqa: BLE001 - a caller that ends would hide all that it finds later
            studio.wrong.append(f"{name}: {error!r}")


def _submit(studio: Studio, client: ImageServiceClient, key: str) -> None:
    """Until it is acknowledged: only then is it promised."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            studio.promises.note(key, client.submit(studio.promises.requests[key], idempotency_key=key))
            return
        except ServiceError as error:
            if error.http_status not in (0, None, *CALM) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _http(studio: Studio, method: str, path: str, **options: Any) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, studio.url + path, timeout=PATIENCE_S, **options)
    if answer.status_code in CALM:
        raise PutOff
    if answer.status_code >= 400:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:200]}")
    return answer.json()
