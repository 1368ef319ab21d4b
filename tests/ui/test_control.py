"""A picture that holds the new one, as a person chooses it; and what a browser sends of it is not believed."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.core.control import ControlUnit, Preprocessor
from app.core.models import ModelInfo
from app.core.task import ModelKind, Task
from app.ui.strings import ENGLISH, Strings
from app.ui.tabs.control_panel import as_looked_at, fitting, missing_for, units_in
from app.ui.views.control import control_view
from tests.picture.test_control import PICTURE
from tests.ui.steps import generate, until

UNIT = ControlUnit(model="my-canny", image="a" * 64, preprocessor=Preprocessor.CANNY, weight=0.5)


@pytest.fixture
def canny(models_folder: Path) -> Iterator[None]:
    """A control model beside the others, for one test."""
    folder = models_folder / "my-canny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"_class_name": "ControlNetModel"}))
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"0123456789")
    yield
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@pytest.mark.parametrize("sent", [None, "", "{", "[" * 2000, "[1]", '[{"model": "x"}]', [None], {"a": 1}])
def test_what_is_no_unit_is_none(sent: object) -> None:
    assert units_in(sent) == []


def test_units_come_back_as_they_were() -> None:
    assert units_in(json.dumps([UNIT.model_dump(mode="json")])) == units_in((UNIT.model_dump(),)) == [UNIT]


def test_only_control_models_that_are_here_and_fit_are_offered() -> None:
    model = ModelInfo(key="pocket", title="Pocket", pipeline="StableDiffusionPipeline")
    held = {"title": "C", "pipeline": "ControlNetModel", "tasks": (Task.CONTROL,), "installed": True}
    here = ModelInfo.model_validate({**held, "key": "here", "attaches_to": model.pipeline})
    large = ModelInfo.model_validate({**held, "key": "large", "attaches_to": "StableDiffusionXLPipeline"})
    absent = here.model_copy(update={"key": "absent", "installed": False})
    assert fitting(model, [model, here, large, absent]) == [here]


def test_what_is_seen_stands_beside_the_picture_and_further_units_are_counted() -> None:
    words = Strings().words(ENGLISH)
    shown = control_view(UNIT, 2, words)
    assert f"atelier/input/{UNIT.image}.png" in shown
    assert f"atelier/seen/canny/{UNIT.image}.png" in shown
    assert "2 more" in shown
    assert "atelier/seen" not in control_view(UNIT.model_copy(update={"preprocessor": Preprocessor.NONE}), 0, words)


def test_a_model_that_would_have_to_look_and_is_not_here_is_named_instead_of_what_it_sees() -> None:
    seer = ModelInfo.model_validate(
        {"key": "deep", "title": "Deep", "pipeline": "X", "kinds": (ModelKind.SEES,), "control": "depth"}
    )
    here = seer.model_copy(update={"key": "here", "installed": True})
    assert missing_for(Preprocessor.DEPTH, [seer]) == "Deep"
    assert missing_for(Preprocessor.DEPTH, [seer, here]) is None
    assert missing_for(Preprocessor.OPENPOSE, [seer, here]) == ""
    unit = UNIT.model_copy(update={"preprocessor": Preprocessor.DEPTH})
    shown = control_view(unit, 0, Strings().words(ENGLISH), "Deep")
    assert "the model Deep, which is not on this machine" in shown
    assert "atelier/seen" not in shown


def test_a_model_that_looks_at_a_picture_as_it_is_gets_no_preprocessor_from_the_form() -> None:
    model = ModelInfo.model_validate({"key": "my-canny", "title": "M", "pipeline": "X", "control": "looks"})
    assert as_looked_at([UNIT], [model]) == [UNIT.model_copy(update={"preprocessor": Preprocessor.NONE})]
    assert as_looked_at([UNIT], [model.model_copy(update={"control": "canny"})]) == [UNIT]


@pytest.mark.browser
@pytest.mark.usefixtures("canny")
def test_a_picture_is_handed_in_seen_as_edges_and_goes_with_the_job(page: Page, client: ImageServiceClient) -> None:
    page.reload()
    page.locator("#at-control-fold button").first.click()
    stream = io.BytesIO()
    PICTURE.save(stream, "PNG")
    file = {"name": "edges.png", "mimeType": "image/png", "buffer": stream.getvalue()}
    page.locator("#at-control input[type=file]").set_input_files(file)
    expect(page.locator("#at-control img").nth(1)).to_be_visible()
    page.wait_for_function("() => document.querySelectorAll('#at-control img')[1]?.naturalWidth === 96")
    job = generate(page, "a cat")
    until(page, "succeeded")
    [unit] = client.job(job).request.control
    assert (unit.model, unit.preprocessor, unit.weight) == ("my-canny", Preprocessor.CANNY, 1.0)
    assert client.input(unit.image).width == PICTURE.width
    page.locator("#at-control [data-act=remove-control]").click()
    expect(page.locator("#at-control img")).to_have_count(0)
    job = generate(page, "a dog")
    until(page, "succeeded")
    assert client.job(job).request.control == ()
