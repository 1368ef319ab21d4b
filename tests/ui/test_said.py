"""What the service says in English is read in Chinese on a Chinese page: every sentence, with its values."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.client import ImageServiceClient
from app.core.schema import Job
from app.ui.said import Said
from app.ui.strings import Strings
from app.ui.views.job import JobNow, job_card
from tests.running import ROOT, RunningPage
from tests.ui.browser import visit
from tests.ui.steps import open_tab, until

APP = ROOT / "app"
ROOMS = ("weights", "hub", "catalog", "diffusion", "picture", "engine", "jobs", "library")
# Calls whose first argument, `message` and `hint` a reader sees, and those whose third says what is allowed.
SPEAK = {
    "ModelRefused", "DownloadFailed", "ModelNotInstalled", "DiskFull", "NotDownloadable", "ModelBusy", "OutOfMemory",
    "GenerationFailed", "UnreadablePicture", "StorageUnavailable", "LibraryFull", "EngineCrashed", "EngineHung",
    "EngineUnavailable", "EngineLost", "QueueFull", "JobError",
}  # fmt: skip
NOTES = (
    "truncated: the negative prompt has 90 tokens, this model reads 77; the rest was not used",
    "one of this model's text encoders reads 77 of the 120 tokens of the prompt",
    "weights have no effect with this model: (word:1.2) was read as word, other brackets as text",
    "taken out of the prompt, as the negative prompt names it: dog, red",
    "the prompt is empty: this model drew one of its own, a cat",
    "the negative prompt was not used: this model takes none",
    "the negative prompt has no effect without guidance (guidance_scale above 1)",
    "decoded in float32: the model's VAE gave no picture in float16",
    "drawn at 128x128, a size that this model knows, then enlarged and cut to 512x256",
    "clip_skip has no effect with this model",
    "made 128x128 by the model, then reduced to 96x96",
    "LoRAs have no effect where a picture only becomes larger",
    "the prompt has no effect with a guidance_scale of 0",
)
# Seen by the owner of a service in its log, not on the page.
UNSEEN = {
    "{} {}.", "{} {}, and nothing is downloaded unasked.",
    "Download it{} in the page's Models tab, with `python -m app models download {}`, or in Python with "
    'load_model("{}", download=True).',
}  # fmt: skip
OTHER = "The LoRA V1 is for another architecture"
BEGUN_ELSEWHERE = {
    "{}: this model has no layer {}.{}.": f"{OTHER}: this model has no layer V1.V2.",
    "{}: layer {}.{} has {} {} here and {} there.": f"{OTHER}: layer V1.V2 has 5 outputs here and 6 there.",
}
ENGLISH_SENTENCE = re.compile(r"(?:[A-Za-z]{2,}[ ,]+){3}[a-z]{2,}")


def chinese(text: str) -> str | None:
    said = Strings().words("zh-CN").said
    assert said is not None
    return said.find(text)


def sentence(node: ast.expr) -> str | None:
    """The text of a literal, `{}` where a value stands."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def spoken(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        seen = [keyword.value for keyword in node.keywords if keyword.arg in ("message", "hint")]
        if name in SPEAK:
            yield from filter(None, map(sentence, [*node.args[:1], *seen]))


def test_every_sentence_of_an_error_that_a_reader_may_see_has_its_chinese() -> None:
    found = {text for room in ROOMS for file in (APP / room).rglob("*.py") for text in spoken(file)} - UNSEEN
    assert len(found) > 80
    untold = []
    for text in sorted(found):
        told = chinese(BEGUN_ELSEWHERE.get(text, text.replace("{}", "V1")))
        if told is None or ENGLISH_SENTENCE.search(told):
            untold.append(text)
    assert untold == [], "say them in app/locales/said.zh-CN.json"


@pytest.mark.parametrize("note", NOTES)
def test_every_note_of_a_picture_is_chinese_with_its_numbers(note: str) -> None:
    told = chinese(note)
    assert told is not None
    assert not ENGLISH_SENTENCE.search(told)
    assert sorted(re.findall(r"\d+", told)) == sorted(re.findall(r"\d+", note))


def test_a_sentence_with_more_words_of_its_own_goes_before_one_with_fewer() -> None:
    said = Said({"{}: {}": "{0}，{1}", "the disk of {} is full: {} bytes": "{0} 满 {1}", "prompt": "词"})
    assert said.find("the disk of a is full: 5 bytes") == "a 满 5"
    assert said.find("prompt: prompt") == "词，词"
    assert said.find("nothing of the kind") is None
    assert said.find("a: " + "b" * 5000) is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("generation_failed", "The pipeline failed: ValueError: x"),
        ("model_refused", "own.safetensors has more than 5 tensors; no model has."),
        ("a_code_of_the_future", "Something that nobody has translated went wrong here."),
    ],
)
def test_a_failed_job_holds_no_english_sentence_on_a_chinese_page(code: str, message: str) -> None:
    error = {"code": code, "message": message, "hint": "Try another sampler."}
    values = {"id": "j", "state": "failed", "origin": "ui", "request": {"prompt": "猫"}, "error": error}
    job = Job.model_validate(values | {"created_at": "2026-11-21T00:00:00Z"})
    shown = str(job_card(JobNow(job), Strings().words("zh-CN")))
    assert not ENGLISH_SENTENCE.search(re.sub(r"<[^>]*>", " ", shown))


@pytest.mark.browser
def test_no_failing_path_shows_an_english_sentence_on_a_chinese_page(
    browser: Browser, page_process: RunningPage, client: ImageServiceClient
) -> None:
    with visit(browser, page_process.url, locale="zh-CN") as page:
        for prompt in ("!oom", "!error"):
            page.locator("#at-prompt textarea").fill(prompt)
            page.locator("#at-generate").click()
            expect(page.locator("#at-stage .at-job .at-prompt")).to_have_text(prompt)
            until(page, "failed")
            no_english(page, "#at-stage .at-job")
        page.locator("#at-prompt textarea").fill("猫 <lora:nobody:1>")
        page.locator("#at-generate").click()
        expect(page.locator("#at-toast")).to_contain_text("没有名为 'nobody' 的 LoRA")
        no_english(page, "#at-toast")

        open_tab(page, "图片信息")
        page.locator("#at-inspect-file input[type=file]").set_input_files(
            {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
        )
        expect(page.locator("#at-inspect .at-notice")).to_be_visible()
        no_english(page, "#at-inspect")

        open_tab(page, "模型")
        for key in ("nobody/nothing", "not a name"):
            page.get_by_label("模型中心的模型").fill(key)
            page.get_by_label("模型中心的模型").press("Enter")
        wrong = page.locator("#at-models [data-model='nobody/nothing']")
        expect(wrong).to_contain_text("模型中心中没有 'nobody/nothing'，或它是私有的。")
        no_english(page, "#at-models [data-model='nobody/nothing'] .at-notice")
        no_english(page, "#at-toast")
        client.cancel_download("nobody/nothing")


def no_english(page: Page, part: str) -> None:
    text = page.locator(part).inner_text()
    assert not ENGLISH_SENTENCE.search(text), text
