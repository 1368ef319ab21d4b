"""Text encoders that are in memory only while a prompt is encoded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from app.core.errors import ModelRefused

ReadAgain = Callable[[str], torch.nn.Module]  # a component's name → the component, freshly read from its files


class ReleasedEncoders:
    """Takes the weights of text encoders away and brings them back, always the same bytes. One thread.

    On a GPU the master copy stays in RAM (mapped from the files); elsewhere it is read from the files again, by
    `read_again`. Nothing is ever copied back. The modules and their parameters keep their identity, so LoRAs and hooks
    stay where they are. Buffers stay: they are small, and not all of them are in the files.
    """

    def __init__(
        self, encoders: Mapping[str, torch.nn.Module], device: torch.device, read_again: ReadAgain | None = None
    ) -> None:
        self._device = device
        self._read_again = read_again
        self._parameters = {name: list(encoder.parameters()) for name, encoder in encoders.items()}
        self._masters: dict[str, list[torch.Tensor]] = {}
        if read_again is None:
            self._masters = {name: [item.data for item in items] for name, items in self._parameters.items()}
        for encoder in encoders.values():
            for buffer in encoder.buffers():
                buffer.data = buffer.data.to(device)
        self._depth = 0
        self._take_away()

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """While open, the encoders are there. May be nested."""
        self._depth += 1
        try:
            if self._depth == 1:
                self._bring()
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._take_away()

    def _bring(self) -> None:
        for name, items in self._parameters.items():
            for item, master in zip(items, self._master(name, items), strict=True):
                item.data = master.to(self._device)

    def _master(self, name: str, items: Sequence[torch.nn.Parameter]) -> Sequence[torch.Tensor]:
        if self._read_again is None:
            return self._masters[name]
        fresh = [item.data for item in self._read_again(name).parameters()]
        if len(fresh) != len(items):
            raise ModelRefused(f"The files of {name} changed since the model was loaded. Load it again.")
        return fresh

    def _take_away(self) -> None:
        for items in self._parameters.values():
            for item in items:
                # Empty but on the device: pipelines ask their parts where they are.
                item.data = torch.empty(0, dtype=item.dtype, device=self._device)
