"""Made-up requests to every address of the service, right in most parts and odd in some, and what came back.

`benchmarks/fuzz_doors.py` sends very many of them; a test sends some. The same seed makes the same requests.
"""

import base64
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

MAX_READ = 2**22  # bytes of an answer that are looked at
SKIPPED = {"HEAD", "OPTIONS"}
PNG = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
).decode()
SIZE = {"width": 64, "height": 64}
# A body that each address takes as it is; addresses that take none are sent one all the same.
BODIES: dict[str, dict[str, Any]] = {
    "/api/jobs": {"prompt": "a cat", "negative_prompt": "dogs", "model": "pocket", "num_inference_steps": 1,
                  "guidance_scale": 4.0, "seed": 1, "num_images": 1, "scheduler": "Euler a", "extra": {"a": [1]},
                  **SIZE},
    "/api/images/<image_id>": {"favourite": True},
    "/prompt": {"text": "a cat", "num_images": "1", "seed": 0, "condition_scale": "4.0", "gen_top_k": "50",
                "gen_top_p": 0.9, "temperature": 1},
    "/image/generate": {"prompt": "a cat"},
    "/v1/images/generations": {
        "prompt": "a cat", "model": "dall-e-3", "n": 1, "size": "64x64", "quality": "low", "style": "vivid",
        "response_format": "b64_json", "output_format": "png", "output_compression": 90, "stream": False,
        "partial_images": 0, "user": "x", "background": "auto", "moderation": "auto", "seed": 1, "negative_prompt": "",
        "num_inference_steps": 1, "guidance_scale": 2, "scheduler": "Euler",
    },
    "/sdapi/v1/txt2img": {
        "prompt": "a cat", "negative_prompt": "", "steps": 1, "cfg_scale": 7.0, "seed": -1, "batch_size": 1,
        "n_iter": 1,
        "sampler_name": "Euler a", "scheduler": "automatic", "sampler_index": "Euler", "styles": [], "enable_hr": False,
        "override_settings": {"sd_model_checkpoint": "pocket", "CLIP_stop_at_last_layers": 1}, "clip_skip": 1,
        "alwayson_scripts": {"ADetailer": {"args": [False]}}, "infotext": "a dog\nSteps: 1, Sampler: Euler, Seed: 1",
        "force_task_id": "task(x)", "send_images": True, "script_name": None, "eta": 1.0, "s_noise": 1, **SIZE,
    },
    "/sdapi/v1/options": {"sd_model_checkpoint": "pocket", "CLIP_stop_at_last_layers": 1},
    "/sdapi/v1/png-info": {"image": PNG},
    "/sdapi/v1/extra-single-image": {
        "image": PNG, "resize_mode": 0, "upscaling_resize": 2, "upscaling_resize_w": 8, "upscaling_resize_h": 8,
        "upscaling_crop": True, "upscaler_1": "Lanczos", "upscaler_2": "None", "gfpgan_visibility": 0,
    },
    "/sdapi/v1/extra-batch-images": {"imageList": [{"data": PNG, "name": "x"}], "upscaler_1": "Nearest"},
    "/internal/progress": {"id_task": "task(x)", "id_live_preview": -1, "live_preview": True},
}  # fmt: skip
BODIES["/api/generate"] = BODIES["/api/jobs"]
QUERIES = ("limit", "cursor", "state", "q", "model", "seed", "favourite", "group", "w", "generation_uuid",
           "compression", "skip_current_image", "after", "odd")  # fmt: skip
HEADERS = ("Idempotency-Key", "X-Atelier-Origin", "X-Request-Id", "Last-Event-ID", "If-None-Match", "Authorization",
           "Accept", "Range", "Content-Type", "Content-Encoding", "Origin", "Sec-Fetch-Site", "Cookie")  # fmt: skip
DEEP = 20_000
MARKS = {"@inf@": "1e999", "@nan@": "NaN", "@deep@": "[" * DEEP + "]" * DEEP, "@digits@": "9" * 5000}
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 64, 2**31, 2**32 + 1, 2**63, -(2**63) - 1, 10**40, 10**400, 0.5, -0.0, 1e308,
    5e-324, "", " ", "x", "1", "-1", "0", "1e999", "inf", "nan", "1" * 5000, "a" * 30_000, "\x00", "\ud800", "\udfff x",
    "\u202e",
    "../../etc/passwd", "%00", "None", "Automatic", "default", "PLMS", "Euler Karras", "64x64", "0x0", "99999x99999",
    "pocket", "other", "dall-e-3", "sdxl-turbo", "<lora:x:1>", "(a:1e999)", "{a|b}", "BREAK",
    "data:image/png;base64,AAAA",
    PNG, [], [[]], [None] * 20, ["x"], {}, {"a": 1}, {"args": [True]}, {"\ud800": 1}, [{"data": "x"}], *MARKS,
)  # fmt: skip
RAW = (b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe{}", b"\x00", b"{" * DEEP, b"[" * DEEP, b'{"prompt":"\xff"}',
       b'{"prompt":"a","prompt":"b"}', b'{"text":"a"\n"seed":1}', b"--x\r\n", b'{"a":' * DEEP,
       b'{"text": 1' + b"0" * 5000)  # fmt: skip
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nx\r\n--x--\r\n'


@dataclass(frozen=True)
class Address:
    """One rule of the app and one of its methods. `door` is the blueprint that serves it."""

    door: str
    method: str
    rule: str


@dataclass
class Sent:
    """What came of the requests: answers by door and status, and each request that was answered 500 or more."""

    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    addresses: Counter[Address] = field(default_factory=Counter)
    ours: list[str] = field(default_factory=list)

    def note(self, address: Address, status: int, request: Any) -> None:
        """One answer."""
        self.counts[address.door, status] += 1
        self.addresses[address] += 1
        if status >= 500:
            self.ours.append(f"{status} {address.method} {address.rule} {ascii(request)[:1000]}")


def addresses(app: Flask) -> list[Address]:
    """Every address of the app with every method that it has, in a fixed order."""
    found = [
        Address(rule.endpoint.rpartition(".")[0] or "app", method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - SKIPPED)
    ]
    return sorted(found, key=lambda address: (address.door, address.rule, address.method))


class Maker:
    """Makes up requests. `known` are ids that exist, for the parts of addresses."""

    def __init__(self, seed: int, known: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._known = known

    def request(self, address: Address) -> dict[str, Any]:
        """What to hand to a Flask test client's `open`."""
        made: dict[str, Any] = {"path": self._path(address.rule), "method": address.method, "headers": self._headers()}
        made["query_string"] = self._query()
        if address.method != "GET" or self._chance(0.05):
            made["data"] = self._body(address.rule)
        return made

    def _path(self, rule: str) -> str:
        return re.sub(r"<(?:any\(([^)]*)\):)?[^<>]+>", lambda found: self._part(found[1]), rule)

    def _part(self, choices: str | None) -> str:
        if choices:
            return self._random.choice(choices.split(",")).strip(" '")
        if self._known and self._chance(0.5):
            return self._random.choice(self._known)
        text = str(self._random.choice(ODD)).encode("utf-8", "replace").decode()[:300]
        return text.replace("?", "").replace("#", "") or "x"

    def _query(self) -> dict[str, str]:
        names = self._random.sample(QUERIES, self._random.choice((0, 0, 0, 1, 2)))
        return {name: self._text() for name in names}

    def _headers(self) -> dict[str, str]:
        names = self._random.sample(HEADERS, self._random.choice((0, 0, 1, 2)))
        odd = {name: re.sub(r"[\r\n]", "", self._text())[:400] for name in names}
        return {"Content-Type": "application/json"} | odd

    def _text(self) -> str:
        return str(self._random.choice(ODD)).encode("utf-8", "replace").decode("latin-1")[:6000]

    def _body(self, rule: str) -> bytes:
        if self._chance(0.1):
            return self._random.choice((*RAW, MULTIPART))
        body = dict(BODIES.get(rule) or self._random.choice(list(BODIES.values())))
        for name in self._random.sample(list(body), self._random.choice((0, 0, 1, len(body) // 2, len(body) - 1))):
            del body[name]
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 3))):
            body[self._random.choice([*(BODIES.get(rule) or body), "odd", *body])] = self._value()
        text = json.dumps(body)
        for mark, raw in MARKS.items():
            text = text.replace(f'"{mark}"', raw)
        return text.encode()

    def _value(self) -> Any:
        value = self._random.choice(ODD)
        if self._chance(0.1):
            return {str(self._random.choice(ODD))[:40]: value}
        return [value] if self._chance(0.1) else value

    def _chance(self, share: float) -> bool:
        return self._random.random() < share


def send(app: Flask, count: int, seed: int, known: Sequence[str]) -> Iterator[Sent]:
    """Send `count` made-up requests, in turn to every address; what came back so far, after each one.

    Addresses that take a body come three times in each turn: there is more to be got wrong.
    """
    maker, sent = Maker(seed, known), Sent()
    everywhere = [address for address in addresses(app) for _ in range(3 if address.rule in BODIES else 1)]
    client = app.test_client()
    for number in range(count):
        address = everywhere[number % len(everywhere)]
        request = maker.request(address)
        answer = client.open(**request)
        _read(answer)
        sent.note(address, answer.status_code, request)
        if address.rule == "/api/queue/pause":
            client.post("/api/queue/resume")  # or those who wait would wait for ever
        yield sent


def _read(answer: TestResponse) -> None:
    """Look at the whole answer, of an endless one at its beginning: what is raised in a stream is raised here."""
    size = 0
    for chunk in answer.response:
        size += len(chunk)
        if size > MAX_READ or answer.mimetype == "text/event-stream":
            break
    answer.close()
