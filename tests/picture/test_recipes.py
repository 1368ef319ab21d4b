"""Recipes of ComfyUI and InvokeAI, in the very form in which they write them."""

import json
from typing import Any

import pytest

from app.core.fitting import fit, model_named
from app.core.models import ModelInfo, Span
from app.core.parameters import bounds
from app.core.schema import GenerationRequest
from app.picture import infotext, png
from tests.picture.test_inspect import a_file

LINK = list[Any]


def a_graph(**changes: Any) -> dict[str, Any]:
    """What ComfyUI's first workflow writes under `prompt`."""
    sampler = {
        "seed": 156680208700286, "steps": 20, "cfg": 8.0, "sampler_name": "euler_ancestral", "scheduler": "karras",
        "denoise": 1.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
    }  # fmt: skip
    return {
        "3": {"class_type": "KSampler", "inputs": sampler | changes, "_meta": {"title": "KSampler"}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "SD1.5/v1-5-pruned-emaonly.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 768, "height": 512, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass bottle, galaxy inside", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    }


WORDS = {"prompt": "a glass bottle, galaxy inside", "negative_prompt": "text, watermark"}
FIRST = WORDS | {
    "num_inference_steps": 20, "guidance_scale": 8.0, "width": 768, "height": 512, "scheduler": "Euler a Karras",
}  # fmt: skip


def seen(graph: dict[str, Any]) -> Any:
    return png.inspect(a_file(prompt=json.dumps(graph), workflow="{}"))


def test_the_first_workflow_of_comfyui_is_read_whole() -> None:
    found = seen(a_graph(seed=5))
    assert found.kind == "comfyui"
    assert found.request == FIRST | {"seed": 5}
    assert found.model == "SD1.5/v1-5-pruned-emaonly.safetensors"
    assert found.unusable == {}


def test_a_seed_that_no_request_can_hold_is_told_and_not_bent() -> None:
    found = seen(a_graph())
    assert found.request == FIRST
    assert found.unusable == {"seed": "156680208700286"}


def test_values_and_words_are_found_through_other_nodes_loras_and_controlnets() -> None:
    graph = a_graph(seed=["20", 0], steps=["21", 0], positive=["23", 0], negative=["23", 1], model=["22", 0])
    graph["20"] = {"class_type": "Seed (rgthree)", "inputs": {"seed": 77}}
    graph["21"] = {"class_type": "PrimitiveInt", "inputs": {"value": 12}}
    graph["22"] = {"class_type": "LoraLoader", "inputs": {"lora_name": "x.safetensors", "model": ["4", 0]}}
    net = {"positive": ["6", 0], "negative": ["7", 0], "control_net": ["30", 0], "image": ["31", 0], "strength": 0.8}
    graph["23"] = {"class_type": "ControlNetApplyAdvanced", "inputs": net}
    graph["6"]["inputs"]["text"] = ["24", 0]
    graph["24"] = {"class_type": "String Literal", "inputs": {"string": "a blue vase"}}
    found = seen(graph)
    assert found.request["prompt"] == "a blue vase"
    assert found.request["negative_prompt"] == "text, watermark"
    assert (found.request["seed"], found.request["num_inference_steps"]) == (77, 12)
    assert found.model.endswith("v1-5-pruned-emaonly.safetensors")


def test_of_two_passes_the_first_is_read() -> None:
    graph = a_graph(seed=5)
    again = graph["3"]["inputs"] | {"seed": 9, "steps": 10, "denoise": 0.5, "latent_image": ["10", 0]}
    graph["10"] = {"class_type": "LatentUpscale", "inputs": {"samples": ["3", 0], "width": 1536, "height": 1024}}
    graph["11"] = {"class_type": "KSampler", "inputs": again}
    graph["8"]["inputs"]["samples"] = ["11", 0]
    assert seen(graph).request == FIRST | {"seed": 5}


def test_a_sampler_in_pieces_as_flux_has_it_is_read() -> None:
    found = seen(
        {
            "5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 576, "batch_size": 1}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox in the snow", "clip": ["11", 0]}},
            "8": {"class_type": "VAEDecode", "inputs": {"samples": ["13", 0], "vae": ["10", 0]}},
            "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "f", "images": ["8", 0]}},
            "12": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
            "13": {
                "class_type": "SamplerCustomAdvanced",
                "inputs": {
                    "noise": ["25", 0], "guider": ["22", 0], "sampler": ["16", 0], "sigmas": ["17", 0],
                    "latent_image": ["5", 0],
                },
            },
            "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
            "17": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 25, "model": ["12", 0]}},
            "22": {"class_type": "BasicGuider", "inputs": {"model": ["12", 0], "conditioning": ["26", 0]}},
            "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 219670}},
            "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
        }
    )  # fmt: skip
    assert found.request == {
        "prompt": "a fox in the snow", "num_inference_steps": 25, "guidance_scale": 3.5, "width": 1024, "height": 576,
        "seed": 219670, "scheduler": "Euler",
    }  # fmt: skip
    assert found.model == "flux1-dev.safetensors"


def test_a_file_that_holds_only_the_drawing_of_the_graph_is_read_too() -> None:
    nodes = [
        {"id": 7, "type": "CLIPTextEncode", "mode": 0, "inputs": [], "widgets_values": ["text, watermark"]},
        {"id": 6, "type": "CLIPTextEncode", "inputs": [], "widgets_values": [WORDS["prompt"]]},
        {"id": 5, "type": "EmptyLatentImage", "mode": 0, "inputs": [], "widgets_values": [768, 512, 1]},
        {"id": 4, "type": "CheckpointLoaderSimple", "mode": 0, "widgets_values": ["v1-5-pruned-emaonly.safetensors"]},
        {"id": 3, "type": "KSampler", "mode": 0, "inputs": [
            {"name": "model", "link": 1}, {"name": "positive", "link": 4}, {"name": "negative", "link": 6},
            {"name": "latent_image", "link": 2},
        ], "widgets_values": [5, "randomize", 20, 8, "euler_ancestral", "karras", 1]},
        {"id": 8, "type": "VAEDecode", "mode": 0, "inputs": [{"name": "samples", "link": 7}]},
        {"id": 9, "type": "SaveImage", "mode": 0, "inputs": [{"name": "images", "link": 9}]},
    ]  # fmt: skip
    links = [
        [1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"], [4, 6, 0, 3, 1, "CONDITIONING"],
        [5, 4, 1, 7, 0, "CLIP"], [6, 7, 0, 3, 2, "CONDITIONING"], [7, 3, 0, 8, 0, "LATENT"], [9, 8, 0, 9, 0, "IMAGE"],
    ]  # fmt: skip
    found = png.inspect(a_file(workflow=json.dumps({"nodes": nodes, "links": links, "version": 0.4})))
    assert found.request == FIRST | {"seed": 5}
    assert found.model == "v1-5-pruned-emaonly.safetensors"


@pytest.mark.parametrize(
    "graph",
    [
        {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}},
        {"1": {"class_type": "KSampler", "inputs": {"steps": 1, "seed": 1, "positive": ["1", 0], "model": ["1", 0]}}},
        {"1": {"class_type": "KSampler", "inputs": {"steps": [], "seed": ["1", 0], "positive": ["2", 0]}},
         "2": {"class_type": "X", "inputs": {"text": ["1", 0], "conditioning": ["2", 0]}}},
        {"1": {"class_type": ["SaveImage"], "inputs": 5}},
        {str(n): {"class_type": "X", "inputs": {"a": [str(n + 1), 0], "b": [str(n + 1), 0]}} for n in range(5000)},
    ],
    ids=["no sampler", "a ring", "rings everywhere", "odd types", "a long chain"],
)  # fmt: skip
def test_no_graph_however_odd_makes_the_reader_fail_or_run_for_ever(graph: dict[str, Any]) -> None:
    assert seen(graph).kind == "comfyui"


INVOKE_5 = {
    "generation_mode": "sdxl_txt2img", "positive_prompt": "isometric cozy cabin", "negative_prompt": "blurry",
    "width": 1024, "height": 768, "seed": 2718281828, "rand_device": "cpu", "cfg_scale": 6.5, "steps": 28,
    "scheduler": "dpmpp_2m_k", "clip_skip": 0, "app_version": "5.4.2",
    "model": {"key": "0f8a", "hash": "blake3:00", "name": "Juggernaut XL v9", "base": "sdxl", "type": "main"},
}  # fmt: skip
INVOKE_2 = {
    "model": "stable diffusion", "model_weights": "stable-diffusion-1.5", "model_hash": "cc6c", "app_version": "2.3.5",
    "app_id": "invoke-ai/InvokeAI",
    "image": {
        "prompt": [{"prompt": "a lonely robot [blurry, text]", "weight": 1.0}], "steps": 50, "cfg_scale": 7.5,
        "threshold": 0, "perlin": 0, "height": 512, "width": 640, "seed": 1618033988, "seamless": False,
        "hires_fix": False, "type": "txt2img", "postprocessing": None, "sampler": "k_euler_a", "variations": [],
    },
}  # fmt: skip
ROBOT = {
    "prompt": "a lonely robot", "negative_prompt": "blurry, text", "num_inference_steps": 50, "guidance_scale": 7.5,
    "width": 640, "height": 512, "seed": 1618033988, "scheduler": "Euler a",
}  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "request_", "model"),
    [
        (
            {"invokeai_metadata": json.dumps(INVOKE_5), "invokeai_graph": "{}"},
            {
                "prompt": "isometric cozy cabin", "negative_prompt": "blurry", "num_inference_steps": 28,
                "guidance_scale": 6.5, "width": 1024, "height": 768, "seed": 2718281828,
                "scheduler": "DPM++ 2M Karras",
            },
            "Juggernaut XL v9",
        ),
        ({"sd-metadata": json.dumps(INVOKE_2)}, ROBOT, "stable-diffusion-1.5"),
        (
            {"Dream": '"a lonely robot [blurry, text]" -s 50 -S 1618033988 -W 640 -H 512 -C 7.5 -A k_euler_a'},
            ROBOT,
            "",
        ),
        ({"Dream": '"a lonely robot [blurry, text]" -s50 -S1618033988 -W640 -H512 -C7.5 -Ak_euler_a'}, ROBOT, ""),
    ],
    ids=["5", "2", "1", "1, joined"],
)  # fmt: skip
def test_every_generation_of_invokeai_is_read(texts: dict[str, str], request_: dict[str, Any], model: str) -> None:
    found = png.inspect(a_file(**texts))
    assert (found.kind, found.request, found.model) == ("invokeai", request_, model)


def test_another_programs_recipe_is_told_to_a1111s_clients_in_their_own_form() -> None:
    said = infotext.parse(seen(a_graph(seed=5)).parameters)
    assert (said["Prompt"], said["Negative prompt"]) == tuple(WORDS.values())
    assert (said["Steps"], said["Sampler"], said["Seed"]) == ("20", "Euler a Karras", "5")
    assert (said["Size-1"], said["Size-2"], said["CFG scale"]) == ("768", "512", "8.0")
    assert said["Model"].endswith("v1-5-pruned-emaonly.safetensors")


def a_model(key: str, *, installed: bool = True, default: bool = False) -> ModelInfo:
    ranges = {
        "num_inference_steps": Span(low=1, high=15), "guidance_scale": Span(low=0, high=20),
        "width": Span(low=64, high=512, multiple=8), "height": Span(low=64, high=512, multiple=8),
    }  # fmt: skip
    return ModelInfo(
        key=key, title=key.title(), pipeline="StableDiffusionPipeline", repository=f"owner/{key}", installed=installed,
        default=default, ranges=ranges, schedulers=("Euler", "Euler a"), width=256, height=256,
        size_range=Span(low=64, high=512, multiple=8),
    )  # fmt: skip


def test_a_recipe_of_our_own_fits_as_it_is_with_what_it_leaves_open() -> None:
    model = a_model("pocket", default=True)
    spans = {name: Span(low=low, high=high or 1e9) for name, (low, high) in bounds(GenerationRequest).items()}
    every = model.model_copy(update={"ranges": spans | model.ranges})
    asked = GenerationRequest(prompt="a cup", model="pocket", num_inference_steps=4, width=256, height=256)
    suited = fit(asked.model_dump(mode="json"), {}, "", [every])
    assert suited is not None
    assert suited.differences == ()
    assert suited.request["strength"] is None


def test_what_cannot_be_had_here_is_listed_and_the_rest_stays() -> None:
    found = seen(a_graph())
    fitted = fit(found.request, found.unusable, found.model, [a_model("pocket", default=True)])
    assert fitted
    assert {each.name: (each.asked, each.fitted) for each in fitted.differences} == {
        "model": (found.model, "pocket"), "num_inference_steps": ("20", 15), "scheduler": ("Euler a Karras", "Euler a"),
        "seed": ("156680208700286", None), "width": ("768", 312), "height": ("512", 208),
    }  # fmt: skip
    assert fitted.request == WORDS | {
        "model": "pocket", "num_inference_steps": 15, "guidance_scale": 8.0, "scheduler": "Euler a", "width": 312,
        "height": 208,
    }  # fmt: skip
    assert fit(fitted.request, {}, "", [a_model("pocket", default=True)]).differences == ()
    assert fit(found.request, {}, "", []) is None


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("Latent (bicubic)", "Latent"), ("R-ESRGAN 4x+", "Lanczos"), ("swin2sr.safetensors", "swin2sr"),
        ("swin2sr", "swin2sr"), ("Lanczos", "Lanczos"),
    ],
)  # fmt: skip
def test_the_upscaler_of_a_hires_fix_is_one_that_is_here(said: str, taken: str) -> None:
    upscaler = a_model("swin2sr").model_copy(update={"tasks": ("upscale",)})
    fitted = fit({"prompt": "x", "hr_upscaler": said}, {}, "", [a_model("pocket", default=True), upscaler])
    assert fitted is not None
    assert fitted.request["hr_upscaler"] == taken
    assert [each.name for each in fitted.differences] == ([] if said == taken else ["hr_upscaler"])


@pytest.mark.parametrize(
    "name", ["Real-Model", "checkpoints\\real_model.safetensors", "owner/real-model", "real model"]
)
def test_a_model_is_known_by_any_of_its_names_and_used_if_it_is_here(name: str) -> None:
    models = [a_model("pocket", default=True), a_model("real-model")]
    assert model_named(name, models) is models[1]
    assert fit({"prompt": "x"}, {}, name, models).request["model"] == "real-model"
    absent = [a_model("pocket", default=True), a_model("real-model", installed=False)]
    assert fit({"prompt": "x"}, {}, name, absent).request["model"] == "pocket"
    assert model_named("another", models) is None
    assert model_named("", models) is None
