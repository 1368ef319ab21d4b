"""`webuiapi`, and the call sequences of Open WebUI, SillyTavern and LibreChat, against a running service."""

import base64
import io
import json
import threading
import time
from typing import Any

import pytest
import requests
import webuiapi
from PIL import Image

from app.client import ImageServiceClient
from app.picture.png import inspect
from app.service.automatic1111.generation import Callers
from tests.running import RunningService

TINY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@pytest.fixture
def api(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> webuiapi.WebUIApi:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return webuiapi.WebUIApi(host="127.0.0.1", port=service.port)


def test_webuiapi_makes_pictures_with_complete_infotexts(api: webuiapi.WebUIApi) -> None:
    made = api.txt2img(prompt="a cat", negative_prompt="dogs", seed=7, steps=3, width=64, height=64, batch_size=2)
    assert [image.size for image in made.images] == [(64, 64), (64, 64)]
    assert made.info["all_seeds"] == [7, 8]
    assert made.info["index_of_first_image"] == 0
    assert all("Sampler: Euler a" in text for text in made.info["infotexts"])
    assert "Seed: 8" in made.info["infotexts"][1]
    assert "a cat" in api.png_info(made.images[0]).info


def test_webuiapi_varies_a_seed_and_each_picture_is_made_again_from_its_file(
    api: webuiapi.WebUIApi, service: RunningService, http: requests.Session
) -> None:
    sides = {"steps": 3, "width": 64, "height": 64}
    made = api.txt2img(prompt="a cat", seed=7, subseed=100, subseed_strength=0.3, batch_size=2, **sides)
    assert (made.info["all_seeds"], made.info["all_subseeds"]) == ([7, 7], [100, 101])
    assert (made.info["subseed"], made.info["subseed_strength"]) == (100, 0.3)
    assert "Seed: 7, Variation seed: 101" in made.info["infotexts"][1]
    assert "Variation seed strength: 0.3" in made.info["infotexts"][1]
    with ImageServiceClient(service.url) as client:
        job = client.job(made.info["job_id"])
        files = [client.image_bytes(image.id) for image in job.images]
        again = inspect(files[1]).request
        assert again is not None
        assert (again["seed"], again["subseed"], again["num_images"]) == (7, 101, 1)
        [image] = client.generate(again).images
        one, other = (Image.open(io.BytesIO(data)).tobytes() for data in (files[1], client.image_bytes(image.id)))
        assert one == other
    sent = {"infotext": made.info["infotexts"][1]}
    by_text = http.post(f"{service.url}/sdapi/v1/txt2img", json=sent).json()
    assert Image.open(io.BytesIO(base64.b64decode(by_text["images"][0]))).tobytes() == one


def test_webuiapi_draws_enlarges_and_draws_again(api: webuiapi.WebUIApi, service: RunningService) -> None:
    sides = {"steps": 4, "width": 64, "height": 64, "denoising_strength": 0.5, "prompt": "a cat", "seed": 3}
    made = api.txt2img(enable_hr=True, hr_scale=2, hr_upscaler=webuiapi.HiResUpscaler.Latent, **sides)
    assert made.image.size == (128, 128)
    said = "Denoising strength: 0.5, Hires upscale: 2, Hires upscaler: Latent"
    assert all(part in made.info["infotexts"][0] for part in said.split(", "))
    assert made.info["extra_generation_params"]["Hires upscaler"] == "Latent"
    by_size = api.txt2img(enable_hr=True, hr_resize_x=96, hr_resize_y=96, hr_upscaler="Lanczos", **sides)
    assert by_size.image.size == (96, 96)
    with ImageServiceClient(service.url) as client:
        request = client.job(by_size.info["job_id"]).request
    assert (request.hr_scale, request.hr_upscaler, request.strength) == (1.5, "Lanczos", 0.5)
    assert api.txt2img(enable_hr=False, hr_scale=2, **sides).image.size == (64, 64)


def test_webuiapi_asks_its_lists_and_helpers(api: webuiapi.WebUIApi) -> None:
    assert "Euler a" in [item["name"] for item in api.get_samplers()]
    assert "karras" in [item["name"] for item in api.get_schedulers()]
    assert api.get_upscalers()[0]["name"] == "None"
    assert "pocket" in api.util_get_model_names()
    assert api.get_memory()["ram"]["total"] > 0
    assert api.get_scripts()["txt2img"] == []
    api.util_set_model("pocket")
    assert api.util_get_current_model() == "pocket"
    api.util_wait_for_ready()
    assert api.interrupt() == {}
    assert api.skip() is None
    api.refresh_checkpoints()


def test_webuiapi_scales_a_picture_and_its_texts_stay(api: webuiapi.WebUIApi) -> None:
    made = api.txt2img(prompt="a cat", seed=1, steps=2, width=64, height=64)
    larger = api.extra_single_image(image=made.image, upscaler_1="Lanczos", upscaling_resize=2).image
    assert larger.size == (128, 128)


@pytest.mark.parametrize(
    ("asked", "sampler", "kind"),
    [
        ({"sampler_name": "DPM++ 2M Karras"}, "DPM++ 2M", "Karras"),
        ({"sampler_name": "DPM++ 2M", "scheduler": "karras"}, "DPM++ 2M", "Karras"),
        ({"sampler_name": "DPM++ 2M", "scheduler": "Karras"}, "DPM++ 2M", "Karras"),
        ({"sampler_index": "k_euler"}, "Euler", None),
        ({"sampler_name": "Euler", "scheduler": "automatic"}, "Euler", None),
        ({}, "Automatic", None),
    ],
)
def test_samplers_and_schedulers_go_by_all_their_names(
    service: RunningService, http: requests.Session, asked: dict[str, Any], sampler: str, kind: str | None
) -> None:
    body = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, **asked}
    info = json.loads(http.post(f"{service.url}/sdapi/v1/txt2img", json=body).json()["info"])
    assert info["sampler_name"] == sampler
    assert info["extra_generation_params"].get("Schedule type") == kind


def test_an_unknown_sampler_is_a1111s_404(service: RunningService, http: requests.Session) -> None:
    answer = http.post(f"{service.url}/sdapi/v1/txt2img", json={"prompt": "x", "sampler_name": "magic"})
    assert (answer.status_code, answer.json()["detail"]) == (404, "Sampler not found")


def test_an_infotext_fills_what_was_not_given(service: RunningService, http: requests.Session) -> None:
    text = "a dog\nNegative prompt: cats\nSteps: 3, Sampler: Euler, CFG scale: 3.5, Seed: 9, Size: 64x64"
    answer = http.post(f"{service.url}/sdapi/v1/txt2img", json={"infotext": text, "seed": 4}).json()
    info = json.loads(answer["info"])
    assert (info["prompt"], info["negative_prompt"], info["seed"], info["steps"]) == ("a dog", "cats", 4, 3)


SCRIPT = {"ADetailer": {"args": [True, {"ad_model": "face_yolov8n.pt"}]}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"hr_upscaler": "R-ESRGAN 4x+", "enable_hr": True},
        {"hr_scale": 5, "enable_hr": True},
        {"hr_resize_x": 128, "enable_hr": True, "hr_resize_y": 256, "width": 64, "height": 64},
        {"hr_sampler_name": "Euler"},
        {"script_name": "x"},
        {"steps": 0},
        {"width": 65},
        {"alwayson_scripts": SCRIPT},
        {"alwayson_scripts": {"ControlNet": {"args": [{"enabled": True}]}}},
        {"clip_skip": 13},
        {"override_settings": {"CLIP_stop_at_last_layers": "2"}},
        {"override_settings": {"sd_vae": "other.safetensors"}},
        {"override_settings": {"token_merging_ratio": 0.5}},
        {"seed_resize_from_w": 512},
        {"eta": 0.5},
        {"s_churn": 3},
        {"s_noise": 1.2},
        {"scheduler": "align_your_steps", "sampler_name": "Euler"},
        {"scheduler": "karras"},
        {"scheduler": 5},
        {"refiner_checkpoint": "sd_xl_refiner"},
        {"disable_extra_networks": True},
        {"prompt": []},
        {"batch_size": 11},
        {"batch_size": 2**40},
        {"force_task_id": []},
        {"force_task_id": "x" * 65},
    ],
)
def test_what_is_not_available_is_refused_by_name(
    service: RunningService, http: requests.Session, wrong: dict[str, Any]
) -> None:
    answer = http.post(f"{service.url}/sdapi/v1/txt2img", json={"prompt": "x", **wrong})
    assert answer.status_code == 422
    field, value = next(iter(wrong.items()))
    assert (next(iter(value)) if field == "override_settings" else field) in answer.json()["errors"]


@pytest.mark.parametrize("address", ["txt2img", "img2img"])
def test_a_plot_of_grids_is_refused_with_what_to_use_instead(
    service: RunningService, http: requests.Session, address: str
) -> None:
    body = {"prompt": "x", "script_name": "x/y/z plot", "script_args": [1, "1-3"], "init_images": []}
    answer = http.post(f"{service.url}/sdapi/v1/{address}", json=body)
    assert answer.status_code == 422
    assert "script_name" in answer.json()["errors"]
    assert "POST /api/grids" in answer.json()["errors"]


@pytest.mark.parametrize(
    "harmless",
    [
        {"refiner_checkpoint": "None", "refiner_switch_at": 0.8},
        {"alwayson_scripts": {"ADetailer": {"args": [False]}, "ControlNet": {"args": []}}},
        {"alwayson_scripts": {"ControlNet": {"args": [{"enabled": False, "module": "none"}]}}},
        {"override_settings": {"sd_vae": "Automatic", "samples_format": "png", "CLIP_stop_at_last_layers": 1}},
        {"script_name": "None", "styles": [], "eta": 1.0, "s_noise": 1.0, "s_churn": 0.0},
    ],
)
def test_a_feature_that_is_switched_off_is_no_obstacle(
    service: RunningService, http: requests.Session, harmless: dict[str, Any]
) -> None:
    body = {"prompt": "x", "steps": 2, "width": 64, "height": 64, **harmless}
    assert len(http.post(f"{service.url}/sdapi/v1/txt2img", json=body).json()["images"]) == 1


def test_an_eta_that_a_sampler_does_not_take_is_said(service: RunningService, http: requests.Session) -> None:
    body = {"prompt": "x", "steps": 2, "width": 64, "height": 64, "eta": 1.0, "sampler_name": "DDIM"}
    info = json.loads(http.post(f"{service.url}/sdapi/v1/txt2img", json=body).json()["info"])
    assert info["comments"] == "eta 1.0 was not used: DDIM ran with eta 0."


@pytest.mark.parametrize(
    "wrong",
    [
        {"gfpgan_visibility": 1},
        {"codeformer_visibility": 0.5},
        {"upscaler_2": "Lanczos"},
        {"upscaler_1": "ESRGAN"},
        {"upscaling_resize": 1e9},
    ],
)
def test_extras_that_are_not_available_are_refused_by_name(
    service: RunningService, http: requests.Session, api: webuiapi.WebUIApi, wrong: dict[str, Any]
) -> None:
    png = base64.b64encode(TINY_PNG).decode()
    answer = http.post(f"{service.url}/sdapi/v1/extra-single-image", json={"image": png, **wrong})
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.json()["errors"]


def test_a_batch_of_extras_has_an_end(service: RunningService, http: requests.Session) -> None:
    item = {"data": base64.b64encode(TINY_PNG).decode(), "name": "x"}
    address = f"{service.url}/sdapi/v1/extra-batch-images"
    assert len(http.post(address, json={"imageList": [item] * 16}).json()["images"]) == 16
    refused = http.post(address, json={"imageList": [item] * 17})
    assert (refused.status_code, "imageList" in refused.text) == (422, True)
    large = {"upscaler_1": "Nearest", "upscaling_resize": 4000, "imageList": [item] * 3}
    refused = http.post(address, json=large)
    assert (refused.status_code, "pixels in all" in refused.text) == (422, True)


def test_a_model_that_is_not_installed_is_neither_offered_nor_silently_replaced(
    service: RunningService, http: requests.Session
) -> None:
    base = f"{service.url}/sdapi/v1"
    assert [model["title"] for model in http.get(f"{base}/sd-models").json()] == ["pocket"]
    refused = http.post(f"{base}/options", json={"sd_model_checkpoint": "sdxl-turbo"})
    assert refused.status_code == 409
    assert "Installed are: pocket" in refused.json()["detail"]
    body = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64}  # Open WebUI goes on with this one
    unasked = http.post(f"{base}/txt2img", json=body)
    assert unasked.status_code == 409
    assert "sdxl-turbo was asked for" in unasked.json()["detail"]
    assert http.post(f"{base}/options", json={"sd_model_checkpoint": "pocket"}).status_code == 200
    assert http.post(f"{base}/txt2img", json=body).status_code == 200
    named = body | {"override_settings": {"sd_model_checkpoint": "sdxl-turbo"}}
    assert http.post(f"{base}/txt2img", json=named).status_code == 409


def test_callers_and_their_task_ids_are_forgotten_in_the_end() -> None:
    callers = Callers()
    for number in range(3000):
        callers.started(f"caller {number}", f"job {number}", f"task {number}")
        callers.asked_in_vain(f"caller {number}", "x")
    assert callers.jobs("caller 2999") == ["job 2999"]
    assert callers.job_of_task("task 2999") == "job 2999"
    assert callers.jobs("caller 1") == []
    assert callers.job_of_task("task 1") is None
    assert callers.in_vain("caller 1") is None


def test_open_webui_switches_the_model_and_generates(service: RunningService, http: requests.Session) -> None:
    base = f"{service.url}/sdapi/v1"
    headers = {"authorization": ""}
    options = http.get(f"{base}/options", headers=headers).json()
    assert [model["title"] for model in http.get(f"{base}/sd-models", headers=headers).json()]
    options["sd_model_checkpoint"] = "pocket"
    options["some_unknown_option"] = {"x": 1}
    assert http.post(f"{base}/options", json=options, headers=headers).json() is None
    body = {"prompt": "a cat", "batch_size": 1, "width": 64, "height": 64, "steps": 2}
    made = http.post(f"{base}/txt2img", json=body, headers=headers).json()
    assert inspect(base64.b64decode(made["images"][0])).kind == "atelier"
    assert isinstance(made["info"], str)


def test_sillytavern_starts_generates_and_aborts(service: RunningService, http: requests.Session) -> None:
    base = f"{service.url}/sdapi/v1"
    for name in ("options", "upscalers", "latent-upscale-modes", "sd-vae", "sd-modules", "samplers", "schedulers",
                 "sd-models", "loras", "embeddings", "prompt-styles", "cmd-flags"):  # fmt: skip
        assert http.get(f"{base}/{name}").status_code == 200, name
    body = {
        "url": service.url, "auth": "", "prompt": "!slow a cat", "negative_prompt": "", "sampler_name": "Euler a",
        "scheduler": "automatic", "steps": 30, "cfg_scale": 7, "width": 64, "height": 64, "restore_faces": False,
        "enable_hr": False, "hr_upscaler": "Latent", "hr_scale": 2, "denoising_strength": 0.7, "seed": -1,
        "hr_second_pass_steps": 0, "override_settings": {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic"},
        "clip_skip": 1, "save_images": True, "send_images": True, "do_not_save_grid": False,
    }  # fmt: skip
    answers: list[requests.Response] = []
    with requests.Session() as second:
        second.trust_env = False
        call = threading.Thread(target=lambda: answers.append(second.post(f"{base}/txt2img", json=body)))
        call.start()
        deadline = time.monotonic() + 20
        while http.get(f"{base}/progress").json()["state"]["sampling_step"] < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        seen = http.get(f"{base}/progress").json()
        assert 0 < seen["progress"] < 1
        assert seen["state"]["job_count"] == 1
        assert http.post(f"{base}/interrupt").json() == {}
        call.join(20)
    assert answers[0].status_code == 200
    assert answers[0].json()["images"] == []
    idle = http.get(f"{base}/progress").json()
    assert (idle["progress"], idle["state"]["job_count"]) == (0, 0)


def test_clip_skip_counts_as_a1111_does(service: RunningService, http: requests.Session) -> None:
    body = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64}
    made = http.post(
        f"{service.url}/sdapi/v1/txt2img", json=body | {"override_settings": {"CLIP_stop_at_last_layers": 2}}
    )
    info = json.loads(made.json()["info"])
    assert info["clip_skip"] == 2
    assert "Clip skip: 2" in info["infotexts"][0]
    assert http.get(f"{service.url}/api/jobs/{info['job_id']}").json()["request"]["clip_skip"] == 1
    refused = http.post(
        f"{service.url}/sdapi/v1/txt2img", json=body | {"override_settings": {"CLIP_stop_at_last_layers": 0}}
    )
    assert refused.status_code == 422
    assert "from 1 to 12" in refused.text


def test_interrupt_does_not_hit_another_callers_job(service: RunningService, http: requests.Session) -> None:
    job = http.post(f"{service.url}/api/jobs", json={"prompt": "!slow a dog", "width": 64, "height": 64}).json()
    http.post(f"{service.url}/sdapi/v1/interrupt")
    deadline = time.monotonic() + 30
    while (state := http.get(f"{service.url}/api/jobs/{job['id']}").json()["state"]) in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state == "succeeded"


def test_progress_of_a_task_id_that_the_client_chose(service: RunningService, http: requests.Session) -> None:
    body = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "force_task_id": "task(mine)"}
    http.post(f"{service.url}/sdapi/v1/txt2img", json=body)
    told = http.post(f"{service.url}/internal/progress", json={"id_task": "task(mine)"}).json()
    assert (told["active"], told["queued"], told["completed"]) == (False, False, True)
    unknown = http.post(f"{service.url}/internal/progress", json={"id_task": "task(other)"}).json()
    assert unknown["completed"] is False
    assert http.get(f"{service.url}/internal/ping").json() == {}
