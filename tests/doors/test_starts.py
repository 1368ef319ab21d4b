"""Pictures from pictures through every door, with a real model and each client's own call."""

import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import requests
import webuiapi
from PIL import Image, ImageChops

from app.cli.main import main
from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import Job, JobState
from app.core.sizes import sides_to_ratio
from app.picture import infotext
from app.picture.fit import scaled
from app.picture.png import inspect
from tests.doors.dropping import answer_all
from tests.running import RunningService

pytestmark = pytest.mark.model
SIDE = 128
PROMPT = "a red apple"


def png_of(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def start() -> Image.Image:
    """A picture that is different at every place."""
    ramp = Image.linear_gradient("L").resize((SIDE, SIDE))
    return Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180)))


@pytest.fixture(scope="module")
def mask() -> Image.Image:
    made = Image.new("L", (SIDE, SIDE), 0)
    made.paste(255, (32, 32, 96, 96))
    return made


@pytest.fixture
def client(pocket: RunningService) -> Iterator[ImageServiceClient]:
    with ImageServiceClient(pocket.url) as client:
        yield client


@pytest.fixture
def api(pocket: RunningService, monkeypatch: pytest.MonkeyPatch) -> webuiapi.WebUIApi:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return webuiapi.WebUIApi(host="127.0.0.1", port=pocket.port)


@pytest.fixture
def sdk(pocket: RunningService) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{pocket.url}/v1", api_key="none", max_retries=0, http_client=httpx.Client(trust_env=False)
    ) as client:
        yield client


def untouched(picture: Image.Image, start: Image.Image, mask: Image.Image) -> bool:
    """True if nothing differs where the mask is black, and something where it is white."""
    changed = ImageChops.difference(picture.convert("RGB"), start).convert("L").point(lambda value: value and 255)
    outside = ImageChops.multiply(changed, mask.point(lambda value: 0 if value else 255))
    return outside.getbbox() is None and ImageChops.multiply(changed, mask).getbbox() is not None


def request_with(client: ImageServiceClient, *pictures: Image.Image, **fields: Any) -> dict[str, Any]:
    roles = zip(("image", "mask"), pictures, strict=False)
    inputs = [{"role": role, "sha256": client.upload(png_of(picture)).sha256} for role, picture in roles]
    task = "inpaint" if len(pictures) > 1 else "image"
    return {"prompt": PROMPT, "seed": 5, "task": task, "inputs": inputs, "strength": 0.6} | fields


def drawn(client: ImageServiceClient, job: Job) -> Image.Image:
    assert job.state is JobState.SUCCEEDED, job.error
    return Image.open(io.BytesIO(client.image_bytes(job.images[0].id)))


def test_a_picture_is_made_from_a_picture_and_its_file_says_from_which(
    client: ImageServiceClient, start: Image.Image, mask: Image.Image
) -> None:
    request = request_with(client, start, num_inference_steps=8)
    job = client.generate(request)
    picture = drawn(client, job)
    assert picture.tobytes() != start.tobytes()
    said = client.inspect(client.image_bytes(job.images[0].id))
    assert said.request is not None
    assert said.request["inputs"] == [{**request["inputs"][0], "weight": 1.0, "model": None}]
    assert f"Init image hash: {request['inputs'][0]['sha256']}" in (said.parameters or "")
    assert "Denoising strength: 0.6" in (said.parameters or "")
    again = client.generate(said.request)
    assert drawn(client, again).tobytes() == picture.tobytes()
    assert drawn(client, client.generate(request | {"strength": 0})).tobytes() == start.tobytes()
    inside = client.generate(request_with(client, start, mask, num_inference_steps=8))
    painted = drawn(client, inside)
    assert untouched(painted, start, mask)
    found = client.inspect(client.image_bytes(inside.images[0].id)).request
    assert found is not None
    assert drawn(client, client.generate(found)).tobytes() == painted.tobytes()


def until_drawing(client: ImageServiceClient, job: str, step: int = 3) -> None:
    deadline = time.monotonic() + 120
    while not (progress := client.job(job).progress) or progress.phase != "denoising" or progress.step < step:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["inpaint", "hires"])
def test_a_child_that_is_killed_in_the_middle_gives_the_same_pixels(
    kind: str, client: ImageServiceClient, start: Image.Image, mask: Image.Image
) -> None:
    twice: dict[str, Any] = {"prompt": PROMPT, "seed": 5, "enable_hr": True, "strength": 0.5, "num_inference_steps": 24}
    sizes = {"num_inference_steps": 40, "strength": 0.9, "width": 256, "height": 256}
    request = twice if kind == "hires" else request_with(client, start, mask, **sizes)
    wanted = drawn(client, client.generate(request))
    job = client.submit(request)
    until_drawing(client, job.id)
    pid = client.status().devices[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    done = client.wait(job.id)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert drawn(client, done).tobytes() == wanted.tobytes()
    stopped = client.submit(request)
    until_drawing(client, stopped.id, 1)
    client.cancel(stopped.id)
    assert client.wait(stopped.id).state is JobState.CANCELLED
    assert drawn(client, client.generate(request)).tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"inputs": []}, "inputs"),
        ({"task": "inpaint"}, "inputs"),
        ({"task": "text"}, "inputs"),
        ({"task": "edit"}, "task"),
        ({"strength": 1.1}, "strength"),
        ({"strength": 0.01, "num_inference_steps": 4}, "strength"),
        ({"inputs": [{"sha256": "0" * 64}]}, "inputs.0.sha256"),
        ({"inputs": [{"sha256": "x"}]}, "inputs.0.sha256"),
    ],
)
def test_a_request_that_does_not_fit_its_task_is_refused_by_name(
    client: ImageServiceClient, start: Image.Image, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        client.submit(request_with(client, start) | fields)
    assert refused.value.http_status == 422
    assert refused.value.errors[0]["field"] == field


def test_webuiapi_makes_a_picture_from_a_picture_and_paints_under_a_mask(
    api: webuiapi.WebUIApi, start: Image.Image, mask: Image.Image
) -> None:
    # The calls of webuiapi's own README, with the sides of this model.
    made = api.img2img(images=[start], prompt=PROMPT, seed=5555, cfg_scale=6.5, denoising_strength=0.6,
                       steps=8, width=SIDE, height=SIDE)  # fmt: skip
    assert made.image.size == (SIDE, SIDE)
    assert made.info["denoising_strength"] == 0.6
    assert made.parameters["init_images"] is None
    painted = api.img2img(images=[start], mask_image=mask, inpainting_fill=1, prompt=PROMPT, seed=104, cfg_scale=5.0,
                          denoising_strength=0.7, steps=8, width=SIDE, height=SIDE, mask_blur=0)  # fmt: skip
    assert untouched(painted.image, start, mask)
    # A1111 draws the masked part alone unless it is told not to, and gives the picture back in its own size.
    large = start.resize((2 * SIDE, 2 * SIDE))
    part = api.img2img(images=[large], mask_image=mask.resize(large.size, 0), inpainting_fill=0, prompt=PROMPT, steps=8,
                       width=SIDE, height=SIDE, mask_blur=0, inpaint_full_res_padding=8)  # fmt: skip
    assert untouched(part.image, large, mask.resize(large.size, 0))
    assert "Masked area padding: 8" in api.png_info(part.image).info
    other = api.img2img(images=[start], mask_image=mask, inpainting_mask_invert=1, prompt=PROMPT, seed=104, steps=8,
                        width=SIDE, height=SIDE, mask_blur=0)  # fmt: skip
    assert untouched(other.image, start, ImageChops.invert(mask))
    # Stretched, as A1111 does unless it is asked to crop.
    wide = api.img2img(images=[start.resize((SIDE, 64))], prompt=PROMPT, denoising_strength=0, width=SIDE, height=SIDE)
    assert "was cut" not in wide.info["comments"]
    assert "Denoising strength: 0" in api.png_info(wide.image).info


def test_img2img_names_what_is_wrong(pocket: RunningService, http: requests.Session) -> None:
    picture = {"init_images": ["aGVsbG8="], "prompt": PROMPT}
    for body, name in (
        ({"prompt": PROMPT}, "init_images"),
        (picture | {"init_images": ["aGVsbG8="] * 2}, "init_images"),
        (picture, "init_images"),
        (picture | {"resize_mode": 2}, "resize_mode"),
        (picture | {"denoising_strength": 2}, "denoising_strength"),
        (picture | {"latent_mask": "x"}, "latent_mask"),
    ):
        refused = http.post(f"{pocket.url}/sdapi/v1/img2img", json=body, timeout=60)
        assert (refused.status_code, name in refused.json()["detail"]) == (422, True), refused.text


def test_the_openai_sdk_edits_under_a_mask_streams_and_makes_variations(
    sdk: openai.OpenAI, pocket: RunningService, start: Image.Image, mask: Image.Image, tmp_path: Path
) -> None:
    start.save(tmp_path / "start.png")
    hole = start.convert("RGBA")
    hole.putalpha(ImageChops.invert(mask))
    hole.save(tmp_path / "mask.png")

    def opened(answer: Any) -> Image.Image:
        return Image.open(io.BytesIO(httpx.get(answer.data[0].url, trust_env=False).content))

    def sent(name: str) -> tuple[str, bytes]:
        return name, (tmp_path / name).read_bytes()

    def pictures() -> dict[str, Any]:
        return {"image": sent("start.png"), "mask": sent("mask.png")}

    edited = sdk.images.edit(**pictures(), prompt=PROMPT, n=1, size="128x128", extra_body={"seed": 3})
    assert untouched(opened(edited), start, mask)
    own_hole = sdk.images.edit(image=sent("mask.png"), prompt=PROMPT, size="128x128")
    assert opened(own_hole).size == (SIDE, SIDE)
    events = list(sdk.images.edit(**pictures(), prompt=PROMPT, stream=True, partial_images=1))
    assert events[-1].type == "image_edit.completed"
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied = sdk.images.create_variation(image=sent("start.png"), n=2, size="128x128")
    assert len(varied.data or []) == 2
    for wrong, param in (
        ({"mask": sent("start.png")}, "mask"),
        ({"image": [sent("start.png"), sent("mask.png")]}, "image"),
        ({"extra_body": {"seed": "x"}}, "seed"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.images.edit(**({"image": sent("start.png"), "prompt": PROMPT} | wrong))
        assert refused.value.param == param


def test_the_command_line_starts_from_a_file(
    pocket: RunningService, start: Image.Image, mask: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start.save(tmp_path / "start.png")
    mask.save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    words = ["generate", PROMPT, "--url", pocket.url, "--steps", "8", "--from", str(tmp_path / "start.png")]
    assert main([*words, "--mask", str(tmp_path / "mask.png"), "--strength", "0.7", "--out", str(out)]) == 0
    assert untouched(Image.open(out), start, mask)
    wide = tmp_path / "wide.png"
    assert main([*words, "--extend", "right=48,top=8", "--out", str(wide)]) == 0
    with Image.open(wide) as extended:
        assert extended.size == (SIDE + 48, SIDE + 8)
        assert extended.crop((0, 8, SIDE, SIDE + 8)).tobytes() == start.tobytes()
    drawn = inspect(wide.read_bytes()).request
    assert (drawn["width"], drawn["height"]) == (SIDE + 48, SIDE + 8)  # and so of no other ratio
    assert sides_to_ratio(256, 256, "16:9") == (100, 0, 100, 0)
    assert sides_to_ratio(640, 480, "2:3") == (0, 240, 0, 240)
    assert main([*words, "--extend", "16:9", "--out", str(wide), "--overwrite"]) == 0
    with Image.open(wide) as extended:
        assert extended.size == (224, SIDE)
    for wrong in ([*words, "--extend", "up=8"], ["generate", PROMPT, "--url", pocket.url, "--extend", "left=8"]):
        assert main(wrong) != 0
        assert "--extend" in capsys.readouterr().err
    assert main(["generate", PROMPT, "--url", pocket.url, "--strength", "0.5"]) != 0
    assert "--strength" in capsys.readouterr().err


def test_a_picture_becomes_larger_as_a_job_that_needs_no_model(
    client: ImageServiceClient, pocket: RunningService, start: Image.Image, tmp_path: Path
) -> None:
    made = client.generate(request_with(client, start, task="upscale", scale=2, strength=None))
    wanted = scaled(start, 2 * SIDE, 2 * SIDE, Image.Resampling.LANCZOS)
    assert drawn(client, made).tobytes() == wanted.tobytes()
    image = client.image(made.images[0].id)
    assert (image.width, image.height, image.recipe["how"]["upscaler"]) == (2 * SIDE, 2 * SIDE, "Lanczos")
    file = client.inspect(client.image_bytes(image.id))
    assert (image.model, image.recipe["request"]["model"], file.labels.get("ai_system")) == ("", None, None)
    assert not {"Model", "Steps", "Sampler", "CFG scale"} & set(infotext.parse(file.parameters or ""))
    assert file.request is not None
    assert drawn(client, client.generate(file.request)).tobytes() == wanted.tobytes()
    (tmp_path / "small.png").write_bytes(client.image_bytes(image.id))
    out = tmp_path / "large.png"
    words = ["upscale", str(tmp_path / "small.png"), "--scale", "3", "--out", str(out), "--url", pocket.url]
    assert main(words) == 0
    said = client.inspect(out.read_bytes()).request
    assert said is not None
    assert said["prompt"] == PROMPT
    with Image.open(out) as large:
        assert large.size == (6 * SIDE, 6 * SIDE)
    for wrong, field in (({}, "scale"), ({"scale": 5}, "scale"), ({"scale": 2, "strength": 0.5}, "strength")):
        with pytest.raises(ServiceError) as refused:
            client.submit(request_with(client, start, task="upscale") | {"strength": None} | wrong)
        assert [error["field"] for error in refused.value.errors] == [field]
    with pytest.raises(ServiceError, match="scale"):
        client.submit({"prompt": PROMPT, "scale": 2})


def test_a_picture_that_would_become_too_large_fails_by_name(client: ImageServiceClient) -> None:
    wide = Image.new("L", (3000, 2000))
    job = client.generate(request_with(client, wide, task="upscale", scale=4, strength=None))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "12000x8000 is too large" in job.error.message


def test_the_drop_folder_starts_from_the_pictures_beside_the_prompt(
    pocket: RunningService, client: ImageServiceClient, start: Image.Image, mask: Image.Image, tmp_path: Path
) -> None:
    stems = [f"0199a1b2-0000-4000-8000-000000000000-{number}-{SIDE}x{SIDE}" for number in (1, 2)]
    for stem in stems:
        start.save(tmp_path / f"{stem}-start.png")
        (tmp_path / f"{stem}.txt").write_text(PROMPT)
    mask.save(tmp_path / f"{stems[1]}-mask.png")
    answer_all(tmp_path, pocket.url)
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{stem}.png" for stem in stems]
    with Image.open(tmp_path / f"{stems[1]}.png") as inside:
        assert untouched(inside, start, mask)
    tasks = {image.recipe["request"]["task"] for image in client.images(limit=2)[0]}
    assert tasks == {"image", "inpaint"}
