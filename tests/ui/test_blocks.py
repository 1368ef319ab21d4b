"""What the page's own kind of Gradio's Blocks does with an answer."""

from typing import Any

import gradio as gr
import pytest
from gradio.context import Context
from gradio.state_holder import SessionState

from app.ui.gradio_blocks import FilelessBlocks, FileRefused
from tests.loops import run_apart

UNCHANGED = {"__type__": "update"}


class Visit:
    """One visitor of a page with a text, a number and a line, whose button answers what the test gives it."""

    def __init__(self) -> None:
        with FilelessBlocks(analytics_enabled=False) as self.blocks:
            self.text, self.number, self.line = gr.Textbox(), gr.Slider(0, 10), gr.HTML()
            self.elsewhere = gr.HTML()
            parts = [self.text, self.number, self.line]
            gr.Button().click(lambda *_: self.answer, parts, parts)
        self.answer: Any = {}
        self.session = SessionState(self.blocks)

    def click(self, answer: Any) -> list[Any]:
        """What the browser is told about the three."""
        self.answer = answer
        call = self.blocks.process_api(0, ["typed", 3, "line"], self.session)
        data: list[Any] = run_apart(call)["data"]
        return data


@pytest.fixture
def visit() -> Visit:
    """A visitor who has just come."""

    async def come() -> Visit:  # where no loop runs, Gradio would leave one open
        return Visit()

    return run_apart(come())


def test_what_is_not_in_an_answer_is_neither_told_nor_made_anew(visit: Visit) -> None:
    numbers_given = Context.id
    assert visit.click({}) == [UNCHANGED] * 3
    assert visit.click({visit.line: "said"}) == [UNCHANGED, UNCHANGED, "said"]
    assert visit.click({visit.line: "said", visit.text: "typed for you"}) == ["typed for you", UNCHANGED, "said"]
    assert visit.click(["a", 1, "b"]) == ["a", 1, "b"]
    assert Context.id == numbers_given


def test_a_session_remembers_no_more_however_many_answers_change_its_parts(visit: Visit) -> None:
    known = len(visit.session.blocks_config.blocks), len(visit.session.config_values)
    for low in range(5):
        told = visit.click({visit.number: gr.Slider(low, 10, value=low), visit.text: gr.Textbox(label=f"from {low}")})
        assert (told[1]["minimum"], told[1]["value"], told[0]["label"]) == (low, low, f"from {low}")
    assert (len(visit.session.blocks_config.blocks), len(visit.session.config_values)) == known
    assert visit.session[visit.number._id].minimum == 4  # what the next value that is sent is held against


def test_an_answer_for_a_part_that_the_event_does_not_name_is_a_mistake(visit: Visit) -> None:
    with pytest.raises(ValueError, match="not specified as output"):
        visit.click({visit.elsewhere: "x"})


def test_a_file_in_one_parts_answer_ends_the_call(visit: Visit) -> None:
    with pytest.raises(FileRefused):
        visit.click({visit.line: {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}})
