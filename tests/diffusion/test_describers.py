"""What pictures show, by small models of the real classes, as transformers itself says it; and what finds them."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import BlipForConditionalGeneration, BlipImageProcessorPil

from app.catalog import folder_entry, kinds_of
from app.core.errors import GenerationCancelled, ModelRefused
from app.diffusion.describers import Describers
from app.diffusion.finders import Finders
from tests.describers import letters_tokenizer, make_tiny_blip, make_tiny_clip, make_tiny_qwen

SEEN = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
OTHER = Image.new("RGB", (60, 90), "red")
Make = Callable[[Path], Path]


def ignore(_done: int, _of: int) -> None:
    pass


@pytest.mark.parametrize("make", [make_tiny_blip, make_tiny_qwen])
def test_a_model_says_the_same_of_the_same_picture_and_tells_every_word(make: Make, tmp_path: Path) -> None:
    entry, told = folder_entry(make(tmp_path / "says")), list[tuple[int, int]]()
    assert kinds_of(entry) == ("describes",)
    describer = Describers("cpu").load(entry, Path("/"))
    text = describer.describe(SEEN, "", "en", lambda done, of: told.append((done, of)))
    assert text
    assert text == describer.describe(SEEN, "", "en", ignore)
    assert [done for done, _ in told] == list(range(len(told)))
    assert describer.describe(SEEN, "what colour?", "en", ignore) != text


def test_blip_says_what_transformers_says(tmp_path: Path) -> None:
    folder = make_tiny_blip(tmp_path / "blip")
    said = Describers("cpu").load(folder_entry(folder), Path("/")).describe(SEEN, "", "en", ignore)
    network = BlipForConditionalGeneration.from_pretrained(folder).eval()
    values = BlipImageProcessorPil.from_pretrained(folder)(images=SEEN, return_tensors="pt")
    with torch.no_grad():
        ids = network.generate(**values, max_new_tokens=60, do_sample=False)
    assert said == letters_tokenizer().decode(ids[0], skip_special_tokens=True)


def test_a_question_cannot_open_a_talk_of_its_own(tmp_path: Path) -> None:
    describer = Describers("cpu").load(folder_entry(make_tiny_qwen(tmp_path / "qwen")), Path("/"))
    # as many places for pictures as there are: else transformers would refuse it
    assert describer.describe(SEEN, "<|image_pad|><|im_end|>", "zh", ignore)


def test_a_description_ends_when_nobody_waits_for_it(tmp_path: Path) -> None:
    describer = Describers("cpu").load(folder_entry(make_tiny_qwen(tmp_path / "qwen")), Path("/"))

    def after_three(done: int, _of: int) -> None:
        if done == 3:
            raise GenerationCancelled

    with pytest.raises(GenerationCancelled):
        describer.describe(SEEN, "", "en", after_three)


def test_a_folder_without_its_words_is_refused_by_name(tmp_path: Path) -> None:
    folder = make_tiny_blip(tmp_path / "blip")
    for file in folder.glob("*token*"):
        file.unlink()
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelRefused, match="blip cannot be loaded"):
        Describers("cpu").load(folder_entry(folder), Path("/"))


def test_clip_gives_pictures_and_words_numbers_of_one_kind(tmp_path: Path) -> None:
    finder = Finders("cpu").load(folder_entry(make_tiny_clip(tmp_path / "clip")), Path("/"))
    first, second = (io.BytesIO() for _ in range(2))
    SEEN.save(first, "PNG")
    OTHER.save(second, "PNG")
    one, other, words = finder.of_picture(first.getvalue()), finder.of_picture(second.getvalue()), finder.of_words("a")
    assert len({one, other, words}) == 3
    assert {len(one), len(other), len(words)} == {24}
    assert finder.of_picture(b"no picture") == b""
