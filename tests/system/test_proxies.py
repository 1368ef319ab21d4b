"""The examples in deploy/ with real nginx, Caddy and systemd: TLS, login, keys, live events."""

import hashlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from app.ui.accounts import add_user
from tests.running import ROOT, RunningPage, RunningService, free_port

DEPLOY = ROOT / "deploy"
KEY = "a-key-that-only-this-test-knows"
PAGE, API = "atelier.example", "api.atelier.example"
FRONTS = ("nginx", "caddy")
PROGRAMS = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # nginx is where only root looks


@dataclass(frozen=True)
class Front:
    """A proxy that listens on a port of this machine, with a certificate of its own making."""

    port: int
    certificate: Path

    def ask(self, host: str, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """A request as a browser would send it whose name server knows `host`."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1", self.port, ssl_context=context, server_hostname=host, assert_hostname=host, timeout=60
        )
        sent: dict[str, str] = options.pop("headers", {})
        headers = {"Host": host, "Origin": f"https://{host}", "Accept": "text/html,*/*"} | sent
        return pool.request(method, path, headers=headers, redirect=False, retries=False, **options)


def nginx(folder: Path, port: int, service: int, page: int) -> list[str]:
    """The example with our addresses inside the frame that Debian's nginx.conf gives it."""
    sites = (DEPLOY / "nginx.conf").read_text().replace("/etc/ssl/atelier", str(folder))
    sites = sites.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    sites = sites.replace("127.0.0.1:7860", f"127.0.0.1:{page}").replace("127.0.0.1:5001", f"127.0.0.1:{service}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "front.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{sites}\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "front.conf")]


def caddy(folder: Path, port: int, service: int, page: int) -> list[str]:
    """The example with our addresses, and our certificate instead of one from the internet."""
    sites = (DEPLOY / "Caddyfile").read_text()
    for name in (API, PAGE):
        inside = f"{name}:{port} {{\n\ttls {folder}/fullchain.pem {folder}/privkey.pem"
        sites = sites.replace(f"\n{name} {{", f"\n{inside}")
    sites = sites.replace("127.0.0.1:7860", f"127.0.0.1:{page}").replace("127.0.0.1:5001", f"127.0.0.1:{service}")
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n}\n"
    (folder / "front.conf").write_text(options + sites)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "front.conf")]


COMMANDS: dict[str, Callable[[Path, int, int, int], list[str]]] = {"nginx": nginx, "caddy": caddy}


@contextmanager
def front(name: str, folder: Path, service: int, page: int) -> Iterator[Front]:
    """The proxy, running."""
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={PAGE}",
         "-addext", f"subjectAltName=DNS:{PAGE},DNS:{API}", "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    command = COMMANDS[name](folder, port, service, page)
    environment = {"PATH": PROGRAMS, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while not listens(port):
            said = (folder / "out").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield Front(port, folder / "fullchain.pem")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


def listens(port: int) -> bool:
    """True if somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_refused(ask: Callable[[], urllib3.BaseHTTPResponse]) -> bool:
    """True if a body is too large: Caddy hangs up before it has come, which a sender may see before the answer."""
    try:
        return ask().status == 413
    except (urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError):
        return True


@pytest.mark.parametrize("name", FRONTS)
def test_page_and_api_work_behind_the_example_of_a_proxy_with_tls_login_and_keys(name: str, tmp_path: Path) -> None:
    if not shutil.which(name, path=PROGRAMS):
        pytest.skip(f"needs {name}")
    keys, people = tmp_path / "keys", tmp_path / "people"
    keys.write_text(f"generate:{hashlib.sha256(KEY.encode()).hexdigest()}\n")
    keys.chmod(0o600)
    add_user(people, "ada", "a long password")
    settings = {"API_KEYS_FILE": str(keys), "TRUSTED_HOSTS": API}
    page_settings = {"API_KEY": KEY, "UI_AUTH_FILE": str(people), "TRUSTED_HOSTS": PAGE, "UI_PROXIES": "127.0.0.1"}
    with (
        RunningService(tmp_path / "service", **settings) as service,
        RunningPage(tmp_path / "page", service.url, **page_settings) as page,
        front(name, tmp_path / "front", int(service.url.rpartition(":")[2]), int(page.url.rpartition(":")[2])) as proxy,
    ):
        assert proxy.ask(PAGE, "GET", "/").status in (302, 303, 307)
        form = {"name": "ada", "password": "a wrong password"}
        wrong = proxy.ask(PAGE, "POST", "/login", fields=form, encode_multipart=False)
        assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
        form["password"] = "a long password"
        entered = proxy.ask(PAGE, "POST", "/login", fields=form, encode_multipart=False)
        assert entered.status == 303
        cookie = entered.headers["set-cookie"]
        assert "Secure" in cookie
        inside = proxy.ask(PAGE, "GET", "/", headers={"Cookie": cookie.partition(";")[0]})
        assert (inside.status, b"Atelier" in inside.data) == (200, True)

        assert proxy.ask(API, "GET", "/api/jobs").status == 401
        mine = {"Authorization": f"Bearer {KEY}"}
        made = proxy.ask(API, "POST", "/api/jobs", headers=mine, json={"prompt": "an apple", "width": 64, "height": 64})
        assert made.status == 202, made.data
        events = proxy.ask(API, "GET", f"/api/jobs/{made.json()['id']}/events", headers=mine)
        assert b"event: succeeded" in events.data
        assert is_refused(lambda: proxy.ask(API, "POST", "/api/inspect", headers=mine, body=b"x" * (34 * 2**20)))
        # Whoever reaches the page past the proxy needs the same login.
        assert requests.get(page.url, timeout=60).status_code == 401


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "atelier.service"
    text = (DEPLOY / "atelier.service").read_text()
    unit.write_text(text.replace("ExecStart=/opt/atelier/quick_start.sh", f"ExecStart={ROOT / 'quick_start.sh'}"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stderr) == (0, "")
