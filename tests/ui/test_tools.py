"""What stands around the prompt and the picture: LoRAs, embeddings, styles, two passes, a model that enlarges, and the
chain from one picture to the next. One visit drives them all."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from safetensors.numpy import save_file

from app.client import ImageServiceClient
from app.core.task import Task
from tests.running import RunningPage, RunningService
from tests.ui.browser import visit
from tests.ui.steps import generate, open_tab, until

FOLDERS = ("loras", "embeddings", "enlarger", "vae")
LAYER = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def tools(models_folder: Path) -> Iterator[None]:
    """A LoRA, an embedding, a style and a model that enlarges lie in the models folder."""
    for name in FOLDERS:
        (models_folder / name).mkdir()
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float32)}, models_folder / "vae/other.safetensors")
    sides = {f"{LAYER}.lora_A.weight": (4, 32), f"{LAYER}.lora_B.weight": (32, 4)}
    save_file(
        {name: np.zeros(each, np.float32) for name, each in sides.items()}, models_folder / "loras/ink.safetensors"
    )
    save_file({"emb_params": np.zeros((2, 768), np.float32)}, models_folder / "embeddings" / "bad hands.safetensors")
    (models_folder / "styles.csv").write_text('name,prompt,negative_prompt\nnoir,"{prompt}, film noir",colour\n')
    config = {"architectures": ["Swin2SRForImageSuperResolution"], "upscale": 2}
    (models_folder / "enlarger" / "config.json").write_text(json.dumps(config))
    save_file({"a": np.zeros(1, np.float32)}, models_folder / "enlarger" / "model.safetensors")
    yield
    (models_folder / "styles.csv").unlink()
    for name in FOLDERS:
        shutil.rmtree(models_folder / name)


@pytest.fixture
def visitor(
    tools: None, tmp_path: Path, service: RunningService, browser: Browser
) -> Iterator[Page]:  # another page than that of all tests: it would remember for a while which LoRAs there are
    with RunningPage(tmp_path, service.url) as own, visit(browser, own.url) as page:
        yield page


@pytest.mark.browser
def test_everything_around_a_prompt_goes_into_the_job_and_the_chain_leads_back(
    visitor: Page, client: ImageServiceClient
) -> None:
    page = visitor
    expect(page.locator("#at-model input")).to_have_value(re.compile("Pocket"))
    page.locator("#at-loras summary").first.click()
    page.locator("#at-loras [data-lora=ink] [data-act=lora]").click()
    expect(page.locator("#at-prompt textarea")).to_have_value("<lora:ink:0.8>")
    page.locator("#at-loras summary").last.click()
    page.locator("#at-loras [data-act=embedding-not]").click()
    expect(page.locator("#at-negative_prompt textarea")).to_have_value(re.compile("bad hands$"))
    page.locator("#at-styles input").click()
    page.get_by_role("option", name="noir").click()
    expect(page.locator("#at-styles-look")).to_contain_text("{prompt}, film noir − colour")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Choose a style by its picture").click()
    card = page.get_by_role("button", name="noir", exact=True)
    expect(card).to_have_attribute("aria-pressed", "true")
    card.press("Enter")
    expect(page.locator("#at-styles-look")).not_to_contain_text("film noir")
    expect(card).to_be_focused()
    card.press("Enter")
    expect(card).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Put the styles away").click()
    page.get_by_role("button", name="Larger in two passes").click()
    page.locator("#at-enable_hr input").check()
    page.locator("#at-hr_upscaler input").click()
    page.get_by_role("option", name="enlarger").click()
    page.locator("#at-settings").get_by_role("button", name=re.compile("^More")).click()
    page.locator("#at-vae input").click()
    page.get_by_role("option", name="other").click()
    first = client.job(generate(page, "a cup <lora:ink:0.8>"))
    until(page, "succeeded")
    assert first.request.prompt == "a cup <lora:ink:0.8>, film noir"
    assert first.request.negative_prompt.endswith("bad hands, colour")
    assert (first.request.written.prompt, first.request.written.styles) == ("a cup <lora:ink:0.8>", ("noir",))
    assert (first.request.enable_hr, first.request.hr_scale, first.request.hr_upscaler) == (True, 2, "enlarger")
    assert first.request.vae == "other"
    page.locator("#at-stage [data-act=upscale]").click()
    page.locator(f"#at-stage .at-job[data-state=succeeded]:not([data-job='{first.id}'])").wait_for()
    second = client.job(str(page.locator("#at-stage .at-job").get_attribute("data-job")))
    assert (second.request.task, second.request.model, second.request.scale) == (Task.UPSCALE, "enlarger", 2)
    below, above = second.images[0].id, client.job(first.id).images[0].id
    open_tab(page, "Library")
    page.locator(f'#at-library [data-zoom][data-start-from="{below}"]').click()
    page.get_by_role("dialog").get_by_role("button", name="Made from, became").click()
    chain = page.locator(f'#at-chain [data-chain="{below}"]')
    chain.locator("[data-over]").fill("80")
    expect(chain.locator(".at-over")).to_have_css("clip-path", "inset(0px 0px 0px 80%)")
    chain.locator(f'[data-act=chain][data-id="{above}"]').click()
    parent = page.locator(f'#at-chain [data-chain="{above}"]')
    expect(parent).to_contain_text("Words alone")
    expect(parent.locator(f'[data-act=chain][data-id="{below}"]')).to_be_visible()
    parent.locator("[data-act=chain-close]").click()
    expect(page.locator("#at-chain [data-chain]")).to_have_count(0)
