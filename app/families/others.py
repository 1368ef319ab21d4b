"""The families that are one model of transformers, and those that hold the pictures of other models: a row each."""

from app.core.control import Preprocessor
from app.core.task import Task
from app.families.family import IP_ADAPTER, T2I_ADAPTER, Family, Guidance, Redraws

# What draws token by token; the numbers of parameters are those of Janus-Pro.
TOKEN_MODELS = (
    Family(
        "Janus",
        {Task.TEXT: "JanusPipeline"},
        num_inference_steps=576,
        guidance_scale=5.0,
        side=384,
        samplers=(),
        guidance=Guidance("condition_scale", negative=False),
        loras=None,
        vae_parameters=42_000_000,
        # Of 384x384 with Janus-Pro-7B: what it keeps of each token that it read, with the prompt and without.
        step_bytes=4500,
        # With others beside it the last bits of what a GPU computes differ: sooner or later another token is chosen,
        # and all that follows it is another picture.
        alone=True,
        architecture="JanusForConditionalGeneration",
    ),
)
# What makes pictures larger by a model; their classes are those of transformers.
UPSCALERS = (Family("Swin2SR", {Task.UPSCALE: "Swin2SRForImageSuperResolution"}),)
# What makes them larger by drawing them anew: pipelines of diffusers. Steps and guidance are those of the call of the
# first and of the example of the second (its call's own are those of the first), where words have no effect; the
# numbers of parameters those of stable-diffusion-x4-upscaler and sd-x2-latent-upscaler, nearly.
REDRAWERS = (
    Family(
        "Stable Diffusion x4 upscaler",
        {Task.UPSCALE: "StableDiffusionUpscalePipeline"},
        num_inference_steps=75,
        guidance_scale=9.0,
        side=512,
        samplers=(),
        encoder_parameters=340_000_000,
        vae_parameters=55_000_000,
        # Its latents are as large as the picture: those of a tile are as many as Stable Diffusion's of 1024x1024.
        step_bytes=2400,
        alone=True,
        convolves=True,
        redraws=Redraws(tile=128, noise_level=20),
    ),
    Family(
        "Stable Diffusion x2 latent upscaler",
        {Task.UPSCALE: "StableDiffusionLatentUpscalePipeline"},
        num_inference_steps=20,
        guidance_scale=0.0,
        side=1024,
        samplers=(),
        encoder_parameters=123_000_000,
        alone=True,
        convolves=True,
        redraws=Redraws(tile=512, latent=True),
    ),
)
# What says what a picture shows, and what finds pictures by what they show; their classes are those of transformers.
ENGLISH, ENGLISH_AND_CHINESE = ("en",), ("en", "zh")
DESCRIBERS = (
    Family(
        "Captioner", dict.fromkeys((Task.DESCRIBE, Task.FIND), "VisionEncoderDecoderModel"),
        languages=ENGLISH_AND_CHINESE,
    ),
    Family("BLIP", {Task.DESCRIBE: "BlipForConditionalGeneration"}, languages=ENGLISH, asked=True),
    *(
        Family(title, {Task.DESCRIBE: name}, languages=ENGLISH_AND_CHINESE, asked=True)
        for title, name in (
            ("Qwen2-VL", "Qwen2VLForConditionalGeneration"), ("Qwen2.5-VL", "Qwen2_5_VLForConditionalGeneration"),
            ("Qwen3-VL", "Qwen3VLForConditionalGeneration"),
        )
    ),
)  # fmt: skip
FINDERS = (Family("CLIP", {Task.FIND: "CLIPModel"}), Family("SigLIP", {Task.FIND: "SiglipModel"}))
# What looks at pictures for control models: for IP-Adapters, and as a preprocessor.
SEERS = (
    Family("CLIP vision", {Task.SEE: "CLIPVisionModelWithProjection"}),
    Family("DPT", {Task.SEE: "DPTForDepthEstimation"}, sees=Preprocessor.DEPTH),
    Family("Depth Anything", {Task.SEE: "DepthAnythingForDepthEstimation"}, sees=Preprocessor.DEPTH),
    Family("ViTPose", {Task.SEE: "VitPoseForPoseEstimation"}, sees=Preprocessor.OPENPOSE),
)
# One model by itself, told by its `config.json`.
OF_TRANSFORMERS = (*UPSCALERS, *DESCRIBERS, *FINDERS, *SEERS)
# What holds the pictures of other models.
CONTROL_MODELS = (
    Family("ControlNet", {Task.CONTROL: "ControlNetModel"}),
    Family("ControlNet for Stable Diffusion 3", {Task.CONTROL: "SD3ControlNetModel"}),
    Family("ControlNet for FLUX.1", {Task.CONTROL: "FluxControlNetModel"}),
    Family("ControlNet for Qwen-Image", {Task.CONTROL: "QwenImageControlNetModel"}),
    *(
        Family(title, {Task.CONTROL: name})
        for title, name in (("T2I-Adapter", T2I_ADAPTER), ("IP-Adapter", IP_ADAPTER))
    ),
)
