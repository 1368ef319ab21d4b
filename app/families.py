"""What is known of each family of models: one row each, and the only place where a diffusers pipeline's name stands.

A family is told by the class that turns a prompt alone into a picture, which is the class that a model's
`model_index.json` names. Names and defaults are those of diffusers 0.42.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.task import KIND_OF, ModelKind, Task

# What LoRA files say they were trained for: see `weights.loras.lora_family`.
LORA_SD1, LORA_SD2, LORA_SDXL = "Stable Diffusion 1", "Stable Diffusion 2", "Stable Diffusion XL"
LORA_FLUX, LORA_QWEN = "FLUX", "Qwen-Image"
# Flow-matching models step along another path; these samplers work for every one of them (proven by a test of each).
FLOW_SAMPLERS = ("Euler", "Euler a")
# The parameters that only models which draw token by token take, and what leaves every token its chance.
OF_TOKENS: Mapping[str, int | float] = {"top_k": 0, "top_p": 1.0, "temperature": 1.0}


@dataclass(frozen=True)
class Guidance:
    """How strongly a prompt pulls: the same `guidance_scale` is another parameter in some pipelines.

    `parameter` takes the request's guidance_scale; above `threshold` each step runs with and without the prompt.
    `negative` is false where no negative prompt can work. `empty` stands for an empty negative prompt where the
    pipeline would otherwise not guide at all. Source: the `__call__` of each class.
    """

    parameter: str = "guidance_scale"
    threshold: float = 1.0
    negative: bool = True
    empty: str | None = None


# The scale is an input of the network here, and there is no second pass that a negative prompt could steer.
EMBEDDED = Guidance(negative=False)


@dataclass(frozen=True)
class SmallDecoder:
    """A small decoder for the latents of some families: its folder in models/decoders, and where it comes from."""

    name: str
    repository: str
    size_bytes: int
    licence: str = "MIT"

    @property
    def command(self) -> str:
        """The command that brings it."""
        files = "config.json diffusion_pytorch_model.safetensors"
        return f"hf download {self.repository} {files} --local-dir models/decoders/{self.name}"


TAESD = SmallDecoder("taesd", "madebyollin/taesd", 9_790_000)
TAESDXL = SmallDecoder("taesdxl", "madebyollin/taesdxl", 9_790_000)
TAESD3 = SmallDecoder("taesd3", "madebyollin/taesd3", 9_850_000)
TAEF1 = SmallDecoder("taef1", "madebyollin/taef1", 9_850_000)


@dataclass(frozen=True)
class Family:
    """One kind of model.

    `tasks`: the pipeline class of each task. Then the defaults of a model that says none itself; sides in pixels.
    `samplers`: those that work for a flow-matching family; None for a family that predicts noise, which takes all.
    `clip_encoders`: how many CLIP encoders read the prompt, where Atelier cuts and weighs it itself; 0 = it does not.
    `prompt_tokens`: tokens of the longest text encoder, where the pipeline's own default reads less.
    `chat_template`: how the tokenizer's chat template is asked for, whose words the prompt's limit counts too.
    `loras`: what a LoRA must say it was trained for; empty = any is tried.
    `encoder_parameters`, `vae_parameters`: what its usual parts hold, for models of which only the whole is known.
    `controls`: by the class of a control model, the pipeline of each task that such models hold the pictures of.
    `references`: how many more pictures an instruction may speak of, beside the one that the task `edit` changes.
    `alone`: its pipeline makes one picture in a pass.
    `convolves`: the denoiser is a UNet. `video_vae`: the VAE keeps frames of context, and needs more memory.
    `openvino`: OpenVINO may compute its denoiser (see `diffusion.compiled`).
    `architecture`: it draws token by token; its models are one model of this class of transformers, and the pipeline is
    ours (see `diffusion.tokens`).
    `small_decoder`: what a model of it may ask for in the place of its VAE's decoder (`decoder = "tiny"`).
    `languages`: those that it describes pictures in. `asked`: a prompt may say what is to be described, and how.
    """

    title: str
    tasks: Mapping[Task, str]
    controls: Mapping[str, Mapping[Task, str]] = field(default_factory=dict)
    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    side: int = 512
    samplers: tuple[str, ...] | None = None
    guidance: Guidance = field(default=Guidance())
    clip_encoders: int = 0
    prompt_tokens: int | None = None
    chat_template: Mapping[str, bool] | None = None
    loras: tuple[str, ...] = ()
    encoder_parameters: int = 0
    vae_parameters: int = 84_000_000
    references: int = 0
    alone: bool = False
    convolves: bool = False
    video_vae: bool = False
    openvino: bool = False
    architecture: str | None = None
    small_decoder: SmallDecoder | None = None
    languages: tuple[str, ...] = ()
    asked: bool = False

    @property
    def pipeline(self) -> str:
        """The class that its models name, and by which the family is told."""
        return next(iter(self.tasks.values()))

    @property
    def kinds(self) -> tuple[ModelKind, ...]:
        """What its models are for."""
        return tuple(dict.fromkeys(KIND_OF[task] for task in self.tasks))

    @property
    def draws(self) -> bool:
        """True if a prompt alone is enough for a picture."""
        return Task.TEXT in self.tasks

    @property
    def denoises(self) -> bool:
        """True if it makes pictures by words, of nothing or of pictures."""
        return self.draws or Task.EDIT in self.tasks

    @property
    def tokens(self) -> bool:
        """True if it draws token by token: `num_inference_steps` has no effect there, and `OF_TOKENS` have."""
        return self.architecture is not None

    @property
    def only_enlarges(self) -> bool:
        """True if it makes pictures larger and none from words."""
        return tuple(self.tasks) == (Task.UPSCALE,)

    @property
    def only_controls(self) -> bool:
        """True if it holds the pictures of other models, and makes none itself."""
        return tuple(self.tasks) == (Task.CONTROL,)

    @property
    def flow_samplers(self) -> tuple[str, ...]:
        """The samplers to step with if the model turns out to have been trained by flow matching."""
        return self.samplers or FLOW_SAMPLERS

    def can(self, task: Task) -> bool:
        """True if it has a pipeline for the task.

        Under a mask a UNet's pictures from pictures will do: see `diffusion.blend`.
        """
        if self.only_controls:
            return task is Task.CONTROL
        if task is Task.UPSCALE:
            return self.denoises or task in self.tasks  # needs no model: see `diffusion.enlarge`
        if task is Task.INPAINT and task not in self.tasks:
            return self.convolves and self.can(Task.IMAGE)
        return task in self.tasks

    def can_be_held(self, control: str, task: Task) -> bool:
        """True if control models of that class can hold the pictures of the task, one at a time or several."""
        known = self.controls.get(control, {})
        return task in known or (task is Task.INPAINT and self.convolves and Task.IMAGE in known)

    def defaults(self) -> dict[str, Any]:
        """The fields of a catalog entry that the family decides where the model does not."""
        return {
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": self.guidance_scale,
            "width": self.side,
            "height": self.side,
            **(OF_TOKENS if self.tokens else {}),
        }


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
LATENT_CONSISTENCY = Family(
    "Latent Consistency",
    _tasks("LatentConsistencyModelPipeline", image="LatentConsistencyModelImg2ImgPipeline"),
    guidance=EMBEDDED,
    clip_encoders=1,
    loras=(LORA_SD1, LORA_SD2),
    convolves=True,
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
    STABLE_DIFFUSION_XL,
    LATENT_CONSISTENCY,
    Family(
        "InstructPix2Pix",
        {Task.EDIT: "StableDiffusionInstructPix2PixPipeline"},
        clip_encoders=1,
        loras=(LORA_SD1,),
        encoder_parameters=123_000_000,
        convolves=True,
    ),
    Family(
        "Stable Diffusion 3",
        _tasks(
            "StableDiffusion3Pipeline",
            image="StableDiffusion3Img2ImgPipeline",
            inpaint="StableDiffusion3InpaintPipeline",
        ),
        {"SD3ControlNetModel": _tasks("StableDiffusion3ControlNetPipeline")},
        num_inference_steps=28,
        guidance_scale=4.5,
        side=1024,
        samplers=(*FLOW_SAMPLERS, "Heun", "DPM++ 2M", "UniPC"),
        encoder_parameters=5_580_000_000,
        openvino=True,
        small_decoder=TAESD3,
    ),
    Family(
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
        num_inference_steps=28,
        guidance_scale=3.5,
        side=1024,
        samplers=(*FLOW_SAMPLERS, "DPM++ 2M", "UniPC"),
        guidance=EMBEDDED,
        loras=(LORA_FLUX,),
        encoder_parameters=4_885_000_000,
        openvino=True,
        small_decoder=TAEF1,
    ),
    Family(
        "FLUX.1 Kontext",
        _tasks("FluxKontextPipeline", edit="FluxKontextPipeline"),
        num_inference_steps=28,
        guidance_scale=2.5,
        side=1024,
        samplers=(*FLOW_SAMPLERS, "DPM++ 2M", "UniPC"),
        guidance=EMBEDDED,
        loras=(LORA_FLUX,),
        encoder_parameters=4_885_000_000,
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
        _tasks("SanaPipeline"),
        guidance_scale=4.5,
        side=1024,
        samplers=(*FLOW_SAMPLERS, "Heun", "DPM++ 2M", "UniPC"),
        encoder_parameters=2_614_000_000,
        vae_parameters=312_000_000,
    ),
    Family(
        "PixArt-alpha",
        _tasks("PixArtAlphaPipeline"),
        guidance_scale=4.5,
        side=1024,
        encoder_parameters=4_762_000_000,
    ),
    Family(
        "PixArt-Sigma",
        _tasks("PixArtSigmaPipeline"),
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
    Family("Lumina 2", _tasks("Lumina2Pipeline"), samplers=FLOW_SAMPLERS),
    Family("AuraFlow", _tasks("AuraFlowPipeline"), samplers=FLOW_SAMPLERS),
    Family("CogView3-Plus", _tasks("CogView3PlusPipeline")),
    Family("CogView4", _tasks("CogView4Pipeline"), samplers=FLOW_SAMPLERS),
    Family("Ovis-Image", _tasks("OvisImagePipeline"), samplers=FLOW_SAMPLERS),
    Family("PRX", _tasks("PRXPipeline"), samplers=FLOW_SAMPLERS),
)
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
        vae_parameters=42_000_000,
        # With others beside it the last bits of what a GPU computes differ: sooner or later another token is chosen,
        # and all that follows it is another picture.
        alone=True,
        architecture="JanusForConditionalGeneration",
    ),
)
# What makes pictures larger by a model; their classes are those of transformers.
UPSCALERS = (Family("Swin2SR", {Task.UPSCALE: "Swin2SRForImageSuperResolution"}),)
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
# One model by itself, told by its `config.json`.
OF_TRANSFORMERS = (*UPSCALERS, *DESCRIBERS, *FINDERS)
# What holds the pictures of other models.
CONTROL_MODELS = (
    Family("ControlNet", {Task.CONTROL: "ControlNetModel"}),
    Family("ControlNet for Stable Diffusion 3", {Task.CONTROL: "SD3ControlNetModel"}),
    Family("ControlNet for FLUX.1", {Task.CONTROL: "FluxControlNetModel"}),
    Family("ControlNet for Qwen-Image", {Task.CONTROL: "QwenImageControlNetModel"}),
)
_BY_PIPELINE: Mapping[str, Family] = {
    family.pipeline: family for family in (*FAMILIES, *TOKEN_MODELS, *OF_TRANSFORMERS, *CONTROL_MODELS)
}


def is_known(pipeline: str) -> bool:
    """True for the class of a family that can be run here."""
    return pipeline in _BY_PIPELINE


def family_of(pipeline: str | None) -> Family:
    """The family that a class belongs to; for a class that nothing is known of, a row that claims nothing."""
    return _BY_PIPELINE.get(pipeline or "") or Family("of no known kind", {Task.TEXT: pipeline or ""})
