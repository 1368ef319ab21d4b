"""Long, weighted and repeated prompts: nothing cut in silence, plain ones untouched, the encoders asked once."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from app.catalog import folder_entry
from app.core.errors import InvalidRequest
from app.core.prompt_syntax import Prompt
from app.core.settings import PROJECT_FOLDER
from app.diffusion import clip_chunks
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from app.diffusion.prompt_cache import PromptCache
from app.diffusion.prompts import pass_key, prompt_notes, read, text_arguments, texts
from tests.diffusion.conftest import Ask
from tests.families import save

LENGTH = 77
# diffusers' own words on the small models' schedulers.
OF_DIFFUSERS = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def own(tiny_folder: Path) -> LoadedModel:
    """A model of this file's own, whose cache nobody else fills."""
    return ModelCache("cpu").load(folder_entry(tiny_folder), Path("/"))


@contextmanager
def counted(pipe: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    calls: list[int] = []
    forward = pipe.text_encoder.forward

    def counting(*args, **kwargs):  # type: ignore[no-untyped-def]
        calls.append(1)
        return forward(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pipe.text_encoder, "forward", counting)
        yield calls


def test_bare_words_that_fit_go_to_the_pipeline_as_they_are(own: LoadedModel, ask: Ask) -> None:
    request = ask("a red apple", negative_prompt="blurry")
    assert text_arguments(own.pipe, [read(request)], PromptCache()) == {
        "guidance_scale": 4.0,
        "prompt": ["a red apple"],
        "negative_prompt": ["blurry"],
    }


def test_weights_of_one_give_the_pipelines_own_embeddings(own: LoadedModel) -> None:
    ours, _ = clip_chunks.encode(own.pipe, Prompt("a ([red]) apple"), 1)
    theirs, _ = own.pipe.encode_prompt("a red apple", "cpu", 1, False)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
@OF_DIFFUSERS
def test_layers_left_out_change_the_picture_weighted_or_not(family: str, tmp_path: Path, ask: Ask) -> None:
    model = ModelCache("cpu").load(folder_entry(save(family, tmp_path / family)), Path("/"))
    plain, skipped = (generate(model, ask(clip_skip=skip))[0] for skip in (0, 1))
    assert plain.rgb != skipped.rgb
    assert generate(model, ask("a (red:1.0) apple", clip_skip=1))[0].rgb == skipped.rgb
    assert not any("clip_skip" in note for note in skipped.how["notes"])


@OF_DIFFUSERS
def test_layers_left_out_are_those_that_plain_diffusers_leaves_out(tmp_path: Path, ask: Ask) -> None:
    model = ModelCache("cpu").load(folder_entry(save("sdxl", tmp_path / "xl")), Path("/"))
    ours = generate(model, ask(clip_skip=1))[0]
    theirs = model.pipe(
        "a red apple", num_inference_steps=2, guidance_scale=4.0, width=64, height=64, clip_skip=1,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]  # fmt: skip
    assert ours.rgb == theirs.tobytes()


def test_more_layers_than_there_are_is_refused_by_name(own: LoadedModel, ask: Ask) -> None:
    with pytest.raises(InvalidRequest, match=r"clip_skip.*allowed is 0 to"):
        generate(own, ask(clip_skip=31))


@OF_DIFFUSERS
def test_a_model_without_clip_says_that_leaving_layers_out_did_nothing(tmp_path: Path, ask: Ask) -> None:
    model = ModelCache("cpu").load(folder_entry(save("sana", tmp_path / "sana")), Path("/"))
    picture = generate(model, ask(clip_skip=1))[0]
    assert "clip_skip has no effect with this model" in picture.how["notes"]


def test_a_weight_multiplies_the_outputs_of_its_own_tokens(own: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    # This encoder's mean is next to zero, so that the mean is left alone; see the next test.
    plain, _ = clip_chunks.encode(own.pipe, Prompt("a red apple"), 1)
    weighed, _ = clip_chunks.encode(own.pipe, Prompt("a (red:1.5) apple"), 1)
    ratio = (weighed / plain).nan_to_num(1.0)[0, :, 0]
    tokens = own.pipe.tokenizer("a red apple").input_ids
    changed = [i for i, value in enumerate(ratio.tolist()) if abs(value - ratio[0].item()) > 1e-3]
    assert changed == list(range(2, 5))  # begin, a, r, e, d
    assert len(tokens) == 1 + 9 + 1
    assert ratio[2] / ratio[0] == pytest.approx(1.5, rel=1e-4)


def test_the_mean_of_the_states_stays_where_it_says_something() -> None:
    states = torch.rand(1, 4, 8) + 1
    made = clip_chunks._weighed(states, torch.tensor([1.0, 1.5, 1.0, 1.0]))
    assert float(made.mean()) == pytest.approx(float(states.mean()), rel=1e-5)
    assert float(made[0, 1].mean() / made[0, 0].mean()) == pytest.approx(
        1.5 * float(states[0, 1].mean() / states[0, 0].mean()), rel=1e-5
    )
    zero = states - states.mean()
    made = clip_chunks._weighed(zero, torch.tensor([1.0, 1.5, 1.0, 1.0]))
    assert torch.equal(made[0, 0], zero[0, 0])


def test_a_long_prompt_is_cut_into_chunks_and_every_word_counts(own: LoadedModel, ask: Ask) -> None:
    long = "red apple " * 20
    made = text_arguments(own.pipe, [read(ask(long, negative_prompt="blurry"))], PromptCache())
    assert made["prompt_embeds"].shape == made["negative_prompt_embeds"].shape == (1, 3 * LENGTH, 32)
    first = generate(own, ask(long + "a", negative_prompt="blurry"))[0]
    second = generate(own, ask(long + "b", negative_prompt="blurry"))[0]
    assert first.rgb != second.rgb
    assert first.how["notes"] == []


def test_a_chunk_ends_at_a_comma_that_is_near(own: LoadedModel) -> None:
    text = "a" * 70 + ", " + "b" * 20
    chunks = clip_chunks._chunks(own.pipe.tokenizer, Prompt(text))
    assert [len(chunk.ids) for chunk in chunks] == [71, 20]
    far = "a" * 40 + ", " + "b" * 60
    assert [len(chunk.ids) for chunk in clip_chunks._chunks(own.pipe.tokenizer, Prompt(far))] == [75, 26]


def test_break_fills_the_rest_of_a_chunk(own: LoadedModel) -> None:
    chunks = clip_chunks._chunks(own.pipe.tokenizer, Prompt("a cat BREAK a dog"))
    assert [len(chunk.ids) for chunk in chunks] == [4, 4]
    assert clip_chunks.chunk_count(own.pipe, [Prompt("a cat BREAK a dog")]) == 2


def test_a_long_negative_prompt_lengthens_the_positive_one(own: LoadedModel, ask: Ask) -> None:
    made = text_arguments(own.pipe, [read(ask("a cat", negative_prompt="x" * 100))], PromptCache())
    assert made["prompt_embeds"].shape[1] == made["negative_prompt_embeds"].shape[1] == 2 * LENGTH


def test_prompts_of_other_lengths_never_share_a_pass(own: LoadedModel, ask: Ask) -> None:
    keys = {pass_key(own.pipe, read(ask(text))) for text in ("a", "b c", "(a)", "x" * 100)}
    assert len(keys) == 3


def test_the_tokenizer_says_how_long_a_chunk_is() -> None:
    pocket = ModelCache("cpu").load(folder_entry(PROJECT_FOLDER / "models" / "pocket"), Path("/"))
    length = pocket.pipe.tokenizer.model_max_length
    made, _ = clip_chunks.encode(pocket.pipe, Prompt("(red:1.3) apple"), 1)
    assert made.shape[1] == length


@pytest.mark.model
@pytest.mark.parametrize("prompt", ["a red apple", "three green trees on the left"])
def test_a_plain_prompt_of_the_shipped_model_is_pixel_equal_to_plain_diffusers(prompt: str, ask: Ask) -> None:
    folder = PROJECT_FOLDER / "models" / "pocket"
    plain = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    plain.set_progress_bar_config(disable=True)
    pocket = ModelCache("cpu").load(folder_entry(folder), Path("/"))
    for seed in (1, 2):  # the second one comes from the cache of embeddings
        image = plain(prompt, num_inference_steps=2, guidance_scale=3.0, width=128, height=128,
                      generator=torch.Generator("cpu").manual_seed(seed)).images[0]  # fmt: skip
        request = ask(prompt, num_inference_steps=2, guidance_scale=3.0, width=128, height=128, seed=seed)
        assert generate(pocket, request)[0].rgb == image.tobytes()
    assert pocket.prompts.hits == 1


def test_words_that_pocket_has_no_room_for_or_its_negative_prompt_names_are_left_out_and_named(
    ask: Ask,
) -> None:
    pipe = ModelCache("cpu").load(folder_entry(PROJECT_FOLDER / "models" / "pocket"), Path("/")).pipe
    long = "a red apple on a white table" + ", very good" * 40
    words, _ = texts(pipe, read(ask(long)))
    assert long.startswith(words)
    assert len(pipe.tokenizer(words)["input_ids"]) == 77
    assert prompt_notes(pipe, read(ask(long))) == [
        "truncated: the prompt has 129 tokens, this model reads 77; the rest was not used"
    ]
    unwanted = read(ask("a red cat and a dog", negative_prompt="blurry, dog, red"))
    assert texts(pipe, unwanted) == ("a cat", "")
    assert prompt_notes(pipe, unwanted) == ["taken out of the prompt, as the negative prompt names it: dog, red"]
    assert texts(pipe, read(ask("a red cat", negative_prompt="red", guidance_scale=1.0))) == ("a red cat", "")
    assert texts(pipe, read(ask("a (red:1.3) apple"))) == ("a red apple", "")
    silent = [read(ask(" ", negative_prompt="blurry", seed=seed)) for seed in (30, 31)]
    assert [texts(pipe, asked) for asked in silent] == [
        ("a red apple on a white table", ""), ("a blue bird flying in the sky", "")
    ]  # fmt: skip
    assert prompt_notes(pipe, silent[1]) == [
        "the prompt is empty: this model drew one of its own, a blue bird flying in the sky"
    ]
    assert prompt_notes(pipe, read(ask("a (red:1.3) apple"))) == [
        "weights have no effect with this model: (word:1.2) was read as word, other brackets as text"
    ]


def test_the_same_words_again_skip_the_text_encoder(
    own: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.prompts.clear()
    for prompt, runs in (("a red apple", 2), ("a (red) apple", 2), ("x" * 200, 6)):
        with counted(own.pipe, monkeypatch) as calls:
            first = generate(own, ask(prompt, seed=1))[0].rgb
            assert len(calls) == runs
            again = generate(own, ask(prompt, seed=1))[0].rgb
            generate(own, ask(prompt, seed=2, scheduler="Euler a"))
            assert len(calls) == runs
        own.prompts.clear()
        assert first == again == generate(own, ask(prompt, seed=1))[0].rgb


def test_another_prompt_negative_prompt_or_guidance_is_encoded_anew(own: LoadedModel, ask: Ask) -> None:
    own.prompts.clear()
    own.prompts.misses = 0
    fields = [{}, {"prompt": "b"}, {"negative_prompt": "c"}, {"guidance_scale": 0.0}]
    for number, more in enumerate(fields):
        generate(own, ask(**more))
        assert own.prompts.misses == number + 1


def test_the_cache_of_embeddings_is_bounded_by_bytes() -> None:
    cache, size = PromptCache(max_bytes=100), torch.ones(10)
    for number in range(5):
        cache.get(number, lambda: (size, None))
    assert cache.misses == 5
    cache.get(3, lambda: (size, None))
    assert cache.hits == 1
    cache.get(0, lambda: (size, None))
    assert cache.misses == 6
    cache.get("large", lambda: torch.ones(100))
    cache.get("large", lambda: torch.ones(100))
    assert cache.misses == 8


def test_what_comes_out_of_the_cache_cannot_be_changed_by_its_user() -> None:
    cache = PromptCache()
    first = cache.get("a", lambda: (torch.ones(2), [torch.ones(2)], None))
    first[0].zero_()
    second = cache.get("a", lambda: None)
    second[1][0].zero_()
    third = cache.get("a", lambda: None)
    assert torch.equal(third[0], torch.ones(2))
    assert torch.equal(third[1][0], torch.ones(2))


def test_the_text_encoders_can_be_elsewhere_while_nothing_is_encoded(own: LoadedModel, ask: Ask) -> None:
    entered: list[str] = []

    @contextmanager
    def there() -> Iterator[None]:
        entered.append("in")
        yield
        entered.append("out")

    own.prompts.clear()
    own.prompts.encoding = there
    try:
        generate(own, ask("a (red) apple"))
        generate(own, ask("a (red) apple", seed=2))
        generate(own, ask("a red apple"))
    finally:
        own.prompts.encoding = nullcontext
    assert entered == ["in", "out"] * 2
