"""The process that downloads: it obeys the usual variables, tells what happens, and ends with its parent."""

import json
import os
import subprocess
import sys
import time

import pytest

from app.core.models import Presence
from app.hub.child import Wanted
from app.hub.disk import on_disk
from app.hub.downloads import Speed, child_environment
from tests.hub.conftest import REPOSITORY
from tests.hub_server import Hub
from tests.running import ROOT


def start(**environment: str) -> "subprocess.Popen[str]":
    order = json.dumps({"repository": REPOSITORY})
    return subprocess.Popen(
        [sys.executable, "-m", "app.hub.child", order], cwd=ROOT, env=child_environment(os.environ) | environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def lines(child: "subprocess.Popen[str]") -> list[dict[str, object]]:
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout as stream:  # its input stays open until it has ended
        told = [json.loads(line) for line in stream]
        child.wait(60)
    return told


def test_a_proxy_carries_the_download(hub: Hub, wanted: Wanted) -> None:
    # A name that no machine has: only the proxy, which is the stand-in itself, can answer for it.
    proxies = {"http_proxy": hub.url, "HTTP_PROXY": hub.url, "no_proxy": "", "NO_PROXY": ""}
    told = lines(start(HF_ENDPOINT="http://hub.invalid", **proxies))
    assert told[-1] == {"kind": "done"}
    assert on_disk(wanted).presence is Presence.COMPLETE


def test_an_error_is_told_as_a_line(hub: Hub) -> None:
    hub.status = 500
    [told] = lines(start())
    assert (told["kind"], told["code"]) == ("error", "download_failed")


def test_it_ends_with_its_parent_and_keeps_what_came(hub: Hub, wanted: Wanted) -> None:
    hub.bytes_per_s = 300_000
    child = start()
    assert child.stdout is not None
    assert child.stdin is not None
    while json.loads(child.stdout.readline())["done"] < 100_000:
        pass
    child.stdin.close()  # as the kernel does when the service is killed
    assert child.wait(5) == 1
    child.stdout.close()
    assert on_disk(wanted).done >= 100_000
    hub.bytes_per_s = 0
    assert lines(start())[-1] == {"kind": "done"}


def test_the_childs_environment_has_the_hubs_login_but_not_the_services_secrets() -> None:
    needed = {"HF_TOKEN": "t", "PATH": "p", "https_proxy": "x", "HF_ENDPOINT": "e", "HF_HUB_DOWNLOAD_TIMEOUT": "9"}
    others = {"ATELIER_API_KEY": "k", "ATELIER_DATABASE_URL": "u", "PGPASSWORD": "g", "AWS_SESSION_TOKEN": "a"}
    own = needed | others | {"HF_HUB_OFFLINE": "1", "SSH_AUTH_SOCK": "s"}
    assert child_environment(own) == needed | {"HF_HUB_DISABLE_TELEMETRY": "1"}


def test_the_hub_is_asked_for_the_model_and_nothing_else(hub: Hub) -> None:
    assert lines(start())[-1] == {"kind": "done"}
    parts = (f"/api/models/{REPOSITORY}/revision/", f"/{REPOSITORY}/resolve/")
    assert [path for path, _ in hub.calls if not path.startswith(parts)] == []
    assert all("torch" not in agent for agent in hub.agents)


def test_speed_and_time_left_are_those_of_the_last_seconds() -> None:
    pace = Speed()
    first = pace.after(100.0, 0, 1000)
    assert (first.bytes_per_s, first.eta_s) == (None, None)
    second = pace.after(102.0, 200, 1000)
    assert (second.bytes_per_s, second.eta_s) == pytest.approx((100.0, 8.0))
    third = pace.after(112.0, 200, 1000)  # nothing came for ten seconds
    assert (third.bytes_per_s, third.eta_s) == (0.0, None)
    assert pace.after(time.monotonic() + 1e6, 900, 1000).bytes_per_s is None
