"""Pictures of other programs on the page: what they say, what of it cannot be had here, and why one is refused."""

import base64
import io
import json

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.client import ImageServiceClient
from app.core.errors import ServiceError, UnreadablePicture
from app.core.fitting import fit
from app.picture import png
from app.ui.strings import Strings
from app.ui.views.header import error_text
from app.ui.views.inspect import inspection_page
from tests.picture.test_inspect import a_file, chunk
from tests.picture.test_recipes import a_graph, a_model
from tests.ui.steps import open_tab


def test_a_recipe_that_cannot_be_had_as_it_is_is_told_in_the_readers_language() -> None:
    found = png.inspect(a_file(prompt=json.dumps(a_graph())))
    suited = fit(found.request or {}, found.unusable, found.model, [a_model("pocket", default=True)])
    said = {language: inspection_page(found, Strings().words(language), suited) for language in ("en", "zh-CN")}
    assert "Made with ComfyUI. Its recipe was read." in said["en"]
    assert "Fit to Pocket" in said["en"]
    assert "<li>Seed: 156680208700286 → left out</li>" in said["en"]
    assert "由 ComfyUI 生成，已读出其配方。" in said["zh-CN"]
    assert "适配到 Pocket" in said["zh-CN"]
    assert "→ 省略</li>" in said["zh-CN"]


def test_a_picture_that_is_too_large_is_refused_by_its_true_limit() -> None:
    head = (8000).to_bytes(4) + (6250).to_bytes(4) + b"\x08\x02\0\0\0"
    with pytest.raises(UnreadablePicture) as refused:
        png.inspect(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b""))
    error = ServiceError(str(refused.value), code=UnreadablePicture.code, http_status=422)
    english, chinese = (error_text(error, Strings().words(language)) for language in ("en", "zh-CN"))
    assert english == "The picture has 8000x6250 pixels; allowed is at most 33000000 in all."
    assert chinese == "图片有 8000x6250 像素；总共最多 33000000。"
    other = ServiceError("Nobody has translated this.", code=UnreadablePicture.code, http_status=422)
    assert error_text(other, Strings().words("zh-CN")).startswith("无法读取")


@pytest.mark.browser
def test_a_picture_of_comfyui_is_fitted_to_a_model_of_this_machine(page: Page) -> None:
    open_tab(page, "Inspect")
    data = a_file(prompt=json.dumps(a_graph(steps=400, seed=7)))
    page.locator("#at-inspect-file input[type=file]").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": data}
    )
    told = page.locator("#at-inspect .at-differences")
    expect(told).to_contain_text("Steps: 400 → 100")
    expect(told).to_contain_text("Scheduler: Euler a Karras → Euler a")
    page.get_by_role("button", name="Fit to Pocket").click()
    expect(page.locator("#at-prompt textarea")).to_have_value("a glass bottle, galaxy inside")
    expect(page.get_by_label("number input for Steps")).to_have_value("100")
    expect(page.get_by_label("Seed (-1 = random)")).to_have_value("7")
    expect(page.get_by_label("Width")).to_have_value("768")


PASTE = """async (text) => {
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "a.png", { type: "image/png" }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


@pytest.mark.browser
def test_a_picture_that_is_handed_in_chosen_or_pasted_is_described_and_its_words_become_a_prompt(
    page: Page, client: ImageServiceClient
) -> None:
    image = client.generate({"prompt": "a red apple", "width": 192, "height": 128}).images[0]
    open_tab(page, "Describe")
    said = page.locator("#at-describe .at-prompt")
    page.locator(f"#at-describe-saved [data-id='{image.id}']").click()
    expect(said).to_contain_text("192x128")
    page.get_by_role("radio", name="中文").check()
    red, blue = (io.BytesIO() for _ in range(2))
    Image.new("RGB", (96, 64), "red").save(red, "PNG")
    Image.new("RGB", (80, 64), "blue").save(blue, "PNG")
    page.locator("#at-describe-file input[type=file]").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": red.getvalue()}
    )
    expect(said).to_contain_text("96x64")
    page.evaluate(PASTE, base64.b64encode(blue.getvalue()).decode())
    expect(said).to_contain_text("80x64")
    expect(said).to_contain_text("zh")
    page.wait_for_function("document.querySelector('#at-describe img')?.naturalWidth === 80")
    text = said.inner_text()
    page.get_by_role("button", name="Use as prompt").click()
    expect(page.locator("#at-prompt textarea")).to_have_value(text)
