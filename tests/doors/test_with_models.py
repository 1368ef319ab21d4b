"""The doors before real pipelines: equal pixels through each of them, LoRAs, and what a model could not do."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import webuiapi
from diffusers import StableDiffusionPipeline
from PIL import Image

from app.catalog import folder_entry
from app.diffusion import DiffusionService
from app.picture.png import inspect
from tests.controls import save_control
from tests.doors.dropping import answer_all
from tests.families import save
from tests.janus import TOKENS, make_tiny_janus
from tests.loras import TEXT_LAYERS, save_lora
from tests.pipelines import catalog_toml, make_tiny_redrawer, make_tiny_sd, make_tiny_upscaler
from tests.running import RunningService
from tests.single_files import save_other_vae

pytestmark = pytest.mark.model
ASKED = {"prompt": "a (red:1.3) apple", "negative_prompt": "blurry", "seed": 7, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_tiny_sd(folder / "pocket")
    save("flux", folder / "flux")
    make_tiny_upscaler(folder / "larger")
    make_tiny_redrawer(folder / "anew")
    save_lora(folder / "loras" / "ink.safetensors", text=TEXT_LAYERS)
    save_other_vae(folder / "pocket", folder / "vae" / "other.safetensors")
    save_control("sd15", StableDiffusionPipeline.from_pretrained(folder / "pocket"), folder / "my-canny")
    flux = {"title": "Flux", "path": "flux", "pipeline": "FluxPipeline"}
    anew = {"title": "Anew", "path": "anew", "pipeline": folder_entry(folder / "anew").pipeline}
    catalog_toml(folder, pocket={"title": "Tiny", "path": "pocket"}, flux=flux, anew={**anew, "num_inference_steps": 2})
    return folder


@pytest.fixture(scope="module")
def real(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(
        tmp_path_factory.mktemp("real"), ENGINE="local", DEVICE="cpu", MODELS_FOLDER=str(models)
    ) as running:
        yield running


def native(service: RunningService, http: requests.Session, **fields: Any) -> dict[str, Any]:
    """The finished job and the bytes of its first picture."""
    job = http.post(f"{service.url}/api/jobs", json=fields).json()
    with http.get(f"{service.url}/api/jobs/{job['id']}/events", stream=True, timeout=60) as events:
        for line in events.iter_lines():
            if line in (b"event: succeeded", b"event: failed"):
                break
    job = http.get(f"{service.url}/api/jobs/{job['id']}").json()
    assert job["state"] == "succeeded", job["error"]
    return job | {"png": http.get(f"{service.url}{job['images'][0]['url']}").content}


def pixels(png: bytes, tmp_path: Path) -> bytes:
    (tmp_path / "x.png").write_bytes(png)
    with Image.open(tmp_path / "x.png") as picture:
        return picture.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("library", "api", "a1111"),
    [
        ("Euler a", "k_euler_a", {"sampler_name": "Euler a"}),
        ("DPM++ 2M Karras", "DPM++ 2M karras", {"sampler_name": "DPM++ 2M", "scheduler": "karras"}),
        (
            "Euler SGM Uniform",
            "EulerDiscreteScheduler trailing",
            {"sampler_name": "k_euler", "scheduler": "sgm_uniform"},
        ),
    ],
)
def test_library_service_and_a1111_door_draw_equal_pixels(
    real: RunningService, http: requests.Session, models: Path, tmp_path: Path, library: str, api: str, a1111: Any
) -> None:
    prompt = ASKED | {"prompt": f"{ASKED['prompt']} <lora:ink:0.5>"}
    own = DiffusionService(tmp_path, device="cpu", models_folder=models).generate_image(
        **prompt, scheduler=library, num_inference_steps=3, guidance_scale=4.0, model="pocket"
    )
    wanted = own["images"][0].tobytes()
    fields = prompt | {"num_inference_steps": 3, "guidance_scale": 4.0}
    assert pixels(native(real, http, **fields, scheduler=api)["png"], tmp_path) == wanted
    body = prompt | {"steps": 3, "cfg_scale": 4.0} | a1111
    answer = http.post(f"{real.url}/sdapi/v1/txt2img", json=body).json()
    assert pixels(base64.b64decode(answer["images"][0]), tmp_path) == wanted


def test_a_model_makes_pictures_larger_through_the_queue_for_a1111s_clients(
    real: RunningService, http: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=real.port)
    assert [item["name"] for item in api.get_upscalers()] == ["None", "Lanczos", "Nearest", "anew", "larger"]
    assert "larger" not in api.util_get_model_names()
    drawn = api.txt2img(prompt="an apple", seed=3, steps=2, width=64, height=64).image
    larger = api.extra_single_image(image=drawn, upscaler_1="larger", upscaling_resize=2).image
    [newest] = http.get(f"{real.url}/api/images", params={"limit": 1}).json()["items"]
    made = newest["recipe"]
    assert (larger.size, made["request"]["task"], made["how"]["model"]) == ((128, 128), "upscale", "larger")
    assert (newest["prompt"], newest["model"]) == ("an apple", "larger")
    with Image.open(io.BytesIO(http.get(f"{real.url}{newest['url']}").content)) as saved:
        assert saved.convert("RGB").tobytes() == larger.convert("RGB").tobytes()
    by_size = {"resize_mode": 1, "upscaling_resize_w": 100, "upscaling_resize_h": 90}
    assert api.extra_single_image(image=drawn, upscaler_1="larger", **by_size).image.size == (100, 90)
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "larger", "denoising_strength": 0.5}
    twice = api.txt2img(prompt="an apple", seed=3, steps=2, width=64, height=64, **hires)
    assert twice.image.size == (96, 96)
    assert twice.info["extra_generation_params"]["Hires upscaler"] == "larger"
    assert "Hires upscaler: larger" in api.png_info(twice.image).info
    refused = http.post(f"{real.url}/sdapi/v1/extra-single-image", json={"image": "eA==", "upscaler_1": "SwinIR_4x"})
    assert (refused.status_code, "upscaler_1" in refused.json()["detail"]) == (422, True)


def test_a_pipeline_draws_pictures_anew_larger_through_the_same_doors(
    real: RunningService, http: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=real.port)
    listed = {model["key"]: model for model in http.get(f"{real.url}/api/models").json()["items"]}
    assert (listed["anew"]["kinds"], listed["anew"]["tasks"]) == (["upscales"], ["upscale"])
    drawn = api.txt2img(prompt="an apple", seed=3, steps=2, width=64, height=64).image
    larger = api.extra_single_image(image=drawn, upscaler_1="anew", upscaling_resize=4).image
    [newest] = http.get(f"{real.url}/api/images", params={"limit": 1}).json()["items"]
    made = newest["recipe"]
    assert (larger.size, made["how"]["redrawn"]["steps"], made["how"]["redrawn"]["noise_level"]) == ((256, 256), 2, 20)
    assert (newest["prompt"], newest["model"], made["request"]["num_inference_steps"]) == ("an apple", "anew", 2)
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "anew", "denoising_strength": 0.5}
    twice = api.txt2img(prompt="an apple", seed=3, steps=2, width=64, height=64, **hires)
    assert (twice.image.size, "Hires upscaler: anew" in api.png_info(twice.image).info) == ((96, 96), True)


def test_another_vae_is_listed_and_chosen_through_a1111s_door_and_our_own(
    real: RunningService, http: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=real.port)
    assert http.get(f"{real.url}/sdapi/v1/sd-vae").json() == [{"model_name": "other", "filename": "other"}]
    models = {each["key"]: each["vaes"] for each in http.get(f"{real.url}/api/models").json()["items"]}
    assert (models["pocket"], models["flux"]) == (["other"], [])
    asked = ASKED | {"steps": 2, "cfg_scale": 4.0, "sampler_name": "Euler"}
    made = api.txt2img(**asked, override_settings={"sd_vae": "other.safetensors"})
    assert (made.info["sd_vae_name"], "VAE: other" in made.info["infotexts"][0]) == ("other", True)
    ours = native(real, http, **ASKED, num_inference_steps=2, guidance_scale=4.0, scheduler="Euler", vae="other")
    assert pixels(ours["png"], tmp_path) == made.image.convert("RGB").tobytes()
    again = inspect(ours["png"]).request
    assert again["vae"] == "other"
    usual = api.txt2img(**asked, override_settings={"sd_vae": "Automatic"})
    assert usual.image.convert("RGB").tobytes() != made.image.convert("RGB").tobytes()
    refused = http.post(f"{real.url}/sdapi/v1/txt2img", json=asked | {"override_settings": {"sd_vae": "none such"}})
    assert (refused.status_code, "sd_vae" in refused.json()["detail"]) == (422, True)


def test_a_control_unit_of_webuiapi_is_drawn_as_by_our_own_door(
    real: RunningService, http: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=real.port)
    assert (api.controlnet_version(), api.controlnet_model_list()) == (3, ["my-canny"])
    assert {"none", "canny"} <= set(api.controlnet_module_list())
    picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    picture.paste((200, 30, 30), (16, 16, 48, 48))
    [edges] = api.controlnet_detect(images=[picture], module="canny").images
    stream = io.BytesIO()
    edges.save(stream, "PNG")
    unit = webuiapi.ControlNetUnit(
        image=picture, module="canny", model="my-canny", weight=0.8, guidance_end=0.75, threshold_a=100, threshold_b=200
    )
    asked = ASKED | {"steps": 4, "cfg_scale": 4.0, "sampler_name": "Euler"}
    # Its own default for `alwayson_scripts` would keep the units for later calls.
    made = api.txt2img(**asked, controlnet_units=[unit], alwayson_scripts={})
    assert "Resize and Fill is not here" in made.info["comments"]
    assert 'ControlNet 0: "Module: canny, Model: my-canny, Weight: 0.8' in made.info["infotexts"][0]
    kept = http.post(f"{real.url}/api/inputs", data=stream.getvalue(), headers={"Content-Type": "image/png"}).json()
    ours = native(
        real, http, **ASKED, num_inference_steps=4, guidance_scale=4.0, scheduler="Euler",
        control=[{"model": "my-canny", "image": kept["sha256"], "weight": 0.8, "end": 0.75}],
    )  # fmt: skip
    assert pixels(ours["png"], tmp_path) == made.image.convert("RGB").tobytes()
    # The drop folder names model and preprocessor beside the prompt.
    folder, stem = tmp_path / "drop", f"0199a1b2-0000-4000-8000-000000000000-1-{ASKED['width']}x{ASKED['height']}"
    folder.mkdir()
    picture.save(folder / f"{stem}-control-my-canny@canny.png")
    (folder / f"{stem}.txt").write_text("held", encoding="utf-8")
    answer_all(folder, real.url)
    assert [file.name for file in folder.iterdir()] == [f"{stem}.png"]
    [unit] = inspect((folder / f"{stem}.png").read_bytes()).request["control"]
    assert (unit["model"], unit["preprocessor"]) == ("my-canny", "canny")
    free = api.txt2img(**asked, alwayson_scripts={})
    assert made.image.tobytes() != free.image.tobytes()
    # In img2img a unit without a picture takes the one to start from.
    unit = webuiapi.ControlNetUnit(model="my-canny")
    started = api.img2img(images=[picture], **asked, controlnet_units=[unit], alwayson_scripts={})
    [newest] = http.get(f"{real.url}/api/images", params={"limit": 1}).json()["items"]
    request = newest["recipe"]["request"]
    assert request["control"][0]["image"] == request["inputs"][0]["sha256"]
    assert started.image.size == (64, 64)


@pytest.mark.parametrize(
    ("unit", "field"),
    [
        ({"model": "my-canny"}, "ControlNet.0.image"),
        ({"image": "no picture", "model": "my-canny"}, "ControlNet.0.image"),
        ({"model": "None"}, "ControlNet.0.model"),
        ({"model": "other"}, "control.0.model"),
        ({"module": "openpose_full", "model": "my-canny"}, "ControlNet.0.module"),
        ({"control_mode": "ControlNet is more important", "model": "my-canny"}, "ControlNet.0.control_mode"),
        ({"weight": 3, "model": "my-canny"}, "ControlNet.0.weight"),
    ],
)
def test_a_unit_that_cannot_be_is_refused_by_its_field(
    real: RunningService, http: requests.Session, unit: dict[str, Any], field: str
) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    picture = {} if field.endswith("0.image") else {"image": base64.b64encode(stream.getvalue()).decode()}
    args = {"args": [{**picture, **unit}]}
    answer = http.post(f"{real.url}/sdapi/v1/txt2img", json=ASKED | {"alwayson_scripts": {"ControlNet": args}})
    assert (answer.status_code, field in answer.json()["errors"]) == (422, True), answer.text


def test_loras_are_listed_and_stand_in_the_infotext(real: RunningService, http: requests.Session) -> None:
    [found] = http.get(f"{real.url}/sdapi/v1/loras").json()
    assert found == {
        "name": "ink",
        "alias": "ink",
        "path": "loras/ink.safetensors",
        "metadata": {"ss_output_name": "ink"},
    }
    [lora] = http.get(f"{real.url}/api/loras").json()["items"]
    assert (lora["name"], lora["models"], lora["refused"]) == ("ink", ["pocket", "flux"], None)
    body = ASKED | {"prompt": "an apple <lora:ink:0.5>", "steps": 2}
    info = json.loads(http.post(f"{real.url}/sdapi/v1/txt2img", json=body).json()["info"])
    [text] = info["infotexts"]
    assert text.startswith("an apple <lora:ink:0.5>\n")
    assert 'Lora hashes: "ink: ' in text


def test_an_unknown_lora_is_refused_by_every_door_with_the_known_ones(
    real: RunningService, http: requests.Session
) -> None:
    for path in ("api/jobs", "sdapi/v1/txt2img"):
        answer = http.post(f"{real.url}/{path}", json={"prompt": "an apple <lora:nothing:1>"})
        assert answer.status_code == 422
        assert "there is no LoRA 'nothing'; allowed is one of: ink" in answer.text


def test_what_a_model_cannot_do_is_said_in_the_result(real: RunningService, http: requests.Session) -> None:
    asked = ASKED | {"prompt": "a (red:1.3) apple " * 100, "model": "flux", "num_inference_steps": 2}
    job = native(real, http, **asked)
    notes = job["images"][0]["notes"]
    assert any(note.startswith("truncated: the prompt has ") for note in notes)
    assert any(note.startswith("weights have no effect with this model") for note in notes)
    assert "the negative prompt was not used: this model takes none" in notes
    recipe = inspect(job["png"]).recipe
    assert recipe is not None
    assert recipe["how"]["notes"] == notes
    body = asked | {"steps": 2, "override_settings": {"sd_model_checkpoint": "flux"}}
    comments = json.loads(http.post(f"{real.url}/sdapi/v1/txt2img", json=body).json()["info"])["comments"]
    assert comments.splitlines() == notes


def test_a_sampler_that_a_model_cannot_use_is_refused_before_it_waits(
    real: RunningService, http: requests.Session
) -> None:
    answer = http.post(f"{real.url}/api/jobs", json={"prompt": "x", "model": "flux", "scheduler": "DDIM"})
    assert answer.status_code == 422
    assert "allowed is one of: default, Euler a, Euler, DPM++ 2M, UniPC" in answer.text


# The example of the original document, with its missing comma, and what its advanced page adds.
AS_DOCUMENTED = """{
    "text":"the red squirrel dances in the moonlight, feet off the ground, backlit, photograph, golden hour",
    "num_images":"2"
    "seed":12345
}"""
ADVANCED = {"text": "a red squirrel", "num_images": "1", "seed": 12345, "condition_scale": "10.0", "gen_top_k": "9",
            "gen_top_p": "0.5", "temperature": "1.5"}  # fmt: skip


def test_a_model_that_draws_token_by_token_answers_the_playground_and_the_api(
    tmp_path: Path, http: requests.Session
) -> None:
    make_tiny_janus(tmp_path / "models" / "janus")
    size = {"width": 64, "height": 64, "num_inference_steps": TOKENS, "guidance_scale": 5.0}
    catalog_toml(tmp_path / "models", janus={"title": "J", "path": "janus", "pipeline": "JanusPipeline", **size})
    settings = {"ENGINE": "local", "DEVICE": "cpu", "MODELS_FOLDER": str(tmp_path / "models"), "DEFAULT_MODEL": "janus"}
    with RunningService(tmp_path / "service", **settings) as service:
        [model] = http.get(f"{service.url}/api/models").json()["items"]
        assert (model["kinds"], model["ranges"]["temperature"]) == (["draws"], {"low": 0, "high": 2, "multiple": 1})
        asked = [http.post(f"{service.url}/prompt", data=body) for body in (AS_DOCUMENTED, json.dumps(ADVANCED))]
        assert [answer.status_code for answer in asked] == [200, 200]
        wrong = http.post(f"{service.url}/prompt", json={"text": "x", "gen_top_k": 20_000})
        assert (wrong.status_code, "gen_top_k: 20000 is not allowed" in wrong.json()["error"]) == (422, True)
        refused = http.post(f"{service.url}/api/jobs", json={"prompt": "x", "temperature": 3.0, "top_p": 1.5}).json()
        assert "top_p" in json.dumps(refused)
        last = native(
            service, http, prompt="a red squirrel", seed=12345, guidance_scale=10, top_k=9, top_p=0.5, temperature=1.5
        )
        first, second = reversed(http.get(f"{service.url}/getlibrary").json()[1:])
        assert (len(first["generated_images"]), first["seed"], len(second["generated_images"])) == (2, 12345, 1)
        same = http.get(f"{service.url}/{second['generated_images'][0]}").content
        assert pixels(same, tmp_path) == pixels(last["png"], tmp_path)
        (tmp_path / "made.png").write_bytes(same)
        found = inspect(same)
        assert found.recipe is not None
        assert found.recipe["how"]["sampled"] == {
            "top_k": 9, "top_p": 0.5, "temperature": 1.5, "condition_scale": 10.0
        }  # fmt: skip
        assert {"top_k": 9, "top_p": 0.5, "temperature": 1.5}.items() <= found.recipe["request"].items()
