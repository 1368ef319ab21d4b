"""The pieces of the page that need no browser: words, sizes, form, memory, thumbnails."""

import ast
import json
import re
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.answers import DeviceStatus, Queue, Status
from app.core.errors import ServiceUnreachable
from app.core.models import ModelInfo, Span
from app.core.schema import GenerationRequest, Job
from app.core.settings import PROJECT_FOLDER
from app.core.sizes import OWN_SIZE, RATIOS, ratio_of, size_for
from app.ui.form import FIELDS, Form, changed_model, form_of
from app.ui.link import ServiceState
from app.ui.markup import Markup, action, notice
from app.ui.memory import MAX_JOBS, Memory
from app.ui.strings import LOCALES_FOLDER, Strings, language_of
from app.ui.tabs.fields import _limits
from app.ui.thumbnails import ThumbnailCache
from app.ui.views.header import SCRIPT_TEXTS, header
from app.ui.views.job import JobNow, job_card
from app.ui.views.models import memory
from app.ui.views.pictures import parameters_text

UI = Path(__file__).resolve().parents[2] / "app" / "ui"
SIDES = Span(low=64, high=512, multiple=8)
MODEL = ModelInfo(
    key="pocket", title="Pocket", pipeline="StableDiffusionPipeline", width=128, height=128, num_inference_steps=10,
    guidance_scale=4.0, size_range=SIDES, negative_prompt="blurry", ranges={
        "num_inference_steps": Span(low=1, high=100), "guidance_scale": Span(low=0, high=20), "width": SIDES,
        "height": SIDES, "seed": Span(low=-1, high=2**32 + 63), "num_images": Span(low=1, high=10),
    },
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["jobs", "focus", "draft"]), inner),
    max_leaves=10,
)


def like(**other: Any) -> ModelInfo:
    return MODEL.model_copy(update=other)


def locale(name: str) -> dict[str, str]:
    return dict(json.loads((LOCALES_FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_texts_with_the_same_places_and_none_is_empty() -> None:
    english, chinese = locale("en"), locale("zh-CN")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert text.strip(), key
        assert chinese[key].strip(), key
        assert places(text) == places(chinese[key]), key


def test_every_text_the_page_asks_for_exists() -> None:
    english = locale("en")
    asked = set()
    for file in UI.rglob("*.py"):
        asked |= set(re.findall(r'(?:words|texts)(?:\.count)?\(\s*"([a-z0-9_-]+)"', file.read_text(encoding="utf-8")))
    asked |= set(SCRIPT_TEXTS.values())
    assert len(asked) > 100
    assert asked <= english.keys()


def test_each_device_says_where_it_is_whether_it_draws_and_what_it_holds() -> None:
    facts = {"pid": 1, "alive": True, "memory_used_bytes": None, "memory_total_bytes": None}
    facts |= {"restarts": 0, "last_end": None}
    busy = DeviceStatus(device="ray:0", name="one: H200", busy=True, loaded_models=("pocket",), **facts)
    free = DeviceStatus(device="ray:1", name="two: <H200>", busy=False, loaded_models=(), **facts)
    status = Status(
        version="0", uptime_s=1, stopping=False, queue=Queue(paused=False, queued=0, running=1), running=(),
        devices=(busy, free), loaded_models=("pocket",), waiting_calls=0, problems=(),
    )  # fmt: skip
    cards = re.findall(r'<div class="at-card">.*?</div>', memory(status, Strings().words("en")))
    assert [re.sub(r"<[^>]*>", "|", card).replace("||", "|").strip("|") for card in cards] == [
        "one: H200| |draws| |holds pocket",
        "two: &lt;H200&gt;| |free| |holds no model",
    ]


def test_no_text_is_written_into_the_page_by_hand() -> None:
    """Labels of components come from the locales, and no HTML of ours holds letters between its tags."""
    found = []
    for file in UI.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords:
                shown = keyword.arg in ("label", "placeholder", "info", "title")
                constant = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
                if shown and constant and called not in ("create_theme", "Field"):  # a Field holds keys of texts
                    found.append((file.name, keyword.arg))
            if called == "Markup" and node.args and isinstance(node.args[0], ast.Constant):
                between = re.sub(r"<style>.*?</style>|<[^>]*>|\{[^}]*\}|&\w+;", "", str(node.args[0].value), flags=re.S)
                if re.search(r"[A-Za-z]{2,}", re.sub(r"[\w-]+=\S*", "", between)):
                    found.append((file.name, between.strip()[:40]))
    assert found == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh", "zh-CN"), ("zh-CN,zh;q=0.9", "zh-CN"), ("zh-TW", "zh-CN"), ("zh-Hant-HK,en", "zh-CN"),
        ("en-US,zh;q=0.9", "en"), ("fr,zh;q=0.5", "en"), ("", "en"), ("*", "en"), ("en;q=0.1, zh;q=0.9", "zh-CN"),
        (";;q=x,,", "en"),
    ],
)  # fmt: skip
def test_the_first_language_of_a_browser_decides(header: str, language: str) -> None:
    assert language_of(header) == language


@given(
    ratio=st.sampled_from(RATIOS),
    width=st.integers(8, 256).map(lambda n: n * 8),
    multiple=st.sampled_from([1, 8, 16, 64]),
    high=st.integers(4, 32).map(lambda n: n * 64),
)
def test_every_preset_is_a_size_that_the_model_allows(ratio: str, width: int, multiple: int, high: int) -> None:
    side = min(width, high)
    model = like(width=side, height=side, size_range=Span(low=64, high=high, multiple=multiple))
    for value in size_for(ratio, model):
        assert 64 <= value <= high
        assert value % multiple == 0


def test_presets_keep_the_models_pixels_and_are_recognised_again() -> None:
    sdxl = like(width=1024, height=1024, size_range=Span(low=256, high=2048, multiple=8))
    for ratio in RATIOS:
        width, height = size_for(ratio, sdxl)
        assert width * height == pytest.approx(1024 * 1024, rel=0.02)
        assert ratio_of(width, height, sdxl) == ratio
    assert ratio_of(1000, 264, sdxl) == OWN_SIZE


def test_a_request_goes_through_the_form_unchanged() -> None:
    request = {
        "prompt": "p", "negative_prompt": "n", "model": "pocket", "num_inference_steps": 7, "guidance_scale": 3.5,
        "width": 96, "height": 160, "seed": 2**32, "num_images": 3, "scheduler": "Euler",
        "styles": ["anime"],
    }  # fmt: skip
    assert form_of(request, MODEL).request() == request


def test_copied_parameters_say_what_other_programs_can_read_back() -> None:
    request = GenerationRequest(
        prompt="p", negative_prompt="n", model="pocket", num_inference_steps=7, guidance_scale=3.5, width=96,
        height=160, seed=5, scheduler="default", clip_skip=1,
    )  # fmt: skip
    assert parameters_text(request) == (
        "p\nNegative prompt: n\nSteps: 7, CFG scale: 3.5, Clip skip: 2, Seed: 5, Size: 96x160, Model: pocket"
    )
    assert form_of(request.model_dump(), MODEL).request()["clip_skip"] == 1


def test_the_form_says_what_is_wrong_in_the_readers_language() -> None:
    strings = Strings()
    wrong = form_of({"prompt": "p", "width": 100, "num_inference_steps": 1000}, MODEL)
    told = " ".join(wrong.problems(MODEL, strings.words("en")))
    assert "Width: 100 is not allowed; allowed is 64 to 512 in steps of 8." in told
    assert "Steps: 1000" in told
    assert "推理步数" in " ".join(wrong.problems(MODEL, strings.words("zh-CN")))
    assert Form({"prompt": "  "}).problems(MODEL, strings.words("en")) == ["Write a prompt first."]


def test_the_form_allows_as_many_images_as_the_service_says() -> None:
    words = Strings().words("en")
    assert form_of({"prompt": "p", "num_images": 10}, MODEL).problems(MODEL, words) == []
    told = form_of({"prompt": "p", "num_images": 11}, MODEL).problems(MODEL, words)
    assert told == ["Images: 11 is not allowed; allowed is 1 to 10."]


def test_each_field_of_the_form_is_one_of_a_request_and_has_its_words() -> None:
    texts = locale("en")
    for field in FIELDS:
        assert field.name in GenerationRequest.model_fields
        for key in (f"field_{field.name}", field.label_key, field.info, field.placeholder):
            assert key is None or key in texts


def test_another_model_leaves_what_a_person_means_and_brings_its_own_numbers() -> None:
    old = form_of({"prompt": "p", "num_images": 3, "seed": 7, "num_inference_steps": 50, "width": 96}, MODEL)
    new = changed_model(old, like(key="other", num_inference_steps=4))
    kept = {name: new[name] for name in ("prompt", "num_images", "seed", "num_inference_steps", "negative_prompt")}
    assert kept == {
        "prompt": "p", "num_images": 3, "seed": 7, "num_inference_steps": 4, "negative_prompt": "blurry",
    }  # fmt: skip


def test_another_model_keeps_the_ratio_that_was_chosen() -> None:
    larger = like(width=512, height=512)
    new = changed_model(form_of({"prompt": "p"}, MODEL), larger, "16:9")
    assert (new["width"], new["height"]) == size_for("16:9", larger)
    assert ratio_of(new["width"], new["height"], larger) == "16:9"


@pytest.mark.parametrize(
    "request_of_a_file", [{"width": "wide"}, {"prompt": 5}, {"scheduler": 1.5}, {"styles": 5}, {"styles": [5]}]
)
def test_a_request_that_is_none_fills_no_form(request_of_a_file: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(request_of_a_file))):
        form_of(request_of_a_file, MODEL)


@given(JSON)
def test_whatever_a_browser_had_stored_is_read_without_harm(value: Any) -> None:
    memory = Memory.read(json.dumps(value))
    assert all(isinstance(id, str) and "/" not in id for id in memory.jobs)
    assert all(not isinstance(kept, list | dict) for kept in (memory.draft or {}).values())


@pytest.mark.parametrize("text", [None, "", "{", "[" * 100_000, 5, '{"jobs": 5, "focus": ["x"], "draft": "no"}'])
def test_what_is_no_memory_is_an_empty_one(text: object) -> None:
    assert Memory.read(text) == Memory()


def test_a_browser_is_told_only_what_changed() -> None:
    before = Memory(("a", "b", "c"), "a")
    told = before.without({"b"}).with_job("d").told(before)
    changes = json.loads(Markup(told).striptags())
    assert (changes["added"], changes["gone"], changes["focus"]) == (["d"], ["b"], "d")


def test_memory_keeps_the_newest_jobs_and_one_in_focus() -> None:
    memory = Memory()
    for number in range(MAX_JOBS + 3):
        memory = memory.with_job(f"job-{number}")
    assert memory.focus == memory.jobs[0] == f"job-{MAX_JOBS + 2}"
    assert len(memory.jobs) == MAX_JOBS
    assert memory.without({memory.jobs[0]}).focus is None
    assert memory.with_job("../../x") == memory


@given(st.text(max_size=50))
def test_no_value_breaks_out_of_our_html(text: str) -> None:
    made = notice(text) + action("act", text, data={"id": text}, confirm=(text, text, text))
    assert isinstance(made, Markup)
    assert re.findall(r"<(/?\w+)", made) == re.findall(
        r"<(/?\w+)", notice("x") + action("act", "x", confirm=("", "", ""))
    )


def test_the_thumbnail_folder_is_bounded_and_emptied_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "old.webp").write_bytes(b"x")
    cache = ThumbnailCache(folder, max_bytes=100)
    assert list(folder.iterdir()) == []
    fetched = []
    for number in (1, 2, 3, 1, 4, 5):
        cache.get(f"image-{number}", 256, lambda number=number: fetched.append(number) or b"0123456789" * 3)
    assert fetched == [1, 2, 3, 4, 5]
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 100
    assert cache.get("image-1", 256, lambda: b"never") == b"0123456789" * 3


def test_a_thumbnail_that_was_lost_is_counted_once_however_often_it_is_fetched_again(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path / "cache", max_bytes=100)
    cache.get("kept", 256, lambda: b"k" * 60)
    for _ in range(10):
        for file in (tmp_path / "cache").iterdir():
            if file.stat().st_size == 30:
                file.unlink()
        cache.get("lost", 256, lambda: b"l" * 30)
    assert cache.get("kept", 256, lambda: b"fetched again") == b"k" * 60


def test_a_finished_job_says_once_what_its_model_could_not_do() -> None:
    note = "weights have no effect with this model <b>"
    image = {"seed": 1, "width": 64, "height": 64, "sha256": "0" * 64, "notes": [note]}
    images = [image | {"id": f"i{number}", "index": number, "url": f"/images/i{number}.png"} for number in range(2)]
    values = {"id": "j", "state": "succeeded", "origin": "ui", "request": {"prompt": "a cat"}, "images": images}
    job = Job.model_validate(values | {"created_at": "2026-11-21T00:00:00Z"})
    shown = str(job_card(JobNow(job), Strings().words("en")))
    assert shown.count("weights have no effect with this model &lt;b&gt;") == 1


@pytest.mark.parametrize("state", ["running", "failed", "cancelled"])
def test_the_pictures_that_are_done_are_shown_whatever_the_job_is(state: str) -> None:
    image = {"seed": 1, "width": 64, "height": 64, "sha256": "0" * 64, "id": "i0", "index": 0, "url": "/images/i0.png"}
    values = {"id": "j", "state": state, "origin": "ui", "request": {"prompt": "a cat", "num_images": 8}}
    job = Job.model_validate(values | {"images": [image], "created_at": "2026-11-21T00:00:00Z"})
    shown = str(job_card(JobNow(job), Strings().words("en")))
    assert shown.count("<figure>") == 1
    assert "atelier/picture/i0.png" in shown


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_model_of_the_catalog_is_described_in_both_languages(language: str) -> None:
    catalog = tomllib.loads((PROJECT_FOLDER / "models" / "catalog.toml").read_text("utf-8"))
    texts = json.loads((LOCALES_FOLDER / f"{language}.json").read_text("utf-8"))
    wanted = {f"model_{key}_{field}" for key in catalog for field in ("speed", "quality", "best_for")}
    assert wanted <= texts.keys()


@pytest.mark.parametrize(("language", "text"), [("en", "Log out ada&lt;b&gt;"), ("zh-CN", "退出登录 ada&lt;b&gt;")])
def test_who_is_logged_in_sees_the_way_out_and_nobody_else(language: str, text: str) -> None:
    words, away = Strings().words(language), ServiceState(None, ServiceUnreachable())
    shown = header(away, "http://x", words, "ada<b>")
    assert text in shown
    assert '<form method="post" action="logout">' in shown
    assert "logout" not in header(away, "http://x", words)


def test_fields_that_only_some_models_have_are_sent_for_those_alone() -> None:
    spans = {"top_k": Span(low=0, high=99), "top_p": Span(low=0, high=1), "temperature": Span(low=0, high=2)}
    ranges = {name: span for name, span in MODEL.ranges.items() if name != "num_inference_steps"}
    tokens = like(key="janus", top_k=0, top_p=1.0, temperature=1.0, ranges=ranges | spans)
    form = changed_model(form_of({"prompt": "a cat"}, MODEL), tokens)
    assert {name: form[name] for name in spans} == {"top_k": 0, "top_p": 1.0, "temperature": 1.0}
    chosen = Form({**form.values, "top_k": 9, "temperature": 0.5})
    assert chosen.problems(tokens, Strings().words("en")) == []
    body = chosen.request()
    assert (body["top_k"], body["top_p"], body["temperature"]) == (9, 1.0, 0.5)
    assert not spans.keys() & form_of(body, MODEL).request().keys()
    assert "num_inference_steps" in form_of(body, MODEL).request()
    [wrong] = Form({**form.values, "temperature": 2.5}).problems(tokens, Strings().words("en"))
    assert "Temperature" in wrong
    shown = {field.name: _limits(field, tokens, [tokens]).get("visible") for field in FIELDS if field.some}
    assert shown == {"num_inference_steps": "hidden", "top_k": True, "top_p": True, "temperature": True}
    hidden = {name for name in shown if _limits(field_named(name), MODEL, [MODEL])["visible"] == "hidden"}
    assert hidden == set(spans)


def field_named(name: str) -> Any:
    return next(field for field in FIELDS if field.name == name)
