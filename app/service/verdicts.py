"""How each model would run on this machine, as `doctor` says it, and what a picture took here."""

from app.catalog import ModelEntry, tasks_of
from app.core.batching import megapixel_steps
from app.core.models import Verdict
from app.core.schema import GenerationRequest
from app.core.settings import Compute, Settings
from app.core.shapes import as_drawn
from app.core.task import Task
from app.jobs.eta import Pace
from app.jobs.sketches import SketchDesk
from app.machine import look_at_machine
from app.tiers.choose import Room
from app.tiers.compute import expected_compute
from app.tiers.plans import plan_of, room_of


class Verdicts:
    """The machine is looked at once, when somebody first asks; after that an answer costs no more than a sum."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._room: Room | None = None
        self._known: dict[str, tuple[ModelEntry, Verdict | None]] = {}

    def of(self, entry: ModelEntry) -> Verdict | None:
        """How the model would run here; None if nothing is known of its size."""
        known = self._known.get(entry.key)
        if known is None or known[0] != entry:
            known = self._known[entry.key] = (entry, self._judged(entry))
        return known[1]

    def _judged(self, entry: ModelEntry) -> Verdict | None:
        if self._room is None:
            self._room = room_of(look_at_machine(self._settings.output_folder))
        room = self._room
        plan = plan_of(entry, room, size=self._settings.machine_size, tier=self._settings.memory_tier)
        if plan is None:
            return None
        computed = expected_compute(entry, plan, room, self._settings.compute)
        return Verdict(
            fits=plan.fits, tier=plan.name(), lossless=plan.lossless, vram_bytes=plan.expected_vram,
            ram_bytes=plan.expected_ram, vram_there_bytes=room.vram, ram_there_bytes=room.ram, hint=plan.hint,
            compute=computed.by if computed else Compute.TORCH, compute_why=computed.why if computed else "",
        )  # fmt: skip


def seconds_a_picture(pace: Pace, entry: ModelEntry) -> float | None:
    """What one picture of the model's own size and steps takes by what it took here; None if it made none yet."""
    return pace.seconds(megapixel_steps(_usual(entry)))


def sketch_steps(pace: Pace, sketches: SketchDesk, entry: ModelEntry) -> int | None:
    """The steps of pictures of the model's own size that are drawn while somebody types; None if it is too slow here,
    or made no picture yet."""
    return sketches.steps(_usual(entry), entry, pace) if Task.TEXT in tasks_of(entry) else None


def _usual(entry: ModelEntry) -> GenerationRequest:
    one = GenerationRequest(
        prompt="", width=entry.width, height=entry.height, num_inference_steps=entry.num_inference_steps
    )
    return as_drawn(one, entry.shapes)
