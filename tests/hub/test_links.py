"""What people paste where the name of a model belongs."""

import pytest

from app.core.hub_links import model_named


@pytest.mark.parametrize(
    ("pasted", "name"),
    [
        ("https://huggingface.co/stabilityai/sdxl-turbo", "stabilityai/sdxl-turbo"),
        (" https://huggingface.co/stabilityai/sdxl-turbo/tree/main/unet?x=1#y ", "stabilityai/sdxl-turbo"),
        ("huggingface.co/stabilityai/sdxl-turbo/", "stabilityai/sdxl-turbo"),
        ("https://hf.co/a.b/c_d", "a.b/c_d"),
        ("stabilityai/sdxl-turbo", "stabilityai/sdxl-turbo"),
        (" pocket ", "pocket"),
        ("https://huggingface.co/stabilityai", "https://huggingface.co/stabilityai"),
        ("https://huggingface.co/datasets/a/b", "https://huggingface.co/datasets/a/b"),
        ("https://huggingface.co.evil.example/a/b", "https://huggingface.co.evil.example/a/b"),
        ("not a name", "not a name"),
    ],
)
def test_the_address_of_a_models_page_is_its_name(pasted: str, name: str) -> None:
    assert model_named(pasted) == name
