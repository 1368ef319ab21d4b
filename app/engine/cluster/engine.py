"""An engine whose device is somewhere in a Ray cluster, and as many of them as the settings allow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from app.catalog import Catalog
from app.core.errors import EngineHung, EngineLost
from app.core.settings import Settings
from app.engine.base import Inputs, ModelEvent, Watch, Work
from app.engine.cluster.relays import RelayLauncher, Relays, Roster
from app.engine.local import LocalEngine

LONGER_S = 30.0  # the machine with the device finds a hung or stubborn child first, and says so


class RayEngine(LocalEngine):
    """Makes pictures with a device of the cluster. See `Engine` for what each call promises.

    It may get another device of another machine after each loss or rest. A loss raises EngineLost, which is no crash.
    """

    def __init__(self, number: int, *, settings: Settings, catalog: Catalog, roster: Roster) -> None:
        device = f"ray:{number}"
        self._relays = Relays(RelayLauncher(device, settings), device, roster, lasting=number < settings.ray_min)
        longer = {
            name: getattr(settings, name) + LONGER_S
            for name in ("cancel_timeout_s", "denoise_timeout_s", "load_timeout_s")
        }
        super().__init__(
            device,
            settings=settings.model_copy(update=longer),
            catalog=catalog,
            torch_device="cuda:0" if settings.ray_gpus else "cpu",
            children=self._relays,
        )

    def ready(self, wanted: Callable[[], bool]) -> bool:
        """See `Engine.ready`."""
        return self._relays.ready(wanted)

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        """See `Engine.run`."""
        with _losses():
            super().run(work, inputs, watch)

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        """See `Engine.load`."""
        with _losses():
            super().load(model, emit)

    def unload(self, model: str) -> bool:
        """See `Engine.unload`."""
        with _losses():
            return super().unload(model)


def build_ray_engines(settings: Settings, catalog: Catalog) -> list[RayEngine]:
    """`settings.ray_max` engines, which have no device yet. Starts nothing."""
    roster = Roster()
    return [RayEngine(number, settings=settings, catalog=catalog, roster=roster) for number in range(settings.ray_max)]


@contextmanager
def _losses() -> Iterator[None]:
    try:
        yield
    except EngineHung as error:  # the relay has heard nothing of its replica: the network, or the machine
        raise EngineLost("The machine that made the pictures says nothing any more.") from error
