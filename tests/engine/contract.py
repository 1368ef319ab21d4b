"""What every engine promises (see `app.engine.base.Engine`): one class of tests, to be subclassed for each engine.

A subclass gives the fixtures `engine`, one for all its tests because a start may take seconds, and `entry`, a model
that it can run; and says how its process is killed, if it has one.
"""

import os
import signal
import time

import pytest

from app.catalog import ModelEntry
from app.core.errors import EngineCrashed
from app.core.task import Task
from app.engine.base import Engine, EngineEvent, ModelEvent, Picture
from tests.engine.conftest import a_job
from tests.engine.watching import NoInputs, Noting, made_by

STEPS = 4


class EngineContract:
    """Tests for one engine. `steps`: of a picture that is asked for in four, where the engine decides that."""

    steps = STEPS

    def kill(self, engine: Engine) -> None:
        """`kill -9` of the process behind it."""
        pid = engine.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def test_it_knows_what_it_can_do_and_how_much_of_it_in_one_pass(self, engine: Engine, entry: ModelEntry) -> None:
        work = a_job(entry=entry)
        assert engine.can_run(entry, Task.TEXT)
        assert not engine.can_run(entry, Task.DESCRIBE)
        assert engine.capacity(entry, work.request) >= 1
        larger = work.request.model_copy(update={"width": 1024, "height": 1024})
        assert 1 <= engine.capacity(entry, larger) <= engine.capacity(entry, work.request)

    def test_each_picture_comes_once_and_in_order_with_its_own_seed(self, engine: Engine, entry: ModelEntry) -> None:
        work = a_job(entry=entry, num_images=3, seed=40)
        [result] = made_by(engine, [work])
        assert result.error is None
        assert [(picture.index, picture.seed) for picture in result.pictures] == [(0, 40), (1, 41), (2, 42)]
        assert {len(picture.rgb) for picture in result.pictures} == {64 * 64 * 3}
        assert len({picture.rgb for picture in result.pictures}) == 3
        assert result.pictures[0].how["model"] == entry.key
        assert result.seconds > 0

    def test_a_picture_is_handed_over_before_the_next_pass_is_begun(self, engine: Engine, entry: ModelEntry) -> None:
        work = a_job(entry=entry, num_images=3)
        in_a_pass = engine.capacity(entry, work.request)
        noting, begun = Noting(), list[int]()

        def count(event: EngineEvent) -> None:
            if event.kind == "step" and (event.step - 1) % self.steps == 0:
                begun.append(len(noting.pictures.get(work.job_id, ())))

        noting.on_step = count
        engine.run([work], NoInputs(), noting)
        assert begun == list(range(0, 3, in_a_pass))
        assert [what for what, *_ in noting.told if what in ("picture", "ended")] == [*["picture"] * 3, "ended"]

    def test_while_a_picture_is_taken_nothing_else_is_begun(self, engine: Engine, entry: ModelEntry) -> None:
        work = a_job(entry=entry, num_images=2)
        noting, told = Noting(), list[int]()

        def take(_picture: Picture) -> None:
            told.append(len(noting.told))
            time.sleep(0.2)  # long enough for a pass of so small a picture
            told.append(len(noting.told))

        noting.on_picture = take
        engine.run([work], NoInputs(), noting)
        assert told[0] == told[1]

    def test_only_the_images_that_are_missing_are_made_and_they_are_the_same(
        self, engine: Engine, entry: ModelEntry
    ) -> None:
        work = a_job(entry=entry, num_images=4)
        [whole] = made_by(engine, [work])
        [rest] = made_by(engine, [work.model_copy(update={"attempt": 2, "images": (1, 3)})])
        assert [(picture.index, picture.seed) for picture in rest.pictures] == [(1, 8), (3, 10)]
        assert [picture.rgb for picture in rest.pictures] == [whole.pictures[index].rgb for index in (1, 3)]

    def test_a_picture_is_the_same_alone_and_among_others(self, engine: Engine, entry: ModelEntry) -> None:
        works = [a_job(f"apple {number}", entry=entry, seed=20 + number, num_images=2) for number in range(3)]
        together = made_by(engine, works)
        assert [result.job_id for result in together] == [work.job_id for work in works]
        [alone] = made_by(engine, [a_job("apple 1", entry=entry, seed=22)])
        assert together[1].pictures[1].rgb == alone.pictures[0].rgb

    def test_a_finished_neighbour_does_not_wait_for_the_others(self, engine: Engine, entry: ModelEntry) -> None:
        if engine.capacity(entry, a_job(entry=entry).request) > 1:
            pytest.skip("it makes all of these in one pass")
        short, long = a_job(entry=entry), a_job(entry=entry, num_images=3)
        noting = Noting()
        engine.run([short, long], NoInputs(), noting)
        told = [(what, job_id) for what, job_id, _ in noting.told]
        last_of_long = len(told) - 1 - told[::-1].index(("picture", long.job_id))
        assert told.index(("ended", short.job_id)) < last_of_long
        assert told[-1] == ("ended", long.job_id)

    def test_a_cancelled_job_keeps_what_was_done_and_leaves_its_neighbour_untouched(
        self, engine: Engine, entry: ModelEntry
    ) -> None:
        gone, stays = a_job("one", entry=entry, num_images=9), a_job("two", entry=entry, num_images=9)
        noting = Noting()
        noting.is_cancelled = lambda job_id: job_id == gone.job_id and len(noting.pictures.get(job_id, ())) >= 2
        noting.on_picture = lambda picture: time.sleep(0.12 if picture.index == 1 else 0)  # it is asked every 100 ms
        engine.run([gone, stays], NoInputs(), noting)
        assert noting.outcomes[gone.job_id].cancelled
        assert 2 <= len(noting.pictures[gone.job_id]) < 9
        assert not noting.outcomes[stays.job_id].cancelled
        assert len(noting.pictures[stays.job_id]) == 9

    def test_a_job_that_is_cancelled_before_it_began_makes_nothing(self, engine: Engine, entry: ModelEntry) -> None:
        [result] = made_by(engine, [a_job(entry=entry, num_inference_steps=400)], is_cancelled=lambda _job: True)
        assert (result.cancelled, result.pictures) == (True, ())

    def test_what_the_watch_raises_comes_through_and_the_next_run_is_clean(
        self, engine: Engine, entry: ModelEntry
    ) -> None:
        def refuse(_picture: Picture) -> None:
            raise LookupError("the caller's own fault")

        with pytest.raises(LookupError):
            engine.run([a_job(entry=entry)], NoInputs(), Noting(on_picture=refuse))
        assert len(made_by(engine, [a_job(entry=entry)])[0].pictures) == 1

    def test_a_kill_after_the_fifth_of_eight_pictures_costs_three(self, engine: Engine, entry: ModelEntry) -> None:
        work = a_job(entry=entry, num_images=8)
        [whole] = made_by(engine, [work])
        noting = Noting()
        noting.on_picture = lambda picture: self.kill(engine) if picture.index == 4 else None
        if engine.capacity(entry, work.request) > 1:
            pytest.skip("it makes all of these in one pass")
        with pytest.raises(EngineCrashed):
            engine.run([work], NoInputs(), noting)
        assert [picture.index for picture in noting.pictures[work.job_id]] == [0, 1, 2, 3, 4]
        assert noting.outcomes == {}
        [rest] = made_by(engine, [work.model_copy(update={"attempt": 2, "images": (5, 6, 7)})])
        assert [picture.index for picture in rest.pictures] == [5, 6, 7]
        both = [*noting.pictures[work.job_id], *rest.pictures]
        assert [picture.rgb for picture in both] == [picture.rgb for picture in whole.pictures]

    def test_a_model_is_loaded_shown_and_freed(self, engine: Engine, entry: ModelEntry) -> None:
        events = list[ModelEvent]()
        engine.unload(entry.key)
        engine.load(entry.key, events.append)
        assert (events[0].phase, events[-1].phase) == ("loading", "loaded")
        assert entry.key in engine.status().loaded_models
        assert engine.unload(entry.key) is True
        assert engine.unload(entry.key) is False
        assert entry.key not in engine.status().loaded_models

    def test_after_a_rest_it_works_again(self, engine: Engine, entry: ModelEntry) -> None:
        engine.rest()
        assert engine.status().loaded_models == ()
        assert len(made_by(engine, [a_job(entry=entry)])[0].pictures) == 1
