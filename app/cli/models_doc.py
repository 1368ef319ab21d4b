"""`models-doc`: the table in docs/models.md, made from the catalog and the arithmetic of the memory plans."""

from collections.abc import Iterable, Sequence

import typer

from app.catalog import Catalog, ModelEntry, kinds_of
from app.cli.common import shown_size
from app.core.settings import PROJECT_FOLDER, Settings, Tier
from app.families import FAMILIES, family_of
from app.tiers.choose import Room, expected
from app.tiers.model_parts import ModelParts, parts_of_entry, pixels_of_entry
from app.tiers.plan import Plan

PAGE = PROJECT_FOLDER / "docs" / "models.md"
BEGIN, END = "<!-- made by `python -m app models-doc` -->\n", "<!-- end -->\n"
HEAD = (
    "| model | does | download | GPU: all in VRAM | GPU: a part at a time (VRAM / RAM) | GPU: streamed (VRAM / RAM) "
    "| no GPU (RAM) | speed | licence | get it |\n|---|---|---|---|---|---|---|---|---|---|\n"
)
CONTROL_COLUMNS = ("control model", "reads", "holds pictures of", "download", "needs", "licence", "get it")
CONTROL_HEAD = f"| {' | '.join(CONTROL_COLUMNS)} |\n{'|---' * len(CONTROL_COLUMNS)}|\n"
DECODER_HEAD = "| small decoder | for | download | licence | get it |\n|---|---|---|---|---|\n"
# Rooms in which nothing is short: what is asked for is what a plan needs, not what fits.
GPU, CPU = Room(ram=10**12, vram=10**12), Room(ram=10**12)


def models_doc() -> None:
    """Write the table of docs/models.md anew."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page(text), encoding="utf-8")
    typer.echo(f"{PAGE.relative_to(PROJECT_FOLDER)} is current.")


def page(text: str) -> str:
    """The page with a current table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    entries = _entries()
    holding = [entry for entry in entries if family_of(entry.pipeline).only_controls]
    others = [entry for entry in entries if entry not in holding]
    return f"{before}{BEGIN}{table(others)}\n{control_table(holding)}\n{decoder_table()}{END}{after}"


def table(entries: Iterable[ModelEntry]) -> str:
    """One line for each model, in Markdown. Sizes are expected peaks for one picture of the model's own size."""
    return HEAD + "".join(f"| {' | '.join(_cells(entry))} |\n" for entry in entries)


def control_table(entries: Iterable[ModelEntry]) -> str:
    """One line for each control model."""
    rows = (
        (f"{entry.title}<br>`{entry.key}`", entry.control or "", family_of(entry.attaches_to).title,
         shown_size(entry.size_bytes), f"`{entry.encoder}`" if entry.encoder else "", entry.licence, _command(entry))
        for entry in entries
    )  # fmt: skip
    return CONTROL_HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def decoder_table() -> str:
    """One line for each small decoder."""
    known = dict.fromkeys(family.small_decoder for family in FAMILIES if family.small_decoder)
    rows = (
        (f"`{small.name}`", ", ".join(each.title for each in FAMILIES if each.small_decoder == small),
         shown_size(small.size_bytes), small.licence, f"`{small.command}`")
        for small in known
    )  # fmt: skip
    return DECODER_HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _entries() -> list[ModelEntry]:
    catalog = Catalog(Settings(models_folder=PROJECT_FOLDER / "models"))
    return [entry for entry in catalog.entries() if not entry.own]


def _cells(entry: ModelEntry) -> Sequence[str]:
    drawn = f"<br>{entry.width} × {entry.height}" if family_of(entry.pipeline).denoises else ""
    title, does = f"{entry.title}<br>`{entry.key}`{drawn}", ", ".join(kinds_of(entry))
    return (title, does, shown_size(entry.size_bytes), *_sizes(entry), entry.speed, entry.licence, _command(entry))


def _sizes(entry: ModelEntry) -> Sequence[str]:
    parts, pixels = parts_of_entry(entry), pixels_of_entry(entry)
    if parts is None:
        return ("–",) * 4
    if not family_of(entry.pipeline).in_parts:
        whole = Plan(Tier.RESIDENT)
        there = (expected(whole, parts, GPU, pixels).expected_vram, expected(whole, parts, CPU, pixels).expected_ram)
        return (shown_size(there[0]), "–", "–", shown_size(there[1]))
    all_of_it, offloaded, streamed = (
        expected(Plan(tier), parts, GPU, pixels) for tier in (Tier.RESIDENT, Tier.MODEL_OFFLOAD, Tier.GROUP_OFFLOAD)
    )
    return (
        shown_size(all_of_it.expected_vram),
        _both(offloaded),
        _both(streamed),
        shown_size(_on_cpu(parts, pixels).expected_ram),
    )


def _on_cpu(parts: ModelParts, pixels: int) -> Plan:
    return expected(Plan(Tier.RELEASED, half=True), parts, CPU, pixels)


def _both(plan: Plan) -> str:
    return f"{shown_size(plan.expected_vram)} / {shown_size(plan.expected_ram)}"


def _command(entry: ModelEntry) -> str:
    if entry.path:
        return "part of the repository"
    command = f"`python -m app models download {entry.key}`"
    if entry.lora:
        command += f"<br>`hf download {entry.lora_repository} {entry.lora}.safetensors --local-dir models/loras`"
    return command
