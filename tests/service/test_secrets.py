"""Whatever is sent to whichever door, no key, no prompt and no address of it stands in any log afterwards."""

import hashlib
import json
import random
import re
import socket
from pathlib import Path

import pytest
import requests

from app.service.http.scopes import lines
from tests.running import RunningService

PROMPT, URL, SECRET, WRONG = "canary-prompt", "http://canary.example/url", "canary-key", "canary-wrong-key"
FIELDS = ("prompt", "negative_prompt", "model", "seed", "width", "num_images", "n", "size", "text", "image", "stream",
          "sd_model_checkpoint", "force_task_id", "id_task", "extra", "scheduler", "sampler_name", "alwayson_scripts",
          "override_settings", "response_format", "imageList", "url", "num_inference_steps", "favourite")  # fmt: skip
VALUES = (PROMPT, URL, f"\x1b[31m{PROMPT}\n", f"{PROMPT}\ud800", 1, -1, 10**400, 1.5, True, None, [PROMPT], {"a": URL},
          [[[[[URL]]]]], "x" * 500 + PROMPT, {PROMPT: PROMPT}, 64, "64x64", False)  # fmt: skip
SEEDS, BODIES = 3, 2


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """With one admin's key, and a password in the environment."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "keys").write_text(f"admin:{hashlib.sha256(SECRET.encode()).hexdigest()}\n")
    with RunningService(folder, API_KEYS_FILE=str(folder / "keys"), API_KEY="canary-own-key") as running:
        yield running


def logs(folder: Path) -> str:
    files = [*folder.glob("logs/*"), folder / "program.out"]
    assert len(files) >= 2
    return "\n".join(file.read_text("utf-8", "replace") for file in files)


def a_body(dice: random.Random) -> str:
    names = dice.sample(FIELDS, dice.randint(1, 6))
    return json.dumps({name: dice.choice(VALUES) for name in names} | dice.choice(({}, {"prompt": PROMPT})))


def test_nothing_that_was_sent_to_any_door_stands_in_a_log(service: RunningService) -> None:
    dice, told, sent = random.Random(7), set(), 0
    session = requests.Session()
    for line in lines():
        method, _, rule = line.partition(" ")
        path = re.sub(r"<any\('?(\w+(?:\.\w+)?)[^>]*>", r"\1", rule)
        path = re.sub(r"<[^>]+>", dice.choice((PROMPT, "pocket", "canary.example%1b%0a")), path)
        if rule.endswith("/events") or rule in ("/api/generate", "/metrics"):
            continue  # they wait, or tell of the process
        for _ in range(SEEDS if method == "GET" else SEEDS * BODIES):
            key = dice.choice((SECRET, SECRET, WRONG))
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": URL}
            body = None if method == "GET" else a_body(dice).encode()
            params = dice.choice(({}, {"q": PROMPT, "key": SECRET}, {"generation_uuid": PROMPT}))
            answer = session.request(
                method, service.url + path, data=body, params=params, headers=headers, timeout=60, stream=True
            )
            told.add(answer.status_code)
            answer.close()
            sent += 1
    assert sent > 150
    assert {200, 401, 404, 422} <= told
    assert max(told) < 500 or told & {503, 507}, told
    raw = (
        f"GET /{PROMPT} HTTP/1.1\r\nHost: {PROMPT}\r\nAuthorization : Bearer {SECRET}\r\n\r\n",
        f"{PROMPT}\r\n\r\n",
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a b{PROMPT}\r\nContent-Length: x{PROMPT}\r\n\r\n",
    )
    for text in raw:
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as sock:
            sock.sendall(text.encode())
            sock.recv(1000)
    found = logs(service.folder)
    assert "request" in found  # it is a log at all
    assert "canary" not in found
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028]", found)
