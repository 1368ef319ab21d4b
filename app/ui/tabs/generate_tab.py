"""The generate tab: what to draw on the left, the picture as it comes on the right, the latest ones below."""

from dataclasses import dataclass

import gradio as gr

from app.core.models import ModelInfo
from app.ui.actions import html_part
from app.ui.form import Group
from app.ui.studio import Studio
from app.ui.tabs.control_panel import create_control_panel
from app.ui.tabs.fields import FormFields, create_fields, create_ratio
from app.ui.tabs.reference_panel import create_reference_panel
from app.ui.tabs.start_panel import StartPanel, create_start_frame, create_start_page

# The example prompts of the documents that this page replaces, and one that the shipped model draws well.
EXAMPLES = ("example_apple", "example_bird", "example_city", "example_garden", "example_sunset", "example_street")
ACTIVE_S = 0.4  # how often a page with open jobs asks


@dataclass(frozen=True)
class GenerateTab:
    """The components that other files wire up."""

    fields: FormFields
    model_line: gr.HTML
    live: gr.HTML
    sketch: gr.HTML
    loras: gr.HTML
    styles_look: gr.HTML
    style_cards: gr.HTML
    examples: gr.HTML
    advice: gr.HTML
    defaults: gr.Button
    generate: gr.Button
    dice: gr.Button
    reuse_seed: gr.Button
    stage: gr.HTML
    history: gr.HTML
    refresh_history: gr.Button
    clock: gr.Timer


def create_generate_tab(studio: Studio, models: list[ModelInfo]) -> GenerateTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(equal_height=False, elem_classes="at-columns"):
        with gr.Column(scale=5, min_width=320, elem_classes="at-form"):
            by_name = create_fields(Group.PROMPT, texts, models)
            examples = html_part("at-examples")
            by_name |= create_fields(Group.NEGATIVE, texts, models)
            generate = gr.Button(
                texts("generate"), variant="primary", size="lg", elem_id="at-generate", elem_classes="at-go"
            )
            live = html_part("at-live", "window.atelierLive(); watch('value', () => window.atelierLive());")
            with gr.Column(elem_classes="at-after"):
                by_name |= create_fields(Group.MODEL, texts, models)
                model_line = html_part("at-model-line")
                loras = html_part("at-loras")
                by_name |= create_fields(Group.STYLES, texts, models)
                styles_look = html_part("at-styles-look")
                style_cards = html_part("at-styles-cards")
                with create_start_frame() as frame:
                    start = StartPanel(frame, create_start_page())
                    beside = create_reference_panel()
                    by_name |= create_fields(Group.START, texts, models)
                    with gr.Column(elem_id="at-of-mask"), gr.Row(elem_classes="at-tight"):
                        by_name |= create_fields(Group.MASK, texts, models)
                control = create_control_panel(texts)
                with gr.Accordion(texts("settings"), open=True, elem_id="at-settings"):
                    ratio = create_ratio(texts)
                    for group in (Group.SIZE, Group.EFFORT):
                        with gr.Row(elem_classes="at-tight"):
                            by_name |= create_fields(group, texts, models)
                    advice = html_part("at-advice")
                    with gr.Row(elem_classes="at-tight"):
                        by_name |= create_fields(Group.SEED, texts, models)
                        dice, reuse_seed = (
                            gr.Button(texts(key), size="md", min_width=110, scale=0, elem_classes="at-beside")
                            for key in ("seed_random", "seed_reuse")
                        )
                    with gr.Accordion(texts("hires"), open=False), gr.Row(elem_classes="at-tight"):
                        by_name |= create_fields(Group.HIRES, texts, models)
                    with gr.Accordion(texts("settings_more"), open=False):
                        by_name |= create_fields(Group.MORE, texts, models)
                    defaults = gr.Button(
                        texts("form_defaults"), size="sm", elem_id="at-defaults", elem_classes="at-beside"
                    )
        with gr.Column(scale=6, min_width=320, elem_classes="at-result"):
            sketch = html_part("at-sketch")
            stage = html_part("at-stage")
            with gr.Accordion(texts("history"), open=True, elem_id="at-history"):
                refresh = gr.Button(texts("refresh_history"), size="sm", elem_classes="at-right")
                history = html_part()
    clock = gr.Timer(ACTIVE_S, active=False)
    fields = FormFields(by_name, ratio, start, control, beside)
    return GenerateTab(
        fields,
        model_line,
        live,
        sketch,
        loras,
        styles_look,
        style_cards,
        examples,
        advice,
        defaults,
        generate,
        dice,
        reuse_seed,
        stage,
        history,
        refresh,
        clock,
    )
