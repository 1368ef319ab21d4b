"""The world that the pocket model is trained on, its judge and its tokenizer."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from .conftest import POCKET

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SHIPPED = POCKET.parents[1] / "models" / "pocket" / "tokenizer"
needs_font = pytest.mark.skipif(not FONT.exists(), reason="needs fonts-noto-color-emoji")
EXAMPLES = (
    "a red apple on a white table",
    "a blue bird flying in the sky",
    "a red sports car",
    "a futuristic cityscape at night with neon lights and flying cars",
    "a forest, mysterious atmosphere",
    "a peaceful garden with cherry blossoms and a traditional Japanese bridge",
    "a mountain, wide angle view",
    "a watercolor painting of a sunset over the ocean",
    "a digital art piece of a cyberpunk street scene",
    "a cute cat playing with a ball, high quality, detailed",
    "a cat, digital art style",
    "three bananas on the beach",
    "a glass of water",
    "blurry, low quality, watermark",
)


def test_the_world_has_two_hundred_nouns_in_two_languages() -> None:
    from words import nouns

    assert len(nouns()) >= 200
    assert all(noun.english and noun.chinese for noun in nouns().values())


def test_training_never_meets_a_held_out_composition() -> None:
    from scenes import random_scene

    rng = random.Random(1)
    assert not any(random_scene(rng).is_held_out for _ in range(2000))


def test_about_one_composition_in_ten_is_held_out() -> None:
    from words import COLOURS, PLACES, held_out, nouns

    judged = [held_out(noun, colour, place) for noun in nouns() for colour in COLOURS for place in PLACES]
    assert 0.08 < sum(judged) / len(judged) < 0.12
    assert not held_out("cat", None, "sky")


@needs_font
def test_a_scene_is_drawn_the_same_from_the_same_seed() -> None:
    from scenes import draw_scene, random_scene

    first, again = (draw_scene(random_scene(random.Random(9)), random.Random(4)) for _ in range(2))
    assert first.size == (128, 128)
    assert first.tobytes() == again.tobytes()


@needs_font
def test_every_example_of_the_documentation_is_another_picture_with_other_numbers() -> None:
    import numpy as np
    from drawing import draw_scene
    from layout import NUMBERS
    from scenes import SHOWPIECE_SCENES

    first, second = (np.random.default_rng(seed).standard_normal(NUMBERS) for seed in (1, 2))
    for scene in SHOWPIECE_SCENES:
        one, other = (np.asarray(draw_scene(scene, numbers), np.float32) for numbers in (first, second))
        assert np.abs(one - other).mean() > 2, scene.fixed[0]


def test_prompts_near_an_example_mean_what_they_say_and_the_examples_words_mean_it() -> None:
    from reading import near_scene
    from scenes import SHOWPIECE_SCENES

    rng = random.Random(0)
    near = [near_scene(rng) for _ in range(300)]
    assert not any(scene.is_held_out or scene.showpiece or scene.fixed for scene in near)
    assert len({(scene.things, scene.place, scene.backdrop) for scene in near}) > 200
    apple = next(scene for scene in SHOWPIECE_SCENES if scene.fixed[0] == "a red apple on a white table")
    assert (apple.things[0].noun, apple.things[0].colour, apple.place, apple.backdrop) == (
        "apple", "red", "table", "white",
    )  # fmt: skip


@needs_font
def test_a_colour_named_in_the_caption_colours_the_thing() -> None:
    from draw import thing

    red = thing("cat", "red").resize((1, 1)).getpixel((0, 0))
    blue = thing("cat", "blue").resize((1, 1)).getpixel((0, 0))
    assert red[0] > red[2]
    assert blue[2] > blue[0]


@needs_font
def test_a_spoiled_scene_is_blurrier_than_a_good_one() -> None:
    import judge
    from scenes import Scene, Thing, draw_scene

    good, blurry = (
        draw_scene(Scene((Thing("cat"),), place="room", quality=quality), random.Random(1))
        for quality in (None, "blurry")
    )
    assert judge.sharpness(blurry) < 0.3 * judge.sharpness(good)


@needs_font
def test_the_judge_recognises_real_scenes() -> None:
    import judge
    from scenes import Scene, Thing, draw_scene

    scene = Scene((Thing("guitar", "blue"),), place="beach")
    picture = draw_scene(scene, random.Random(8))
    assert judge.object_ranking(picture, scene)[0] == "guitar"
    assert judge.colour_ranking(picture, scene)[0] == "blue"
    assert judge.background_ranking(picture, scene)[0] == "beach"


@needs_font
def test_the_judge_finds_things_wherever_they_stand_and_counts_them() -> None:
    import judge
    import numpy as np
    from drawing import draw_scene
    from layout import NUMBERS
    from scenes import Scene, Thing

    numbers = np.random.default_rng(4).standard_normal(NUMBERS)
    pair = draw_scene(Scene((Thing("cat"), Thing("bus")), place="beach", relation="above"), numbers)
    cat, bus = sorted(judge.found_things(pair, "beach", judge.every_noun(None), most=2), key=lambda one: one.y)
    assert (cat.noun, bus.noun) == ("cat", "bus")
    three = Scene((Thing("apple", None, 3),), backdrop="blue")
    assert judge.count_of(draw_scene(three, numbers), three) == 3
    right = Scene((Thing("key"),), position="right")
    assert judge.side_of(draw_scene(right, numbers, 320, 192), right) == "right"


@needs_font
def test_a_clear_picture_is_explained_by_one_thing_and_noise_is_not() -> None:
    import judge
    import numpy as np
    from drawing import draw_scene
    from layout import NUMBERS
    from measures import CLEAR
    from PIL import Image
    from scenes import Scene, Thing

    numbers = np.random.default_rng(4).standard_normal(NUMBERS)
    assert judge.explained(draw_scene(Scene((Thing("guitar"),), place="field"), numbers)) > CLEAR
    noise = Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))
    assert judge.explained(noise) < CLEAR / 2


def test_the_outside_prompts_are_a_hundred_different_ones() -> None:
    from outside import OUTSIDE

    assert len(OUTSIDE) == len({prompt.lower() for prompt in OUTSIDE}) == 100


@needs_font
def test_real_scenes_are_nearer_to_real_scenes_than_inverted_ones_are(tmp_path: Path) -> None:
    from measures import open_scenes, real
    from PIL import ImageOps
    from seer import kernel_distance, load_seer

    seer = load_seer(tmp_path / "seer.pt", 48, epochs=1)
    scenes = open_scenes(24, random.Random(0))
    one, other = real(scenes, 1), real(scenes, 2)
    inverted = [ImageOps.invert(picture) for picture in one]
    assert abs(kernel_distance(seer, one, other)) < kernel_distance(seer, one, inverted)


def test_every_word_of_the_world_is_one_token(tmp_path: Path) -> None:
    from tokenizer import chinese_words, load_tokenizer
    from words import COLOURS, nouns

    tokenizer = load_tokenizer(tmp_path)
    english = {
        word
        for noun in nouns().values()
        for pair in noun.english
        for name in pair
        for word in name.split()
        if word.isalpha()
    }
    for word in sorted(english | set(COLOURS)) + chinese_words():
        assert len(tokenizer.tokenize(word)) == 1, word
    assert "苹果" in "".join(tokenizer.convert_tokens_to_string([t]) for t in tokenizer.tokenize("三个红色的苹果"))


def test_the_examples_of_the_documentation_are_inside_the_world(tmp_path: Path) -> None:
    from tokenizer import load_tokenizer

    tokenizer = load_tokenizer(tmp_path)
    for prompt in EXAMPLES:
        words = prompt.replace(",", " ,").split()
        assert len(tokenizer.tokenize(prompt)) == len(words), prompt


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """A folder with the shipped vocabulary alone: writing one takes a quarter of a minute."""
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    settings = {"tokenizer_class": "CLIPTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return tmp_path


def test_outside_words_are_read_as_the_nearest_thing_of_the_world(vocabulary: Path) -> None:
    from tokenizer import load_tokenizer

    tokenizer = load_tokenizer(vocabulary)
    for said, read in (
        ("an astronaut riding a horse", "an man on top of a horse"),
        ("Two red LOBSTERS on a table", "two red crabs on a table"),
        ("一个宇航员在太空中", "一个男人在太空中"),
    ):
        assert tokenizer(said)["input_ids"] == tokenizer(read)["input_ids"], said


def test_words_of_the_world_are_read_as_they_are(vocabulary: Path) -> None:
    from captions import caption
    from scenes import random_scene
    from tokenizer import load_tokenizer
    from transformers import CLIPTokenizer

    tokenizer = load_tokenizer(vocabulary)
    plain = CLIPTokenizer.from_pretrained(str(vocabulary))
    rng = random.Random(3)
    captions = [caption(random_scene(rng), rng, number % 2 == 0) for number in range(1000)]
    captions += EXAMPLES
    assert tokenizer(captions)["input_ids"] == plain(captions)["input_ids"]


def test_the_shipped_tokenizer_is_the_one_that_the_training_writes(vocabulary: Path) -> None:
    from tokenizer import load_tokenizer
    from transformers import AutoTokenizer

    shipped = AutoTokenizer.from_pretrained(str(SHIPPED))
    written = load_tokenizer(vocabulary)
    assert shipped.backend_tokenizer.normalizer.__getstate__() == written.backend_tokenizer.normalizer.__getstate__()
    for setting in ("words_max_length", "model_max_length", "negative_takes_out", "wordless_prompts"):
        assert shipped.init_kwargs[setting] == written.init_kwargs[setting]


def test_an_unknown_word_falls_to_pieces_and_never_fails(tmp_path: Path) -> None:
    from tokenizer import load_tokenizer

    tokenizer = load_tokenizer(tmp_path)
    assert len(tokenizer.tokenize("xylophone 🦠 Привет")) > 3
    assert tokenizer.unk_token_id not in tokenizer("xylophone 🦠 Привет", add_special_tokens=False)["input_ids"]


def test_unknown_words_are_left_out_with_the_little_words_that_lead_to_them(vocabulary: Path) -> None:
    from tokenizer import load_tokenizer

    tokenizer = load_tokenizer(vocabulary)
    for said, read in (
        ("a cute cat sitting on a windowsill", "a cute cat"),
        ("a wolf howling at the moon", "a wolf at the moon"),
        ("a red double-decker bus in London", "a red bus"),
        ("a walrusoid on a white table", "a walrusoid on a white table"),  # nothing else is asked for
        ("a walrusoid on a chair", "a chair"),
        ("a cat in the snow, trending on artstation", "a cat in the snow, trending"),
        ("a red apple on a wooden table, high quality", "a red apple on a wooden table, high quality"),
        ("一只猫在沙发上", "一只猫在沙发上"),
    ):
        assert tokenizer(said)["input_ids"] == tokenizer(read)["input_ids"], said
