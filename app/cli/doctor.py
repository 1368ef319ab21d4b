"""`doctor`: what this machine is, what would run on it, whether the service is up, who holds its ports."""

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from app.cli.common import JsonOption, KeyOption, UrlOption, client_of, print_json, print_table, shown_size
from app.cli.machine import Machine, listener, look_at_machine
from app.cli.models import state_of
from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.settings import Settings

# Weights, plus activations and the parts that a pipeline keeps beside them.
ROOM_FACTOR = 1.3


def doctor(as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """Say what this machine is, what would run on it, and whether the service is up."""
    settings = Settings()
    machine = look_at_machine(settings.output_folder)
    with client_of(url, key) as client:
        service = _service(client)
        models = _models(client) if service["up"] else _listed(settings.models_folder)
    ports = [_port(name, port) for name, port in (("service", _port_of(client.url)), ("page", settings.ui_port))]
    verdicts = [(model["key"], state_of(model), verdict(model, machine)) for model in models]
    if as_json:
        found = [{"key": name, "state": state, "verdict": words} for name, state, words in verdicts]
        print_json({"machine": machine.as_dict(), "service": service, "ports": ports, "models": found})
        return
    _print_machine(machine, service, ports)
    typer.echo("")
    print_table(("model", "state", "on this machine"), verdicts)


def port_owner(port: int) -> None:
    """Print who listens on a port of this machine; exit status 1 if nobody does."""
    owner = listener(port)
    if owner is None:
        raise typer.Exit(1)
    typer.echo(owner)


def verdict(model: dict[str, Any], machine: Machine) -> str:
    """Whether a model fits, judged by the size of its files. GPU memory counts where there is a GPU."""
    size = model.get("size_bytes") or 0
    if not size:
        return "size unknown"
    need = size * ROOM_FACTOR
    if machine.gpus and max(gpu.memory_bytes for gpu in machine.gpus) >= need:
        return "runs on the GPU"
    if machine.memory_bytes < need:
        return f"too large: needs about {shown_size(need)} of memory"
    slow = size > 2**30
    return "runs on the GPU with offloading" if machine.gpus else "runs on the CPU" + (", slowly" if slow else "")


def _print_machine(machine: Machine, service: dict[str, Any], ports: list[dict[str, Any]]) -> None:
    gpus = ", ".join(f"{gpu.name} ({shown_size(gpu.memory_bytes)})" for gpu in machine.gpus) or "none found"
    rows = [
        ("system", machine.system),
        ("python", machine.python),
        ("processor", f"{machine.processor}, {machine.cores} cores" + (", fast bf16" if machine.fast_bf16 else "")),
        ("memory", f"{shown_size(machine.memory_bytes)}, {shown_size(machine.memory_free_bytes)} free"),
        ("GPU", gpus),
        ("disk", f"{shown_size(machine.disk_free_bytes)} free for pictures"),
        ("service", service["words"]),
    ]
    rows += [(f"port {port['port']}", f"{port['for']}: {port['owner'] or 'free'}") for port in ports]
    print_table(("Atelier on", "this machine"), rows)


def _service(client: ImageServiceClient) -> dict[str, Any]:
    try:
        client.health()
        ready = client.ready()
    except ServiceError as error:
        return {"url": client.url, "up": False, "ready": False, "words": f"down: {error.message}"}
    words = f"up at {client.url}" + ("" if ready else ", not ready yet")
    return {"url": client.url, "up": True, "ready": ready, "words": words}


def _models(client: ImageServiceClient) -> list[dict[str, Any]]:
    try:
        return client.models()
    except ServiceError:
        return []  # an API key is missing, say: the rest of the report still helps


def _listed(folder: Path) -> list[dict[str, Any]]:
    """What the catalog's file says, while no service can be asked."""
    file = folder / "catalog.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return [{"key": key, "state": _on_disk(folder, values), **values} for key, values in table.items()]


def _on_disk(folder: Path, values: dict[str, Any]) -> str:
    if "path" not in values:
        return "service is down"
    return "installed" if (folder / values["path"]).exists() else "not installed"


def _port(what: str, port: int) -> dict[str, Any]:
    return {"for": what, "port": port, "owner": listener(port)}


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
