"""Attention by construction: both attentions of a transformer block, in which nothing is but what is written here."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from circuit import Channels, Linear
from roles import SPARE, WIDTH
from torch import nn


@dataclass
class Attentions:
    """One transformer block's, with the channels of its stream."""

    channels: Channels
    block: nn.Module

    def __post_init__(self) -> None:
        for attention in (self.block.attn1, self.block.attn2):
            for layer in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0]):
                layer.weight.data.zero_()
            attention.to_out[0].bias.data.zero_()
        for norm in (self.block.norm1, self.block.norm2, self.block.norm3):
            norm.weight.data.fill_(self.channels.scale)
            norm.bias.data.zero_()
        self.head = self.block.attn1.to_q.out_features // self.block.attn1.heads

    @torch.no_grad()
    def mean(self, values: list[tuple[Linear, str]]) -> None:
        """Each cell gets the mean of these over the picture."""
        attention = self.block.attn1
        for number, (value, target) in enumerate(values):
            attention.to_v.weight[number] = self.channels.row(value, constant=True)[0]
            attention.to_out[0].weight[self.channels.at[target], number] = 1

    @torch.no_grad()
    def look(self, asks: list[tuple[Linear, torch.Tensor]], values: list[tuple[torch.Tensor, str]]) -> None:
        """One head: scores are the sum of ask * key; of what is found, each value is added to its channel."""
        attention = self.block.attn2
        for number, (ask, key) in enumerate(asks):
            attention.to_q.weight[number] = self.channels.row(ask, constant=True)[0] * self.head**0.5
            attention.to_k.weight[number] = key
        for number, (value, target) in enumerate(values):
            attention.to_v.weight[number] = value
            attention.to_out[0].weight[self.channels.at[target], number] += 1

    @torch.no_grad()
    def shift(self, target: str, constant: float) -> None:
        """Added to what a look finds."""
        self.block.attn2.to_out[0].bias[self.channels.at[target]] += constant


def said(places: dict[int, float]) -> torch.Tensor:
    """(WIDTH,): what reads these numbers of the text encoder."""
    row = torch.zeros(WIDTH)
    for place, weight in places.items():
        row[place] = weight
    return steady(row)


def steady(row: torch.Tensor) -> torch.Tensor:
    """Without what the text encoder's last norm makes of zero."""
    row = row.clone()
    row[SPARE] -= row.sum() / (SPARE.stop - SPARE.start)
    return row


def scaled_keys(weights: dict[int, float], factor: float) -> dict[int, float]:
    """Every weight times the factor."""
    return {key: factor * weight for key, weight in weights.items()}
