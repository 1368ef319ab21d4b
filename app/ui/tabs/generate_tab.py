"""The generate tab: what to draw on the left, the picture as it comes on the right, the latest ones below."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.schema import MAX_PROMPT_CHARS, RANDOM_SEED
from app.ui.actions import html_part
from app.ui.form import DEFAULT_SCHEDULER, MAX_IMAGES
from app.ui.sizes import OWN_SIZE, RATIOS
from app.ui.studio import Model, Studio

# The example prompts of the documents that this page replaces, and one that the shipped model draws well.
EXAMPLES = (
    "a red apple on a white table",
    "a blue bird flying in the sky",
    "a futuristic cityscape at night with neon lights and flying cars",
    "a peaceful garden with cherry blossoms and a traditional Japanese bridge",
    "a watercolor painting of a sunset over the ocean",
    "a digital art piece of a cyberpunk street scene",
)
ACTIVE_S = 0.4  # how often a page with open jobs asks


@dataclass(frozen=True)
class GenerateTab:
    """The components that other files wire up. `form` are the fields in the order of `Form`."""

    form: tuple[gr.components.Component, ...]
    model_line: gr.HTML
    examples: gr.HTML
    generate: gr.Button
    dice: gr.Button
    reuse_seed: gr.Button
    stage: gr.HTML
    history: gr.HTML
    refresh_history: gr.Button
    clock: gr.Timer

    @property
    def model(self) -> gr.components.Component:
        """The model list."""
        return self.form[0]

    def field(self, number: int) -> gr.components.Component:
        """A field by its place in `Form`."""
        return self.form[number]


def create_generate_tab(studio: Studio, models: list[Model]) -> GenerateTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(equal_height=False, elem_classes="at-columns"):
        with gr.Column(scale=5, min_width=320, elem_classes="at-form"):
            prompt = gr.Textbox(
                label=texts("form_prompt"), placeholder=texts("form_prompt_placeholder"), lines=3, max_lines=12,
                max_length=MAX_PROMPT_CHARS, elem_id="at-prompt", autofocus=True,
            )  # fmt: skip
            examples = html_part()
            negative = gr.Textbox(
                label=texts("form_negative"), placeholder=texts("form_negative_placeholder"), lines=1, max_lines=8,
                max_length=MAX_PROMPT_CHARS,
            )  # fmt: skip
            generate = gr.Button(
                texts("generate"), variant="primary", size="lg", elem_id="at-generate", elem_classes="at-go"
            )
            model = gr.Dropdown(
                _model_choices(models), value=None, label=texts("form_model"), elem_id="at-model", filterable=False
            )
            model_line = html_part("at-model-line")
            settings = _create_settings(studio)
        with gr.Column(scale=6, min_width=320):
            stage = html_part("at-stage")
            with gr.Accordion(texts("history"), open=True, elem_id="at-history"):
                refresh = gr.Button(texts("refresh_history"), size="sm", elem_classes="at-right")
                history = html_part()
    aspect, width, height, steps, guidance, count, seed, dice, reuse_seed, scheduler = settings
    form = (model, prompt, negative, aspect, width, height, steps, guidance, count, seed, scheduler)
    clock = gr.Timer(ACTIVE_S, active=False)
    return GenerateTab(form, model_line, examples, generate, dice, reuse_seed, stage, history, refresh, clock)


def model_updates(model: Model, models: list[Model]) -> list[Any]:
    """How the fields change for a model: ranges, steps and choices, without their values. In the form's order."""
    multiple = model["size_range"].get("multiple", 1)
    size = gr.update(step=multiple)
    steps, guidance = model["steps_range"], model["guidance_range"]
    schedulers = [DEFAULT_SCHEDULER, *(name for name in model.get("schedulers", ()) if name != DEFAULT_SCHEDULER)]
    return [
        gr.update(choices=_model_choices(models)),
        gr.update(),
        gr.update(),
        gr.update(),
        size,
        size,
        gr.update(minimum=steps["low"], maximum=steps["high"]),
        gr.update(minimum=guidance["low"], maximum=guidance["high"]),
        gr.update(),
        gr.update(),
        gr.update(choices=schedulers),
    ]


def _model_choices(models: list[Model]) -> list[tuple[str, str]]:
    return [(_title(model), model["key"]) for model in models]


def _title(model: Mapping[str, Any]) -> str:
    title = str(model.get("title") or model["key"])
    return title if title == model["key"] else f"{title} ({model['key']})"


def _create_settings(studio: Studio) -> tuple[Any, ...]:
    texts = studio.texts
    with gr.Accordion(texts("settings"), open=True):
        aspect = gr.Radio(
            [*((ratio, ratio) for ratio in RATIOS), (texts("form_own_size"), OWN_SIZE)],
            label=texts("form_size"), value=RATIOS[0], elem_classes="at-aspect",
        )  # fmt: skip
        with gr.Row(elem_classes="at-tight"):
            width = gr.Number(label=texts("form_width"), precision=0, min_width=110)
            height = gr.Number(label=texts("form_height"), precision=0, min_width=110)
            count = gr.Slider(1, MAX_IMAGES, value=1, step=1, label=texts("form_count"), min_width=160)
        with gr.Row(elem_classes="at-tight"):
            # The widest ranges there are; each model narrows them when it is chosen. No reset: it would give the least.
            steps = gr.Slider(
                1, 1000, step=1, label=texts("form_steps"), info=texts("form_steps_info"), min_width=200, buttons=[]
            )
            guidance = gr.Slider(
                0,
                100,
                step=0.1,
                label=texts("form_guidance"),
                info=texts("form_guidance_info"),
                min_width=200,
                buttons=[],
            )
        with gr.Row(elem_classes="at-tight"):
            seed = gr.Number(label=texts("form_seed"), value=RANDOM_SEED, precision=0, min_width=140, scale=4)
            dice = gr.Button(texts("seed_random"), size="md", min_width=110, scale=0, elem_classes="at-beside")
            reuse_seed = gr.Button(texts("seed_reuse"), size="md", min_width=110, scale=0, elem_classes="at-beside")
        scheduler = gr.Dropdown(
            [DEFAULT_SCHEDULER], value=DEFAULT_SCHEDULER, label=texts("form_scheduler"), allow_custom_value=True
        )
    return aspect, width, height, steps, guidance, count, seed, dice, reuse_seed, scheduler
