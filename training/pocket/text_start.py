"""A head start for the text encoder: before any training it already lays out one plain thing for one noun.

Gradient descent needs hundreds of thousands of captions to find out what 200 nouns look like; least squares needs
their pictures once. The residual stream is divided by hand: CODE holds a noun's picture as principal components,
FLAGS say "I am a noun" / "I am layout position j", PATCH collects a layout position's 8x8x4 patch. In the first
layer two heads copy the code of the noun to the layout positions and the MLP, 1/16 of its units switched on by each
position, multiplies it with that position's matrix. All of it stays trainable; training adds colours, places,
counts, sizes and everything else.
"""

from __future__ import annotations

import random
import re

import numpy as np
import torch
from cache import encode
from diffusers import AutoencoderKL
from scenes import Scene, Thing, draw_scene
from text import GRID, TextModel
from tokenizer import LAYOUT, token_ids
from transformers import CLIPTokenizer
from words import COLOURS, COUNTS, PLACES, QUALITIES, SIDES, SIZES, STYLES, nouns

NOUN_FLAG, LAYOUT_FLAG = 8.0, 12.0  # large against everything else, so that layer norm scales all alike
SWITCH = 4.0  # a switched-on unit sits at +SWITCH, where the activation is linear; the others at -SWITCH, where it is 0


class Division:
    """Which of the width's dimensions mean what."""

    def __init__(self, width: int) -> None:
        self.code = slice(0, 3 * width // 8)
        start = 3 * width // 8
        self.noun, self.layout = start, start + 1
        self.position = slice(width // 2 - LAYOUT, width // 2)
        self.patch = slice(width // 2, width)


def meanings() -> dict[str, str]:
    """word -> what it means, for every word that means one thing only; words of one meaning start alike."""
    said: dict[str, set[str]] = {}

    def tell(phrases: tuple[str, ...], meaning: str) -> None:
        for phrase in phrases:
            for word in re.findall("[a-z0-9]+|[\u4e00-\u9fff]+", phrase.lower()):
                said.setdefault(word.strip("在里上中的"), set()).add(meaning)
                said.setdefault(word, set()).add(meaning)

    for noun in nouns().values():
        for one, many in noun.english:
            plural = many.split()[0] if " of " in many else many.split()[-1]
            tell((one.split()[-1], plural), f"noun {noun.key}")
        tell(noun.chinese, f"noun {noun.key}")
    for name, (_, english, chinese) in COLOURS.items():
        tell(english + chinese, f"colour {name}")
    for kind, table in (
        ("place", PLACES),
        ("style", STYLES),
        ("quality", QUALITIES),
        ("side", SIDES),
        ("size", SIZES),
        ("count", COUNTS),
    ):
        for name, (english, chinese) in table.items():
            tell(english + chinese, f"{kind} {name}")
    return {word: next(iter(found)) for word, found in said.items() if len(found) == 1 and word}


def noun_pictures(vae: AutoencoderKL) -> np.ndarray:
    """The latent of every noun alone in the studio: (nouns, 4, 32, 32) float32."""
    rng = random.Random(0)
    pixels = np.stack([np.asarray(draw_scene(Scene((Thing(key),)), rng)) for key in nouns()])
    return encode(vae, pixels).astype(np.float32)


def noun_codes(pictures: np.ndarray, size: int) -> np.ndarray:
    """The main components of the pictures, half-whitened so that small features count: (nouns, size)."""
    flat = pictures.reshape(len(pictures), -1)
    u, s, _ = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    codes = np.zeros((len(flat), size), np.float32)
    parts = min(size, len(s))
    codes[:, :parts] = u[:, :parts] * np.sqrt(s[:parts])
    return 0.5 * codes / codes.std()


def patches_of(pictures: np.ndarray) -> np.ndarray:
    """(n, 4, 32, 32) -> (n, 16, 256): what each layout position answers for, as TextModel.forward puts it together."""
    n = len(pictures)
    return pictures.reshape(n, 4, GRID, 8, GRID, 8).transpose(0, 2, 4, 1, 3, 5).reshape(n, LAYOUT, 256)


@torch.no_grad()
def _start_tokens(model: TextModel, tokenizer: CLIPTokenizer, codes: dict[str, np.ndarray], d: Division) -> None:
    """Token vectors from meanings; nouns carry their code and the noun flag."""
    table = model.encoder.get_input_embeddings().weight
    width = table.shape[1]
    rng = np.random.default_rng(2)
    table.normal_(0, 0.3)
    table[:, d.noun : d.position.stop] *= 0.3
    vocabulary = tokenizer.get_vocab()
    for word, meaning in sorted(meanings().items()):
        if meaning not in codes:
            codes[meaning] = 0.3 * rng.normal(size=width)
        pieces = tokenizer.tokenize(word)
        if len(pieces) != 1:
            continue
        for symbol in (pieces[0], pieces[0].removesuffix("</w>")):
            if symbol in vocabulary:
                table[vocabulary[symbol]] = torch.from_numpy(codes[meaning] + 0.02 * rng.normal(size=width)).float()
    table[:, d.position] = 0
    table[:, d.layout] = 0


@torch.no_grad()
def _start_layers(model: TextModel, d: Division) -> None:
    """Positions, small residual branches, and the two heads of the first layer that copy the noun's code."""
    text = model.encoder.text_model if hasattr(model.encoder, "text_model") else model.encoder
    places = text.embeddings.position_embedding.weight
    places.normal_(0, 0.15)
    places[-LAYOUT:] = 0
    places[:, d.position] = 0
    places[:, d.layout] = 0
    places[-LAYOUT:, d.layout] = LAYOUT_FLAG
    places[-LAYOUT:, d.position] = 4.0 * torch.eye(LAYOUT)
    for layer in text.encoder.layers:
        layer.self_attn.out_proj.weight.mul_(0.3)
        layer.mlp.fc2.weight.mul_(0.3)
    attention = text.encoder.layers[0].self_attn
    size = d.code.stop
    head = attention.head_dim
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[:size].mul_(0.1)
    attention.v_proj.weight[:size] = 0
    attention.v_proj.weight[:size, :size] = torch.eye(size)
    attention.out_proj.weight[:, :size] = 0
    attention.out_proj.weight[:size, :size] = torch.eye(size)
    for first in range(0, size, head):
        attention.q_proj.weight[first, d.layout] = 0.5
        attention.k_proj.weight[first, d.noun] = 0.5


@torch.no_grad()
def _at_layout(model: TextModel, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the first MLP reads and what the final norm reads, at the layout positions: (n, 16, width) each."""
    text = model.encoder.text_model if hasattr(model.encoder, "text_model") else model.encoder
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        text.encoder.layers[0].mlp.register_forward_pre_hook(lambda _, args: seen.update(mlp=args[0])),
        text.final_layer_norm.register_forward_pre_hook(lambda _, args: seen.update(end=args[0])),
    ]
    model.encoder(input_ids=ids)
    for hook in hooks:
        hook.remove()
    return seen["mlp"][:, -LAYOUT:], seen["end"][:, -LAYOUT:]


@torch.no_grad()
def _start_first_mlp(model: TextModel, ids: torch.Tensor, wanted: torch.Tensor, d: Division) -> None:
    """Give each layout position its own least-squares map from the copied code to PATCH coordinates.

    `wanted` (nouns, 16, patch size) is what the PATCH dimensions should hold in the end.
    """
    text = model.encoder.text_model if hasattr(model.encoder, "text_model") else model.encoder
    mlp = text.encoder.layers[0].mlp
    read, _ = _at_layout(model, ids)
    units = mlp.fc1.weight.shape[0] // LAYOUT
    mlp.fc1.weight.mul_(0.02)
    mlp.fc2.weight.zero_()
    mlp.fc2.bias.zero_()
    mlp.fc1.bias.fill_(-SWITCH)
    for j in range(LAYOUT):
        code = read[:, j, d.code]
        centre = code.mean(0)
        x, y = code - centre, wanted[:, j] - wanted[:, j].mean(0)
        ridge = 0.02 * x.square().sum() / x.shape[1] * torch.eye(x.shape[1])
        weight = torch.linalg.solve(x.T @ x + ridge, x.T @ y)  # code -> patch
        _u, s, v = torch.linalg.svd(x @ weight, full_matrices=False)
        rank = min(units, len(s))
        down = weight @ v[:rank].T  # code -> rank
        scale = 2.2 / (x @ down).abs().amax(0).clamp(min=1e-6)
        block = slice(j * units, j * units + rank)
        mlp.fc1.weight[block, d.code] = (down * scale).T
        flag = read[:, j, d.position.start + j].mean()
        mlp.fc1.weight[block, d.position.start + j] = 2 * SWITCH / flag
        mlp.fc1.bias[block] = -SWITCH - (down * scale).T @ centre
        mlp.fc2.weight[d.patch, block] = (v[:rank] / scale[:, None]).T


@torch.no_grad()
def start_text(model: TextModel, tokenizer: CLIPTokenizer, vae: AutoencoderKL) -> None:
    """Set the weights as the module's first paragraph says."""
    width = model.head.in_features
    d = Division(width)
    keys = list(nouns())
    pictures = noun_pictures(vae)
    codes = {}
    for key, code in zip(keys, noun_codes(pictures, d.code.stop), strict=True):
        vector = np.zeros(width)
        vector[d.code] = code
        vector[d.noun] = NOUN_FLAG
        codes[f"noun {key}"] = vector
    _start_tokens(model, tokenizer, codes, d)
    _start_layers(model, d)
    patches = torch.from_numpy(patches_of(pictures))
    flat = patches.reshape(-1, 256)
    _, _, basis = torch.linalg.svd(flat, full_matrices=False)  # not centred: the mean picture is drawn with it too
    basis = basis[: d.patch.stop - d.patch.start]
    gain = 0.3 / (flat @ basis.T).std()
    wanted = gain * patches @ basis.T
    ids = torch.tensor(token_ids(tokenizer, [f"a {key}" for key in keys]))
    _start_first_mlp(model, ids, wanted, d)
    _, end = _at_layout(model, ids)
    spread = end.std(-1).mean()
    text = model.encoder.text_model if hasattr(model.encoder, "text_model") else model.encoder
    norm = text.final_layer_norm
    norm.weight[d.patch] = spread / 0.3  # PATCH leaves the encoder with deviation 1
    norm.weight[d.layout] = 0.1
    norm.weight[d.position] = 0.3
    model.head.weight.zero_()
    model.head.bias.zero_()
    model.head.weight[:, d.patch] = 0.3 / gain * basis.T
    places = text.embeddings.position_embedding.weight
    for _ in range(12):  # the constants: what every noun shares belongs to the position vectors
        missing = (patches - model.head(model.encoder(input_ids=ids).last_hidden_state[:, -LAYOUT:])).mean(0)
        places[-LAYOUT:, d.patch] += 0.5 * gain * missing @ basis.T
