"""The text encoder: reader and painter written into one ordinary CLIPTextModel.

A prompt leaves the last positions to padding. The causal mask lets them see every word; layers 1-3 read the prompt
into a code at each of them, by its role; layers 4-5 paint the cells of the first and the second thing, which stand
behind the words, before a position for the background and one that says how all is laid out. What a transformer layer
does not offer is built from what it does:

- Padding and layout positions are looked at by nobody: each head has a dimension in which their keys score -30.
- A hidden unit of the painter works at one cell: at others its line or its column misses, which pushes it far below 0.
"""

from __future__ import annotations

from pathlib import Path

import torch
from cells import GRID
from painting import UNITS, Painter, PaintingLayer, load_painter
from reading import HEAD, HEADS, LAYERS, Reader, ReadingLayer, load_reader
from roles import CELLS, COLUMNS, FEATURE_PLACES, FLAG, LENGTH, LINES, SPARE, STRONG, WIDTH, WORDS, marks, role_of
from tokenizer import token_ids
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

OFF = 8.0  # times 2 or more: how far below zero a switched-off unit is pushed
HEAVY = 300.0  # added to the flag at the end, so that the final norm scales every position alike
SPARES = SPARE.stop - SPARE.start


def text_model(folder: Path, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder of the latest checkpoints in `folder`."""
    return build_text(load_reader(folder, tokenizer), load_painter(folder), tokenizer)


def _body(model: CLIPTextModel) -> nn.Module:
    return model.text_model if hasattr(model, "text_model") else model


def _position_blind(weight: torch.Tensor) -> torch.Tensor:
    """Columns for lines and columns that all read like the first, the only one the reader was trained with."""
    weight = weight.clone()
    for places in (LINES, COLUMNS):
        first = weight[:, places.start : places.start + 1]
        rest = weight[:, places].sum(1, keepdim=True) - GRID * first
        weight[:, places] = first
        weight[:, SPARE] += rest / SPARES
    return weight


def _fold(linear: nn.Linear, norm: nn.LayerNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the layer with the norm's scale and shift worked in."""
    return _position_blind(linear.weight * norm.weight), linear.bias + linear.weight @ norm.bias


@torch.no_grad()
def build_text(reader: Reader, painter: Painter, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The model, in evaluation mode."""
    model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=CELLS * UNITS,
            num_hidden_layers=LAYERS + 2,
            num_attention_heads=HEADS,
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
    for number, source in enumerate(painter.layers):
        _write_painting(body.encoder.layers[LAYERS + number].mlp, source)
    body.encoder.layers[-1].mlp.fc2.bias[FLAG] += HEAVY
    _write_norm(body, tokenizer)
    return model.eval()


def _write_embeddings(embeddings: nn.Module, reader: Reader) -> None:
    words, places = embeddings.token_embedding.weight, embeddings.position_embedding.weight
    words.copy_(reader.words.weight * reader.free)
    words[reader.pad, FLAG] = STRONG
    places[:WORDS] = reader.places * reader.free
    places[WORDS:] = marks()
    places[WORDS:, FLAG] = 0  # padding has it already
    places[WORDS:] += (reader.readout[role_of()] - reader.words.weight[reader.pad]) * reader.free


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
        attention.k_proj.weight[row, FLAG] = -6.0
        attention.k_proj.weight[row, SPARE] = 6.0 / SPARES  # takes back what layer norm makes of zero
    attention.out_proj.weight[:, rows] = source.o.weight * free[:, None]
    attention.out_proj.bias.copy_(source.o.bias * free)
    inner = source.up.out_features
    layer.mlp.fc1.weight[:inner], layer.mlp.fc1.bias[:inner] = _fold(source.up, source.norm2)
    layer.mlp.fc2.weight[:, :inner] = source.down.weight * free[:, None]
    layer.mlp.fc2.bias.copy_(source.down.bias * free)


def _write_painting(mlp: nn.Module, source: PaintingLayer) -> None:
    down = source.down * source.seen
    weight = (down * source.norm.weight[:, None]).permute(0, 2, 1).clone()  # (cells, units, width)
    bias = source.bias[:, 0] + torch.einsum("w,jwu->ju", source.norm.bias, down)
    for cell in range(CELLS):
        line, column = divmod(cell, GRID)
        weight[cell][:, LINES.start + line] += OFF
        weight[cell][:, COLUMNS.start + column] += OFF
        weight[cell][:, FLAG] -= 2 * OFF
    rows = bias.numel()
    mlp.fc1.weight[:rows] = weight.reshape(rows, WIDTH)
    mlp.fc1.bias[:rows] = bias.reshape(rows)
    mlp.fc2.weight[FEATURE_PLACES, :rows] = source.up.permute(2, 0, 1).reshape(-1, rows)


def _write_norm(body: nn.Module, tokenizer: CLIPTokenizer) -> None:
    """The final norm gives everything back as it was, measured on some prompts; only the flag is dropped."""
    seen: dict[str, torch.Tensor] = {}
    hook = body.final_layer_norm.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    texts = ["a red apple on a white table", "a cat", "two blue cars in the snow", "a dog and a bird"]
    body(input_ids=torch.tensor(token_ids(tokenizer, texts, LENGTH)))
    hook.remove()
    x = seen["x"][:, WORDS:]
    norm = body.final_layer_norm
    norm.weight.fill_(x.std(-1, correction=0).mean())
    norm.bias.fill_(x.mean())
    norm.weight[FLAG] = norm.bias[FLAG] = 0
