"""Words that a model knows are offered while they are typed; of others it is said what they are read as."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from app.ui.word_lists import word_routes
from tests.loops import run_apart
from tests.running import RunningPage
from tests.ui.browser import visit


def test_only_the_words_that_were_there_at_the_start_are_served(tmp_path: Path) -> None:
    (tmp_path / "tiny.words.json").write_text("{}")
    (tmp_path / "secret.json").write_text("secret")
    app = FastAPI()
    app.include_router(word_routes(tmp_path))

    async def asked() -> dict[str, tuple[int, str]]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page", verify=False) as caller:
            answers = {name: await caller.get(f"/atelier/words/{name}.json") for name in ("tiny", "secret", "..%2Fa")}
            return {name: (answer.status_code, answer.text) for name, answer in answers.items()}

    told = run_apart(asked())
    assert told["tiny"] == (200, "{}")
    assert told["secret"] == (204, "")
    assert told["..%2Fa"][0] in (204, 404)
    app.include_router(word_routes(tmp_path / "nowhere"))  # a page without a models folder


@pytest.mark.browser
def test_words_are_completed_and_strange_ones_explained(page: Page) -> None:
    field, coach = page.locator("#at-prompt textarea"), page.locator(".at-coach")
    expect(page.locator("#at-model-line")).to_contain_text("Speed")
    field.press_sequentially("a red straw")
    expect(coach.get_by_role("button")).to_have_text(["strawberry"])
    field.press("Alt+ArrowRight")
    expect(field).to_have_value("a red strawberry")
    field.press_sequentially(" on a wood")
    coach.get_by_role("button", name="on a wooden table").click()
    expect(field).to_have_value("a red strawberry on a wooden table")
    field.fill("an astronaut and a blurgl near a gardn.")
    status = coach.get_by_role("status")
    expect(status).to_contain_text("“astronaut” is read as “man”")
    expect(status).to_contain_text("“blurgl” is not known")
    expect(status).to_contain_text("“gardn” is not known; near it: “garden”")
    underlined = page.locator(".at-underlined u")
    expect(underlined).to_have_text(["astronaut", "blurgl", "gardn"])
    page.locator(".at-examples .at-example").first.click()
    expect(underlined).to_have_count(0)


@pytest.mark.browser
def test_chinese_words_are_completed_and_strange_ones_named(browser: Browser, page_process: RunningPage) -> None:
    with visit(browser, page_process.url, locale="zh-CN") as page:
        field, coach = page.locator("#at-prompt textarea"), page.locator(".at-coach")
        expect(page.locator("#at-model-line [data-words-of=pocket]")).to_be_visible()
        field.fill("红色的苹")
        coach.get_by_role("button", name="苹果").click()
        expect(field).to_have_value("红色的苹果")
        field.fill("苹果和麒麟")
        expect(coach.get_by_role("status")).to_have_text("不认识“麒麟”")
        expect(page.locator(".at-underlined u")).to_have_text("麒麟")
