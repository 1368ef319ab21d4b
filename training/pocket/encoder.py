"""The text encoder: reader and painter written into one ordinary CLIPTextModel.

A prompt leaves the last positions to padding. The causal mask lets them see every word; layers 1-3 read the prompt
into a code at each of them, by its role; layers 4-5 paint the cells of the first and the second thing, which stand
behind the words, before a position for the background and one that says how all is laid out. What a transformer layer
does not offer is built from what it does:

- Padding and layout positions are looked at by nobody: each head has a dimension in which their keys score -30.
- A hidden unit that paints works at one cell: at others its line or its column misses, which pushes it far below 0.
"""

from __future__ import annotations

from pathlib import Path

import torch
from painting import UNITS, UNLESS, Units, load_units
from reading import HEAD, HEADS, LAYERS, Reader, ReadingLayer, load_reader
from roles import (
    BALANCE,
    BEHIND_GRID,
    CODE,
    COLUMNS,
    FEATURE_PLACES,
    FEATURES,
    FLAG,
    IS_LARGE,
    IS_SMALL,
    LARGE,
    LARGE_CELLS,
    LENGTH,
    LINES,
    MORE_PLACES,
    OWN_COLOURS,
    ROLE,
    ROW,
    SMALL,
    SPARE,
    STRENGTH,
    STRONG,
    THING_CELLS,
    WEAK,
    WIDTH,
    WORDS,
    marks,
    role_of,
)
from tokenizer import token_ids
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

PAINTINGS = 4  # layers that paint
OFF = 60.0  # how far below zero a unit is pushed by a wrong line, column, size or role
HEAVY = 600.0  # added to the flag after reading, so that norms scale every position alike
STEP = 16.0  # quick_gelu is a switch over so much
SPARES = SPARE.stop - SPARE.start
PLACES = slice(LINES.start, SPARE.start)  # lines, columns, size


def text_model(folder: Path, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder of the latest checkpoints in `folder`."""
    return build_text(load_reader(folder, tokenizer), load_units(folder), tokenizer)


def _body(model: CLIPTextModel) -> nn.Module:
    return model.text_model if hasattr(model, "text_model") else model


def _fold(linear: nn.Linear, norm: nn.LayerNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the layer with the norm's scale and shift worked in, blind for lines and columns."""
    weight = linear.weight * norm.weight
    weight[:, SPARE] += weight[:, PLACES].sum(1, keepdim=True) / SPARES  # what the norm makes of zero
    weight[:, PLACES] = 0
    return weight, linear.bias + linear.weight @ norm.bias


@torch.no_grad()
def build_text(reader: Reader, units: Units, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The model, in evaluation mode."""
    model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=UNITS // PAINTINGS + 2,
            num_hidden_layers=LAYERS + PAINTINGS,
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
    body.encoder.layers[LAYERS - 1].mlp.fc2.bias[FLAG] += HEAVY
    body.encoder.layers[LAYERS - 1].mlp.fc2.bias[BALANCE] -= (
        HEAVY + 4 * STRONG
    )  # and what is constant, so that the mean is small
    scale = _scale_after_reading(body, tokenizer)
    # what waits for OWN_COLOURS comes last; a cell's units together, for only all of them are small
    order = (units.own.int() * 2 * THING_CELLS + units.cell).argsort(stable=True)
    room = UNITS // PAINTINGS
    for number in range(PAINTINGS):
        _write_painting(body.encoder.layers[LAYERS + number], units, order[number * room : (number + 1) * room], scale)
    _write_own_colours(body.encoder.layers[LAYERS].mlp, scale)
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


def _last_states(model: nn.Module, module: nn.Module, tokenizer: CLIPTokenizer) -> torch.Tensor:
    """What comes into this module at the layout positions of some prompts."""
    seen: dict[str, torch.Tensor] = {}
    hook = module.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    texts = ["a red apple on a white table", "a cat", "two blue cars in the snow", "a dog and a bird"]
    model(input_ids=torch.tensor(token_ids(tokenizer, texts)))
    hook.remove()
    return seen["x"][:, WORDS:]


def _scale_after_reading(body: nn.Module, tokenizer: CLIPTokenizer) -> float:
    """By how much the painting layers' norms divide: nearly the same at every layout position."""
    states = _last_states(body, body.encoder.layers[LAYERS].layer_norm2, tokenizer)
    return float(states.std(-1, correction=0).mean())


def _write_painting(layer: nn.Module, units: Units, own: torch.Tensor, scale: float) -> None:
    """These units; a unit works at the positions of its cell, of whatever role they are."""
    cell = units.cell[own]
    behind, large = cell >= THING_CELLS, cell < LARGE_CELLS
    side = torch.where(behind, BEHIND_GRID, torch.where(large, LARGE, SMALL))
    within = cell - torch.where(behind, THING_CELLS, torch.where(large, 0, LARGE_CELLS))
    rows = torch.arange(len(own))
    weight = torch.zeros(len(own), WIDTH)
    weight[:, LINES] = weight[:, COLUMNS] = -OFF / WEAK  # 0 at the own cell, whatever the norm divides by
    weight[rows, LINES.start + within // side] = weight[rows, COLUMNS.start + within % side] = 0
    weight[:, ROLE] = torch.where(behind[:, None], torch.tensor([1.0, 1, 0, 1]), torch.tensor([0.0, 0, 1, 1]))
    weight[:, ROLE] *= -OFF / STRONG
    weight[:, IS_SMALL] = torch.where(large, -OFF / WEAK, 0)
    weight[:, IS_LARGE] = torch.where(large, 0, -OFF / WEAK)
    weight[:, :CODE] = units.reads[own]
    weight[:, OWN_COLOURS] = UNLESS * units.own[own]
    layer.mlp.fc1.weight[: len(own)] = _blind_for_mean(weight * scale)
    layer.mlp.fc1.bias[: len(own)] = units.bias[own]
    layer.mlp.fc2.weight[FEATURE_PLACES, : len(own)] = units.adds[own, :FEATURES].T
    layer.mlp.fc2.weight[MORE_PLACES, : len(own)] = units.adds[own, FEATURES:].T


def _blind_for_mean(weight: torch.Tensor) -> torch.Tensor:
    """Rows that take back what a norm makes of zero, exactly also as float16, which the finished model is kept as."""
    weight = weight.half().double()
    most = slice(SPARE.start, SPARE.stop - 1)
    weight[:, most] = (-weight.sum(1, keepdim=True) / (SPARES - 1)).half().double()
    weight[:, SPARE.stop - 1] = -weight.sum(1)
    return weight.float()


def _write_own_colours(mlp: nn.Module, scale: float) -> None:
    """Two more units in the first layer that paints: exactly 1 or 0 from what the reader says nearly."""
    for number, below in ((-2, 0.0), (-1, STEP)):
        row = torch.zeros(WIDTH)
        row[ROW + 1] = 4 * STEP / STRENGTH
        mlp.fc1.weight[number] = _blind_for_mean(row[None] * scale)[0]
        mlp.fc1.bias[number] = -1.5 * STEP - below
        mlp.fc2.weight[OWN_COLOURS, number] = (-1 if below else 1) / STEP


def _write_norm(body: nn.Module, tokenizer: CLIPTokenizer) -> None:
    """The final norm gives everything back as it was, measured on some prompts; only the flag is dropped."""
    x = _last_states(body, body.final_layer_norm, tokenizer)
    norm = body.final_layer_norm
    norm.weight.fill_(x.std(-1, correction=0).mean())
    norm.bias.fill_(x.mean())
    norm.weight[[FLAG, BALANCE]] = norm.bias[[FLAG, BALANCE]] = 0
