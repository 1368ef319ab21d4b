"""The families of diffusers that draw, a row each. Names and defaults are those of diffusers 0.42."""

from dataclasses import replace
from typing import Any

from app.core.control import MAX_UNITS
from app.core.task import Task
from app.families.family import FLOW_SAMPLERS, IP_ADAPTER, T2I_ADAPTER, Family, Guidance, SmallDecoder

# What LoRA files say they were trained for: see `weights.loras.lora_family`.
LORA_SD1, LORA_SD2, LORA_SDXL = "Stable Diffusion 1", "Stable Diffusion 2", "Stable Diffusion XL"
LORA_FLUX, LORA_QWEN = "FLUX", "Qwen-Image"
# The scale is an input of the network here, and there is no second pass that a negative prompt could steer.
EMBEDDED = Guidance(negative=False)
# Of the adapters of a UNet as many as a request may have units.
OF_UNETS = {T2I_ADAPTER: MAX_UNITS, IP_ADAPTER: MAX_UNITS}
TAESD = SmallDecoder("taesd", "madebyollin/taesd", 9_790_000)
TAESDXL = SmallDecoder("taesdxl", "madebyollin/taesdxl", 9_790_000)
TAESD3 = SmallDecoder("taesd3", "madebyollin/taesd3", 9_850_000)
TAEF1 = SmallDecoder("taef1", "madebyollin/taef1", 9_850_000)


def _by_words(text: str) -> dict[Task, str]:
    """Of a family for which diffusers has one class: see `diffusion.noised`."""
    return _tasks(text, image=text, inpaint=text)


def _tasks(text: str, *, image: str = "", inpaint: str = "", edit: str = "") -> dict[Task, str]:
    named = {Task.TEXT: text, Task.IMAGE: image, Task.INPAINT: inpaint, Task.EDIT: edit}
    return {task: name for task, name in named.items() if name}


STABLE_DIFFUSION = Family(
    "Stable Diffusion",
    _tasks(
        "StableDiffusionPipeline",
        image="StableDiffusionImg2ImgPipeline",
        inpaint="StableDiffusionInpaintPipeline",
    ),
    {
        "ControlNetModel": _tasks(
            "StableDiffusionControlNetPipeline",
            image="StableDiffusionControlNetImg2ImgPipeline",
            inpaint="StableDiffusionControlNetInpaintPipeline",
        ),
    },
    adapters=OF_UNETS,
    clip_encoders=1,
    loras=(LORA_SD1, LORA_SD2),
    encoder_parameters=123_000_000,
    convolves=True,
    openvino=True,
    small_decoder=TAESD,
)
STABLE_DIFFUSION_XL = Family(
    "Stable Diffusion XL",
    _tasks(
        "StableDiffusionXLPipeline",
        image="StableDiffusionXLImg2ImgPipeline",
        inpaint="StableDiffusionXLInpaintPipeline",
    ),
    {
        "ControlNetModel": _tasks(
            "StableDiffusionXLControlNetPipeline",
            image="StableDiffusionXLControlNetImg2ImgPipeline",
            inpaint="StableDiffusionXLControlNetInpaintPipeline",
        ),
    },
    adapters=OF_UNETS,
    num_inference_steps=30,
    guidance_scale=7.0,
    side=1024,
    clip_encoders=2,
    loras=(LORA_SDXL,),
    encoder_parameters=817_000_000,
    convolves=True,
    openvino=True,
    small_decoder=TAESDXL,
)
# Checkpoints whose UNet sees the mask and what is around it: nine channels instead of four.
STABLE_DIFFUSION_INPAINTING = replace(
    STABLE_DIFFUSION,
    title="Stable Diffusion inpainting",
    tasks={Task.INPAINT: "StableDiffusionInpaintPipeline"},
    controls={},
    adapters={},
    openvino=False,
)
STABLE_DIFFUSION_XL_INPAINTING = replace(
    STABLE_DIFFUSION_XL,
    title="Stable Diffusion XL inpainting",
    tasks={Task.INPAINT: "StableDiffusionXLInpaintPipeline"},
    controls={},
    adapters={},
    openvino=False,
)
LATENT_CONSISTENCY = Family(
    "Latent Consistency",
    _tasks("LatentConsistencyModelPipeline", image="LatentConsistencyModelImg2ImgPipeline"),
    samplers=("LCM",),  # the others cannot skip steps of the schedule that it was distilled from
    guidance=EMBEDDED,
    clip_encoders=1,
    loras=(LORA_SD1, LORA_SD2),
    convolves=True,
)
STABLE_DIFFUSION_3 = Family(
    "Stable Diffusion 3",
    _tasks(
        "StableDiffusion3Pipeline",
        image="StableDiffusion3Img2ImgPipeline",
        inpaint="StableDiffusion3InpaintPipeline",
    ),
    {"SD3ControlNetModel": _tasks("StableDiffusion3ControlNetPipeline")},
    adapters={IP_ADAPTER: 1},
    num_inference_steps=28,
    guidance_scale=4.5,
    side=1024,
    samplers=(*FLOW_SAMPLERS, "Heun", "DPM++ 2M", "UniPC"),
    encoder_parameters=5_580_000_000,
    openvino=True,
    small_decoder=TAESD3,
)
# What FLUX.1 and FLUX.1 Kontext have in common.
_FLUX_1: dict[str, Any] = {
    "num_inference_steps": 28,
    "side": 1024,
    "samplers": (*FLOW_SAMPLERS, "DPM++ 2M", "UniPC"),
    "guidance": EMBEDDED,
    "loras": (LORA_FLUX,),
    "encoder_parameters": 4_885_000_000,
}
FLUX = Family(
    "FLUX.1",
    _tasks(
        "FluxPipeline",
        image="FluxImg2ImgPipeline",
        inpaint="FluxInpaintPipeline",
    ),
    {
        "FluxControlNetModel": _tasks(
            "FluxControlNetPipeline",
            image="FluxControlNetImg2ImgPipeline",
            inpaint="FluxControlNetInpaintPipeline",
        ),
    },
    adapters={IP_ADAPTER: MAX_UNITS},
    beside_controls=(Task.TEXT,),
    guidance_scale=3.5,
    **_FLUX_1,
    openvino=True,
    small_decoder=TAEF1,
)
# What both kinds of Qwen-Image-Edit have in common; its text encoder looks at the pictures, too.
_QWEN_EDIT: dict[str, Any] = {
    "num_inference_steps": 40,
    "guidance_scale": 4.0,
    "side": 1024,
    "samplers": (*FLOW_SAMPLERS, "UniPC"),
    "guidance": Guidance("true_cfg_scale", empty=" "),
    "prompt_tokens": 1024,
    "loras": (LORA_QWEN,),
    "encoder_parameters": 8_292_000_000,
    "vae_parameters": 127_000_000,
    "video_vae": True,
    "alone": True,
}
FAMILIES = (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_INPAINTING,
    STABLE_DIFFUSION_XL,
    STABLE_DIFFUSION_XL_INPAINTING,
    LATENT_CONSISTENCY,
    Family(
        "InstructPix2Pix",
        {Task.EDIT: "StableDiffusionInstructPix2PixPipeline"},
        clip_encoders=1,
        loras=(LORA_SD1,),
        encoder_parameters=123_000_000,
        convolves=True,
    ),
    STABLE_DIFFUSION_3,
    FLUX,
    Family(
        "FLUX.1 Kontext",
        _tasks("FluxKontextPipeline", edit="FluxKontextPipeline"),
        guidance_scale=2.5,
        **_FLUX_1,
    ),
    Family(
        "FLUX.2",
        _tasks("Flux2Pipeline", edit="Flux2Pipeline"),
        num_inference_steps=28,
        guidance_scale=4.0,
        side=1024,
        samplers=FLOW_SAMPLERS,
        guidance=EMBEDDED,
        encoder_parameters=24_011_000_000,
        references=9,
    ),
    Family(
        "FLUX.2 klein",
        _tasks("Flux2KleinPipeline", inpaint="Flux2KleinInpaintPipeline", edit="Flux2KleinPipeline"),
        num_inference_steps=4,
        guidance_scale=1.0,
        side=1024,
        samplers=FLOW_SAMPLERS,
        guidance=Guidance(negative=False),  # guides against the empty prompt only
        chat_template={"enable_thinking": False},
        encoder_parameters=4_022_000_000,
        references=3,
    ),
    Family(
        "Qwen-Image",
        _tasks(
            "QwenImagePipeline",
            image="QwenImageImg2ImgPipeline",
            inpaint="QwenImageInpaintPipeline",
        ),
        {"QwenImageControlNetModel": _tasks("QwenImageControlNetPipeline")},
        num_inference_steps=50,
        guidance_scale=4.0,
        side=1024,
        samplers=(*FLOW_SAMPLERS, "UniPC"),
        # Its `guidance_scale` is for distilled models only; without a negative prompt it silently does not guide.
        guidance=Guidance("true_cfg_scale", empty=" "),
        prompt_tokens=1024,
        loras=(LORA_QWEN,),
        encoder_parameters=8_292_000_000,
        vae_parameters=127_000_000,
        video_vae=True,
    ),
    Family("Qwen-Image-Edit", {Task.EDIT: "QwenImageEditPipeline"}, **_QWEN_EDIT),
    Family("Qwen-Image-Edit Plus", {Task.EDIT: "QwenImageEditPlusPipeline"}, references=2, **_QWEN_EDIT),
    Family(
        "Z-Image",
        _tasks(
            "ZImagePipeline",
            image="ZImageImg2ImgPipeline",
            inpaint="ZImageInpaintPipeline",
        ),
        num_inference_steps=8,
        guidance_scale=0.0,
        side=1024,
        samplers=FLOW_SAMPLERS,
        guidance=Guidance(threshold=0.0),
        chat_template={"enable_thinking": True},
        encoder_parameters=4_022_000_000,
    ),
    Family(
        "Sana",
        _by_words("SanaPipeline"),
        guidance_scale=4.5,
        side=1024,
        samplers=(*FLOW_SAMPLERS, "Heun", "DPM++ 2M", "UniPC"),
        encoder_parameters=2_614_000_000,
        vae_parameters=312_000_000,
    ),
    Family(
        "PixArt-alpha",
        _by_words("PixArtAlphaPipeline"),
        guidance_scale=4.5,
        side=1024,
        encoder_parameters=4_762_000_000,
    ),
    Family(
        "PixArt-Sigma",
        _by_words("PixArtSigmaPipeline"),
        guidance_scale=4.5,
        side=1024,
        encoder_parameters=4_762_000_000,
        openvino=True,
    ),
    Family(
        "Kolors",
        _tasks("KolorsPipeline", image="KolorsImg2ImgPipeline"),
        encoder_parameters=6_244_000_000,
        convolves=True,
    ),
    Family("Hunyuan-DiT", _tasks("HunyuanDiTPipeline")),
    Family(
        "Chroma",
        _tasks("ChromaPipeline", image="ChromaImg2ImgPipeline", inpaint="ChromaInpaintPipeline"),
        samplers=FLOW_SAMPLERS,
    ),
    Family("Lumina", _tasks("LuminaPipeline"), samplers=FLOW_SAMPLERS),
    Family("Lumina 2", _by_words("Lumina2Pipeline"), samplers=FLOW_SAMPLERS),
    Family("AuraFlow", _by_words("AuraFlowPipeline"), samplers=FLOW_SAMPLERS),
    Family("CogView3-Plus", _by_words("CogView3PlusPipeline")),
    # It fills shorter prompts of a pass up, and its encoder reads what it filled them with.
    Family("CogView4", _by_words("CogView4Pipeline"), samplers=FLOW_SAMPLERS, alone=True),
    Family("Ovis-Image", _tasks("OvisImagePipeline"), samplers=FLOW_SAMPLERS),
    Family("PRX", _tasks("PRXPipeline"), samplers=FLOW_SAMPLERS),
)
