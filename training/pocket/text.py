"""The text encoder: reader and painter written into one ordinary CLIPTextModel.

A prompt leaves the last 64 positions to padding. The causal mask lets them see every word; layers 1-3 read the
prompt into a code at each of them, layers 4-5 paint: position 77 + j holds the features of cell j of an 8x8 picture,
which the denoiser copies (unet_start.py). What a transformer layer does not offer is built from what it does:

- Padding and layout positions are looked at by nobody: each head has a dimension in which their keys score -40.
- A hidden unit of the painter works at one position: all other positions' numbers push it far below zero.
- A constant that only one position gets: two units a step apart, both in the activation's linear part there.
"""

from __future__ import annotations

from pathlib import Path

import torch
from codes import CELLS, FEATURES, FLAG, FREE, SPARE, STRONG, WIDTH, WORD
from common import Preset
from features import Features, load_features
from painter import FEATURE_PLACES, Composer, Painter, composer_units, load_painter
from reader import HEAD, HEADS, INNER, LAYERS, Reader, ReadingLayer, load_reader
from tokenizer import LENGTH, token_ids
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

OFF = 8.0  # times 2 or more: how far below zero a switched-off unit is pushed
HEAVY = 36.0  # added to the flag at the end, so that the final norm scales every picture alike
POSITION_OUT, FLAG_OUT, CODE_OUT = 8.0, 4.0, 0.5  # scales in the finished states
SPARES = SPARE.stop - SPARE.start
POSITIONS = slice(FREE, FREE + CELLS)


def text_model(preset: Preset, folder: Path, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder of the latest checkpoints in `folder`."""
    return build_text(load_reader(folder, tokenizer), load_painter(preset, folder), load_features(folder), tokenizer)


def layout_states(painter: Painter, reader: Reader, look: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    """What the whole encoder says at its layout positions, (b, CELLS, WIDTH), a hundred times cheaper.

    `look` (b, FREE) is what the reader looked at, `norm` the encoder's last one.
    """
    code = painter.compose(reader, look)
    x = torch.zeros(len(look), CELLS, WIDTH, device=look.device)
    x[..., :FREE] = code[:, None]
    x[..., POSITIONS] = STRONG * torch.eye(CELLS, device=look.device)
    x[..., FLAG] = STRONG + HEAVY
    x[..., FEATURE_PLACES] = painter(code)
    return norm(x)


def _body(model: CLIPTextModel) -> nn.Module:
    return model.text_model if hasattr(model, "text_model") else model


def _position_blind(weight: torch.Tensor) -> torch.Tensor:
    """Columns for the cells' positions that all read like the first, the only one the reader was trained with."""
    weight = weight.clone()
    rest = weight[:, POSITIONS].sum(1) - CELLS * weight[:, FREE]
    weight[:, POSITIONS] = weight[:, FREE : FREE + 1]
    weight[:, SPARE] += rest[:, None] / SPARES
    return weight


def _fold(linear: nn.Linear, norm: nn.LayerNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the layer with the norm's scale and shift worked in."""
    return _position_blind(linear.weight * norm.weight), linear.bias + linear.weight @ norm.bias


@torch.no_grad()
def build_text(reader: Reader, painter: Painter, features: Features, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The model, in evaluation mode."""
    units = painter.layers[0].bias.shape[-1]
    model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=INNER + 2 * CELLS + composer_units(units),
            num_hidden_layers=LAYERS + 2,
            num_attention_heads=WIDTH // 64,
            max_position_embeddings=LENGTH,
            hidden_act="quick_gelu",
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    for parameter in model.parameters():
        parameter.zero_()
    body = _body(model)
    for layer in body.encoder.layers:
        layer.layer_norm1.weight.fill_(1)
        layer.layer_norm2.weight.fill_(1)
    _write_embeddings(body.embeddings, reader)
    for layer, source in zip(body.encoder.layers, reader.layers, strict=False):
        _write_reading(layer, source, reader.free)
    _write_means(body.encoder.layers[LAYERS - 1].mlp, painter)
    _write_composer(body.encoder.layers[LAYERS - 1].mlp, painter.composer)
    for number, source in enumerate(painter.layers):
        _write_painting(body.encoder.layers[LAYERS + number].mlp, source)
    body.encoder.layers[-1].mlp.fc2.bias[FLAG] += HEAVY
    _write_norm(body, features, tokenizer)
    return model.eval()


def _write_embeddings(embeddings: nn.Module, reader: Reader) -> None:
    words, places = embeddings.token_embedding.weight, embeddings.position_embedding.weight
    words.copy_(reader.words.weight * reader.free)
    words[reader.pad, FLAG] = STRONG
    room = len(reader.places)
    places[:room] = reader.places * reader.free
    places[room:] = (reader.readout - reader.words.weight[reader.pad]) * reader.free
    places[room:, POSITIONS] = STRONG * torch.eye(CELLS)


def _write_reading(layer: nn.Module, source: ReadingLayer, free: torch.Tensor) -> None:
    attention = layer.self_attn
    rows = torch.cat([torch.arange(HEAD) + 64 * head for head in range(HEADS)])
    for linear, target in (
        (source.q, attention.q_proj),
        (source.k, attention.k_proj),
        (source.v, attention.v_proj),
    ):
        target.weight[rows], target.bias[rows] = _fold(linear, source.norm1)
    for head in range(HEADS):
        row = 64 * head + HEAD
        attention.q_proj.bias[row] = 8.0
        attention.k_proj.weight[row, FLAG] = -4.0
        attention.k_proj.weight[row, SPARE] = 4.0 / SPARES  # takes back what layer norm makes of zero
    attention.out_proj.weight[:, rows] = source.o.weight * free[:, None]
    attention.out_proj.bias.copy_(source.o.bias * free)
    layer.mlp.fc1.weight[:INNER], layer.mlp.fc1.bias[:INNER] = _fold(source.up, source.norm2)
    layer.mlp.fc2.weight[:, :INNER] = source.down.weight * free[:, None]
    layer.mlp.fc2.bias.copy_(source.down.bias * free)


def _write_means(mlp: nn.Module, painter: Painter) -> None:
    """At position j the painter's starting features; everywhere else a sign that this is a word."""
    for j in range(CELLS):
        for which, (sign, below) in enumerate(((1, 0.0), (-1, 1.0))):
            row = INNER + 2 * j + which
            mlp.fc1.weight[row, FREE + j] = 3.0
            mlp.fc1.bias[row] = -12.0 - below
            mlp.fc2.weight[FEATURE_PLACES, row] = sign * painter.mean[j]
            mlp.fc2.weight[WORD, row] = -6.0 * sign
    mlp.fc2.bias[WORD] += 6.0


def _write_composer(mlp: nn.Module, composer: Composer) -> None:
    first = INNER + 2 * CELLS
    rows = slice(first, first + composer.up.out_features)
    mlp.fc1.weight[rows], mlp.fc1.bias[rows] = _fold(composer.up, composer.norm)
    mlp.fc2.weight[:FREE, rows] = composer.down.weight


def _write_painting(mlp: nn.Module, source: nn.Module) -> None:
    weight = (source.down * source.norm.weight[None, :, None]).permute(0, 2, 1).clone()  # (cells, units, width)
    bias = source.bias[:, 0] + torch.einsum("w,jwu->ju", source.norm.bias, source.down)
    weight[:, :, SPARE] += ((weight[:, :, WORD] + OFF) / SPARES)[..., None]
    weight[:, :, WORD] = -OFF
    for j in range(CELLS):
        others = [FREE + i for i in range(CELLS) if i != j]
        trained = weight[j][:, others].sum(1)
        weight[j][:, others] = -OFF
        weight[j][:, SPARE] += ((trained + len(others) * OFF) / SPARES)[:, None]
    rows = bias.numel()
    mlp.fc1.weight[:rows] = weight.reshape(rows, WIDTH)
    mlp.fc1.bias[:rows] = bias.reshape(rows)
    mlp.fc1.bias[rows:] = 0
    mlp.fc2.weight[FEATURE_PLACES, :rows] = source.up.permute(2, 0, 1).reshape(FEATURES, rows)
    mlp.fc2.bias[FEATURE_PLACES] = source.out


def _write_norm(body: nn.Module, features: Features, tokenizer: CLIPTokenizer) -> None:
    """The final norm leaves features of deviation 1 and positions of POSITION_OUT, measured on one prompt."""
    seen: dict[str, torch.Tensor] = {}
    hook = body.final_layer_norm.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    texts = ["a red apple on a white table", "a cat", "two blue cars in the snow", "a dog on the beach"]
    body(input_ids=torch.tensor(token_ids(tokenizer, texts)))
    hook.remove()
    x = seen["x"][:, -CELLS:]
    scale, mean = x.std(-1, correction=0).mean(), x.mean()
    norm = body.final_layer_norm
    norm.weight.fill_(CODE_OUT)
    norm.weight[POSITIONS] = POSITION_OUT * scale / STRONG
    norm.bias[POSITIONS] = POSITION_OUT * mean / STRONG
    norm.weight[FLAG:] = 0
    norm.bias[FLAG] = FLAG_OUT
    norm.weight[FEATURE_PLACES] = scale / features.deviation
    norm.bias[FEATURE_PLACES] = (mean - features.mean) / features.deviation
