"""`doctor`: what this machine is, what would run on it, whether the service is up, who holds its ports."""

import os
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from app.catalog import Catalog, ModelEntry, kinds_of
from app.cli.common import JsonOption, KeyOption, UrlOption, client_of, print_json, print_table, shown_size
from app.cli.models import state_of
from app.client import ImageServiceClient
from app.confine import missing
from app.core.errors import ServiceError
from app.core.models import ModelInfo
from app.core.settings import Confine, Settings
from app.machine import Machine, listener, look_at_machine
from app.tiers.choose import Room
from app.tiers.compute import expected_compute
from app.tiers.plans import GIB, other_room, plan_json, plan_of, plan_row, room_of, why

VramOption = Annotated[
    float | None,
    typer.Option("--vram", min=0, help="Plan for another machine: GB of GPU memory; left out or 0 is no GPU."),
]
RamOption = Annotated[float | None, typer.Option("--ram", min=1, help="Plan for another machine: GB of RAM.")]


def doctor(
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    vram: VramOption = None,
    ram: RamOption = None,
) -> None:
    """Say what this machine is, how each model would run on it, and whether the service is up.

    With --vram and --ram: how each model would run on a machine that has so much.
    """
    settings = Settings()
    machine = look_at_machine(settings.output_folder)
    with client_of(url, key) as client:
        service = _service(client)
        models = _models(client) if service["up"] else _listed(settings)
    troubles = _troubles(Catalog(settings))
    here = room_of(machine)
    elsewhere = vram is not None or ram is not None
    room = other_room(here, vram, ram) if elsewhere else here
    plans = [(m, plan_of(m, room, size=settings.machine_size, tier=settings.memory_tier)) for m in models]
    computed = {m.key: expected_compute(m, plan, room, settings.compute) for m, plan in plans if plan is not None}
    ports = [_port(name, port) for name, port in (("service", _port_of(client.url)), ("page", settings.ui_port))]
    if as_json:
        found = [
            {
                "key": m.key,
                "kinds": m.kinds,
                "state": state_of(m),
                "verdict": plan_row(plan)[-1],
                "plan": plan_json(plan),
                "compute": None if (by := computed.get(m.key)) is None else {"by": by.by, "why": by.why},
            }
            for m, plan in plans
        ]
        walls = {"confine": settings.confine, "missing": missing()}
        told = [{"name": name, "reason": reason} for name, reason in troubles]
        known = {"machine": machine.as_dict(), "walls": walls, "service": service, "ports": ports}
        print_json({**known, "models": found, "refused": told})
        return
    if not elsewhere:
        _print_machine(machine, service, ports, settings.confine)
        typer.echo("")
    where = f"on a machine with {_words(room)}" if elsewhere else "on this machine"
    rows = [(m.key, ", ".join(m.kinds), state_of(m), *plan_row(plan)) for m, plan in plans]
    typer.echo(f"Models {where}:")
    print_table(("model", "does", "state", "VRAM", "RAM", "memory tier"), rows)
    typer.echo("\nVRAM and RAM are expected peaks for one picture of the model's own size. Why:")
    for model, plan in plans:
        if plan is not None:
            typer.echo(f"  {model.key}: {why(plan)}")
    typer.echo(f"\nComputed by (ATELIER_COMPUTE={settings.compute}):")
    for name, by in computed.items():
        typer.echo(f"  {name}: {by.by}, because {by.why}" if by else f"  {name}: size unknown")
    typer.echo("  torch.compile is not offered: the process with the models may start no program.")
    if troubles and not elsewhere:
        typer.echo("\nIn the models folder, and not usable:")
        for name, reason in troubles:
            typer.echo(f"  {name}: {reason}")


def port_owner(port: int) -> None:
    """Print who listens on a port of this machine; exit status 1 if nobody does."""
    owner = listener(port)
    if owner is None:
        raise typer.Exit(1)
    typer.echo(owner)


def _words(room: Room) -> str:
    gpu = f"{room.vram / GIB:g} GB VRAM" if room.vram else "no GPU"
    return f"{gpu}, {room.ram / GIB:.0f} GB RAM"


def _print_machine(machine: Machine, service: dict[str, Any], ports: list[dict[str, Any]], confine: Confine) -> None:
    gpus = ", ".join(f"{gpu.name} ({shown_size(gpu.memory_bytes)})" for gpu in machine.gpus) or "none found"
    rows = [
        ("system", machine.system),
        ("python", machine.python),
        ("processor", f"{machine.processor}, {machine.cores} cores" + (", fast bf16" if machine.fast_bf16 else "")),
        ("memory", f"{shown_size(machine.memory_bytes)}, {shown_size(machine.memory_free_bytes)} free"),
        ("GPU", gpus),
        ("disk", f"{shown_size(machine.disk_free_bytes)} free for pictures"),
        ("models' process", _walls(confine)),
        ("service", service["words"]),
    ]
    rows += [(device["device"], _device(device)) for device in service["devices"]]
    rows += [(f"port {port['port']}", f"{port['for']}: {port['owner'] or 'free'}") for port in ports]
    print_table(("Atelier on", "this machine"), rows, cut=0)


def _device(device: dict[str, Any]) -> str:
    """`gpu-box: NVIDIA H200, draws, holds sdxl`."""
    doing = "draws" if device["busy"] else "free" if device["alive"] else "no process"
    return f"{device['name']}, {doing}, holds {', '.join(device['loaded_models']) or 'no model'}"


def _walls(confine: Confine) -> str:
    if confine is Confine.OFF:
        return "not confined (ATELIER_CONFINE=off)"
    return " ".join(missing()) or "confined: no network, no files but the models, no other programs"


def _service(client: ImageServiceClient) -> dict[str, Any]:
    try:
        client.health()
        ready = client.ready()
        devices = [device.model_dump() for device in client.status().devices]
    except ServiceError as error:
        return {"url": client.url, "up": False, "ready": False, "words": f"down: {error.message}", "devices": []}
    words = f"up at {client.url}" + ("" if ready else ", not ready yet")
    return {"url": client.url, "up": True, "ready": ready, "words": words, "devices": devices}


def _models(client: ImageServiceClient) -> list[ModelInfo]:
    try:
        return client.models()
    except ServiceError:
        return []  # an API key is missing, say: the rest of the report still helps


def _listed(settings: Settings) -> list[ModelInfo]:
    """What the catalog says, while no service can be asked."""
    catalog = Catalog(settings)
    listed = [entry for entry in catalog.entries() if not entry.own]
    return [ModelInfo(**entry.facts(), kinds=kinds_of(entry), state=_on_disk(catalog, entry)) for entry in listed]


def _on_disk(catalog: Catalog, entry: ModelEntry) -> str:
    path = catalog.installed_path(entry)
    if path is None:
        return "service is down"
    return "installed" if os.path.exists(path) else "not installed"


def _troubles(catalog: Catalog) -> list[tuple[str, str]]:
    """What in the models folder cannot be used, and why."""
    entries, skipped = catalog.look()
    broken = catalog.problem()
    found = [] if broken is None else [("catalog.toml", broken.message)]
    found += [(entry.key, entry.refused) for entry in entries if entry.refused]
    return found + [(item.name, item.reason) for item in skipped]


def _port(what: str, port: int) -> dict[str, Any]:
    return {"for": what, "port": port, "owner": listener(port)}


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
