"""Janus draws token by token: as transformers does, with seeds, progress, cancel and tiers as every model has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import JanusForConditionalGeneration

from app.catalog import Catalog, ModelEntry, folder_entry, kinds_of, tasks_of
from app.core.errors import GenerationCancelled, InvalidRequest, ModelRefused
from app.core.models import Span
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.settings import MachineSize, Settings, Tier
from app.core.task import Task
from app.diffusion import placement as placement_module
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.diffusion.tokens.modules import TokenDrawer
from app.diffusion.tokens.sampling import Sampling
from app.picture import infotext
from tests.janus import SIDE, TOKENS, make_tiny_janus

pytestmark = pytest.mark.model
PROMPT = "a red apple"
USUAL: dict[str, Any] = {
    "prompt": PROMPT, "model": "tiny", "num_inference_steps": TOKENS, "guidance_scale": 5.0, "width": SIDE,
    "height": SIDE, "seed": 7, "scheduler": "default", "top_k": 0, "top_p": 1.0, "temperature": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_janus(tmp_path_factory.mktemp("janus") / "tiny")


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    """Threads that wait for a core which another test has make so small a model ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    return ModelCache("cpu").load(entry_of(folder), folder.parent)


def entry_of(folder: Path, **more: Any) -> ModelEntry:
    own = folder_entry(folder)
    return own.model_copy(update={"key": "tiny", "path": folder.name, **more})


def drawn(model: LoadedModel, **asked: Any) -> Picture:
    [picture] = generate(model, GenerationRequest(**{**USUAL, **asked}))
    return picture


@pytest.mark.parametrize(
    ("sampling", "theirs"),
    [
        (Sampling(5.0, temperature=0), {"guidance_scale": 5.0, "do_sample": False}),
        (Sampling(5.0, 20, 0.9, 0.7),
         {"guidance_scale": 5.0, "do_sample": True, "top_k": 20, "top_p": 0.9, "temperature": 0.7}),
    ],
    ids=["greedy", "sampled"],
)  # fmt: skip
def test_its_tokens_and_pixels_are_those_of_transformers(
    model: LoadedModel, folder: Path, sampling: Sampling, theirs: dict[str, Any]
) -> None:
    reference = JanusForConditionalGeneration.from_pretrained(folder)
    question = model.pipe.encode_prompt(PROMPT)
    torch.manual_seed(3)
    wanted = reference.generate(
        inputs=question, attention_mask=torch.ones_like(question), generation_mode="image", **theirs
    )
    ours = model.pipe._drawn(question, sampling, torch.Generator().manual_seed(3), lambda *_told: None)
    assert ours.tolist() == wanted[0].tolist()
    assert len(set(ours.tolist())) > 1
    with torch.no_grad():
        pixels = reference.decode_image_tokens(wanted).permute(0, 3, 1, 2)
        assert torch.equal(model.pipe.vae.decode(ours[None]).sample, pixels)


def test_a_folder_of_janus_is_a_model_that_draws_and_takes_no_picture_mask_or_lora(folder: Path) -> None:
    entry = entry_of(folder)
    assert entry.refused is None
    assert (kinds_of(entry), entry.single) == (("draws",), True)
    assert Task.TEXT in tasks_of(entry)
    assert not {Task.IMAGE, Task.INPAINT} & set(tasks_of(entry))
    ranges = Catalog(Settings(models_folder=folder.parent)).ranges(entry)
    assert {"top_k", "top_p", "temperature"} <= ranges.keys()
    assert "num_inference_steps" not in ranges
    row = ModelEntry(key="row", title="Row", pipeline="JanusPipeline", temperature=0.5)
    assert (row.top_k, row.top_p, row.temperature) == (0, 1.0, 0.5)
    assert not {"top_k", "top_p", "temperature"} & Catalog(Settings()).ranges(ModelEntry(key="a", title="A")).keys()


def test_each_of_the_four_parameters_changes_the_picture_and_is_in_its_recipe(model: LoadedModel) -> None:
    usual = drawn(model)
    assert usual.how["sampled"] == {"top_k": 0, "top_p": 1.0, "temperature": 1.0, "condition_scale": 5.0}
    for name, value in (("top_k", 2), ("top_p", 0.2), ("temperature", 2.0), ("guidance_scale", 1.5)):
        other = drawn(model, **{name: value})
        assert other.rgb != usual.rgb, name
        assert other.how["sampled"][name.replace("guidance", "condition")] == value
        request = GenerationRequest(**{**USUAL, name: value})
        assert infotext.request_fields(infotext.parse(infotext.build(request, 7, other.how)))[name] == value


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"top_k": 20_000}, "top_k.*allowed is 0 to 16384 for model tiny"),
        ({"temperature": 3.0}, "temperature.*allowed is 0 to 2 for model tiny"),
        ({"top_p": 0.1}, "top_p.*allowed is 0.5 to 1 for model tiny"),
        ({"guidance_scale": 31.0}, "guidance_scale.*allowed is 0 to 30 for model tiny"),
        ({"subseed_strength": 0.5}, "subseed_strength.*it draws token by token"),
        ({"scheduler": "Euler a"}, "scheduler.*allowed is one of: default"),
        ({"enable_hr": True}, "enable_hr.*it makes no pictures of pictures"),
    ],
)
def test_what_is_out_of_range_is_named_with_what_is_allowed(folder: Path, wrong: dict[str, Any], sentence: str) -> None:
    catalog = Catalog(Settings(models_folder=folder.parent))
    entry = entry_of(folder, top_p_range=Span(low=0.5, high=1))
    filled = catalog.resolve_for(GenerationRequest(prompt=PROMPT, model="tiny"), entry).request
    assert (filled.top_k, filled.top_p, filled.temperature, filled.guidance_scale) == (0, 1.0, 1.0, 5.0)
    with pytest.raises(InvalidRequest, match=sentence):
        catalog.resolve_for(GenerationRequest(prompt=PROMPT, model="tiny", **wrong), entry)


def test_progress_counts_tokens_and_previews_show_the_lines_that_are_whole(model: LoadedModel) -> None:
    told: list[tuple[int, int, bytes | None]] = []
    model.pipe.preview_fit._not_before = 0.0
    generate(
        model, GenerationRequest(**{**USUAL, "num_images": 2}), on_step=lambda *step: told.append(step),
        wants_preview=lambda: True,
    )  # fmt: skip
    assert [step for step, _, _ in told] == list(range(1, 2 * TOKENS + 1))
    assert {of for _, of, _ in told} == {2 * TOKENS}
    first = next(step for step, _, preview in told if preview)
    assert first == 4  # a line has so many
    assert all(preview is None or preview.startswith(b"\xff\xd8") for _, _, preview in told)


def test_a_cancelled_picture_ends_within_one_token_and_the_next_is_as_ever(model: LoadedModel) -> None:
    usual, steps = drawn(model), list[int]()
    with pytest.raises(GenerationCancelled):
        generate(
            model, GenerationRequest(**USUAL), on_step=lambda step, _of, _preview: steps.append(step),
            cancelled=lambda: len(steps) >= 3,
        )  # fmt: skip
    assert steps == [1, 2, 3]
    assert drawn(model).rgb == usual.rgb


def test_what_has_no_effect_is_said_and_another_size_is_made_of_its_own(model: LoadedModel) -> None:
    picture = drawn(model, num_inference_steps=20, negative_prompt="blurry", prompt="a (red:1.2) apple", width=96)
    assert (picture.width, picture.height) == (96, SIDE)
    notes = " ".join(picture.how["notes"])
    for words in ("num_inference_steps has no effect", "takes none", "weights have no effect", f"drawn at {SIDE}x"):
        assert words in notes
    plain = [drawn(model, prompt="a red apple", width=96).rgb, picture.rgb]
    assert plain[0] == plain[1]


@pytest.mark.parametrize(
    ("tier", "size", "same"),
    [
        (Tier.RELEASED, None, True), (Tier.GROUP_OFFLOAD, None, True), (Tier.FP8, None, False),
        (Tier.FP8_OFFLOAD, None, False), (None, MachineSize.TINY, True),
    ],
    ids=["released", "group-offload", "fp8", "fp8-offload", "tiny machine"],
)  # fmt: skip
def test_every_memory_tier_that_a_processor_has_draws(
    model: LoadedModel, folder: Path, tier: Tier | None, size: MachineSize | None, same: bool
) -> None:
    other = ModelCache("cpu", tier=tier, machine_size=size).load(entry_of(folder), folder.parent)
    picture = drawn(other)
    assert len(picture.rgb) == 3 * SIDE * SIDE
    assert (picture.rgb == drawn(model).rgb) == same
    assert picture.how["memory"].startswith(tier or "released")


def test_a_memory_tier_that_cannot_be_had_here_is_refused_by_what_it_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement_module, "find_spec", lambda name: None)
    for tier, needed in ((Tier.MODEL_OFFLOAD, "needs a GPU"), (Tier.INT4, "bitsandbytes"), (Tier.INT8, "torchao")):
        with pytest.raises(ModelRefused, match=needed):
            ModelCache("cpu", tier=tier).load(entry_of(folder), folder.parent)


def test_8_bit_weights_draw_where_their_package_is_installed(folder: Path) -> None:
    pytest.importorskip("torchao", reason="the optional package of requirements-quantized.txt is not installed")
    other = ModelCache("cpu", tier=Tier.INT8).load(entry_of(folder), folder.parent)
    matrices = [part for part in other.pipe.transformer.modules() if isinstance(part, torch.nn.Linear)]
    assert {type(part.weight).__name__ for part in matrices} == {"Int8Tensor"}
    picture = drawn(other)
    assert len(picture.rgb) == 3 * SIDE * SIDE
    assert picture.how["memory"].startswith("int8")


@pytest.mark.parametrize("times", [1, 2])
def test_memory_that_ran_out_between_two_tokens_costs_one_attempt_and_the_next_picture_nothing(
    model: LoadedModel, folder: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    usual, forward, short = drawn(model), TokenDrawer.forward, [times]

    def tight(self: TokenDrawer, kept: Any, **read: Any) -> torch.Tensor:
        if short[0] and int(kept.get_seq_length()) > len(PROMPT) + 30:  # the question and some tokens are read
            short[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, kept, **read)

    monkeypatch.setattr(TokenDrawer, "forward", tight)
    cache = ModelCache("cpu")
    [made] = generate_batch(cache.load(entry_of(folder), folder.parent), [GenerationRequest(**USUAL)], cache=cache)
    if times == 1:
        assert made.error is None
        how = made.pictures[0].how
        assert how["memory"].startswith(("int8", "fp8"))  # what is lower for one that has no text encoder
        assert how["retried"].startswith("out of memory with resident; made again with ")
    else:
        assert made.error is not None
        assert (made.error.code, made.pictures) == ("out_of_memory", ())
    assert short == [0]
    assert drawn(cache.load(entry_of(folder), folder.parent)).rgb == usual.rgb


def test_weights_that_are_not_all_there_are_refused(folder: Path, tmp_path: Path) -> None:
    broken = make_tiny_janus(tmp_path / "broken")
    config = (broken / "config.json").read_text()
    assert '"num_hidden_layers": 2' in config
    (broken / "config.json").write_text(config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 200'))
    with pytest.raises(ModelRefused, match=r"its safetensors hold \d+ numbers, and config\.json needs \d+"):
        ModelCache("cpu").load(entry_of(broken), tmp_path)
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    with pytest.raises(ModelRefused, match="pickle"):
        ModelCache("cpu").load(entry_of(broken), tmp_path)
