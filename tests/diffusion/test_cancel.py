"""Cancelling: within one step, nothing decoded, the neighbours and the next call undisturbed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from diffusers import AutoencoderKL

from app.core.errors import GenerationCancelled
from app.diffusion.generate import generate, generate_batch
from app.diffusion.made import PassWatch
from app.diffusion.pipelines import LoadedModel
from app.diffusion.prompts import read
from app.diffusion.rows import Row, RunWatch, run_rows
from tests.diffusion.conftest import Ask


class Noted(PassWatch):
    """Notes the steps in `heard`; `stop` says which requests are cancelled."""

    def __init__(self, stop: Callable[[int, list[tuple[int, int]]], bool]) -> None:
        self.heard: list[tuple[int, int]] = []
        self._stop = stop

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        self.heard.append((index, step))

    def cancelled(self, index: int) -> bool:
        return self._stop(index, self.heard)


@contextmanager
def counted_decodes(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    calls: list[int] = []
    decode = vae.decode

    def counting(z, *args, **kwargs):  # type: ignore[no-untyped-def]
        calls.append(len(z))
        return decode(z, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(vae, "decode", counting)
        yield calls


def test_a_cancelled_run_stops_within_one_step_and_decodes_nothing(
    loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, steps = threading.Event(), []

    def on_step(step: int, of: int, preview: bytes | None) -> None:
        steps.append(step)
        if step == 3:
            stop.set()

    with counted_decodes(loaded.pipe.vae, monkeypatch) as decodes, pytest.raises(GenerationCancelled):
        generate(loaded, ask(num_inference_steps=20), on_step=on_step, cancelled=stop.is_set)
    assert steps == [1, 2, 3]
    assert decodes == []


def test_cancelling_during_the_last_step_decodes_nothing_either(
    loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2  # before the run, after step 1, after step 2 = the last

    with counted_decodes(loaded.pipe.vae, monkeypatch) as decodes, pytest.raises(GenerationCancelled):
        generate(loaded, ask(num_inference_steps=2), cancelled=cancelled)
    assert decodes == []


def test_the_call_after_a_cancelled_one_gives_the_same_picture_as_ever(loaded: LoadedModel, ask: Ask) -> None:
    before = generate(loaded, ask())[0].rgb
    own_scheduler = loaded.pipe.scheduler
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        generate(loaded, ask(num_inference_steps=9), cancelled=lambda: bool(asked.append(1)) or len(asked) > 3)
    assert loaded.pipe.scheduler is own_scheduler
    assert generate(loaded, ask())[0].rgb == before


def test_a_request_that_is_cancelled_before_its_turn_costs_nothing(
    loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_decodes(loaded.pipe.vae, monkeypatch) as decodes:
        first, second = generate_batch(loaded, [ask(), ask(seed=8)], Noted(lambda index, _: index == 1))
    assert len(first.pictures) == 1
    assert isinstance(second.error, GenerationCancelled)
    assert decodes == [1]


def test_in_one_pass_a_cancelled_row_is_dropped_and_its_neighbour_goes_on(loaded: LoadedModel, ask: Ask) -> None:
    rows = [Row(0, 0, 7, read(ask())), Row(1, 0, 8, read(ask(seed=8)))]
    noted = Noted(lambda index, heard: index == 0 and len(heard) >= 2)
    watch = RunWatch(rows, {0: (0, 1), 1: (0, 1)}, noted)
    made = run_rows(loaded, rows, watch)
    assert list(made) == [rows[1]]
    assert watch.dropped == {0}
    assert noted.heard == [(0, 1), (1, 1), (1, 2)]


def test_a_job_that_is_cancelled_between_two_images_has_handed_over_the_first(loaded: LoadedModel, ask: Ask) -> None:
    noted = Noted(lambda _, heard: len(heard) >= 2)
    [made] = generate_batch(loaded, [ask(num_images=3)], noted)
    assert [picture.index for picture in made.pictures] == [0]
    assert isinstance(made.error, GenerationCancelled)
    assert noted.heard == [(0, 1), (0, 2)]
