"""Stage 4a: the reading half of the text encoder, three layers of CLIP's text transformer that put a code together.

Trained on captions without their padding and with one layout position at the end, which makes it ten times cheaper than
the whole; text.py then writes the weights into a CLIPTextModel, where padding and layout positions are looked at by
nobody, so that every layout position reads the same code.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cache import CAPTIONS, TEXT_ROOM, Scenes, scene_of
from codes import CHOICES, CODE, FIRST_NOUN, FLAG, FREE, SECOND_NOUN, STARTS, STRONG, WIDTH, Coder
from common import Preset, Progress, batches, device, learning_rate, load, save_now_and_then, share_gradients, team
from meanings import meanings
from torch import nn
from torch.nn import functional
from transformers import CLIPTokenizer

LAYERS, HEADS, HEAD = 3, 4, 62  # a head of CLIP has 64 dimensions; two are kept for text.py's mask
INNER = HEADS * HEAD
USUAL = 32  # tokens of a caption, at most
UNSEEN = -30.0  # attention score of padding and layout positions


class ReadingLayer(nn.Module):
    """A layer of CLIP's text transformer, narrower inside; it writes to the FREE dimensions alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v = (nn.Linear(WIDTH, INNER) for _ in range(3))
        self.o = nn.Linear(INNER, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

    def attend(self, x: torch.Tensor, mask: torch.Tensor, free: torch.Tensor, last: bool) -> torch.Tensor:
        """The first half: (b, n, WIDTH) -> the same, or only the last position of it."""

        def heads(t: torch.Tensor) -> torch.Tensor:
            return t.view(len(x), -1, HEADS, HEAD).transpose(1, 2)

        h = self.norm1(x)
        k, v = heads(self.k(h)), heads(self.v(h))
        if last:
            h, x, mask = h[:, -1:], x[:, -1:], mask[:, :, -1:]
        seen = functional.scaled_dot_product_attention(heads(self.q(h)), k, v, attn_mask=mask, scale=64**-0.5)
        return x + self.o(seen.transpose(1, 2).reshape(len(x), -1, INNER)) * free

    def think(self, x: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        """The second half, the MLP: (..., WIDTH) -> the same."""
        h = self.up(self.norm2(x))
        return x + self.down(h * torch.sigmoid(1.702 * h)) * free


class Reader(nn.Module):
    """Token ids without their padding -> what stands in the FREE dimensions of a layout position, the code first."""

    free: torch.Tensor
    constant: torch.Tensor

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.pad = tokenizer.pad_token_id
        self.words = nn.Embedding(len(tokenizer), WIDTH)
        places = 0.1 * torch.randn(TEXT_ROOM, WIDTH)
        places[USUAL:] = 0  # hardly trained, so they had better be quiet
        self.places = nn.Parameter(places)
        self.readout = nn.Parameter(0.1 * torch.randn(WIDTH))
        self.layers = nn.ModuleList(ReadingLayer() for _ in range(LAYERS))
        constant = torch.zeros(WIDTH)
        constant[FREE] = constant[FLAG] = STRONG
        self.register_buffer("free", (torch.arange(WIDTH) < FREE).float())
        self.register_buffer("constant", constant)
        nn.init.normal_(self.words.weight, 0, 0.3)

    def look(self, ids: torch.Tensor) -> torch.Tensor:
        """(b, n) with n < TEXT_ROOM -> (b, FREE): the same before the last layer's MLP."""
        b, n = ids.shape
        words = (self.words(ids) + self.places[:n]) * self.free
        readout = (self.readout * self.free + self.constant).expand(b, 1, -1)
        x = torch.cat([words, readout], 1)
        known = torch.cat([ids != self.pad, torch.zeros(b, 1, dtype=torch.bool, device=ids.device)], 1)
        causal = torch.ones(n + 1, n + 1, dtype=torch.bool, device=ids.device).tril()
        mask = torch.where(causal[None] & known[:, None, :], 0.0, UNSEEN).masked_fill(~causal, -1e4)[:, None]
        for layer in list(self.layers)[:-1]:
            x = layer.think(layer.attend(x, mask, self.free, last=False), self.free)
        return self.layers[-1].attend(x, mask, self.free, last=True)[:, 0, :FREE]

    def whole(self, look: torch.Tensor) -> torch.Tensor:
        """(b, FREE) -> (b, WIDTH): with the constants that a layout position has beside it."""
        return torch.cat([look, self.constant[FREE:].expand(len(look), -1)], 1)

    def finish(self, look: torch.Tensor) -> torch.Tensor:
        """What `look` gave -> what stands in the FREE dimensions at the end, the code first."""
        return self.layers[-1].think(self.whole(look), self.free)[:, :FREE]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(b, n) with n < TEXT_ROOM -> (b, FREE)."""
        return self.finish(self.look(ids))


def trimmed(ids: torch.Tensor, pad: int) -> torch.Tensor:
    """Token ids (b, n) cut after the longest caption's end, and to what Reader takes."""
    longest = int((ids != pad).sum(-1).max()) + 1
    return ids[:, : min(longest, TEXT_ROOM - 1)]


def meaning_vector(meaning: str, coder: Coder, generator: torch.Generator) -> torch.Tensor:
    """What a word of this meaning starts as: the part of the code it stands for, and something to tell it by."""
    vector = torch.zeros(WIDTH)
    vector[CODE:FREE] = 0.5 * torch.randn(FREE - CODE, generator=generator)
    kind, _, name = meaning.partition(" ")
    if kind == "noun":
        row = coder.index[name]
        vector[:FIRST_NOUN] = 0.5 * torch.from_numpy(coder.first[row])
        vector[FIRST_NOUN : FIRST_NOUN + SECOND_NOUN] = 0.5 * torch.from_numpy(coder.second[row])
        vector[CODE] = 2
        return vector
    properties = ("colour", "second colour", "backdrop") if kind == "colour" else (kind.replace("side", "position"),)
    for which in properties:
        if name in CHOICES.get(which, ()):
            vector[STARTS[which] + CHOICES[which].index(name)] = 1
    if kind == "colour":
        vector[CODE + 1] = 2
    return vector


@torch.no_grad()
def start_reader(reader: Reader, tokenizer: CLIPTokenizer, coder: Coder, seed: int) -> None:
    """Words of one meaning start from one vector; branches start small."""
    generator = torch.Generator().manual_seed(seed)
    vocabulary = tokenizer.get_vocab()
    vectors: dict[str, torch.Tensor] = {}
    for word, meaning in sorted(meanings().items()):
        if meaning not in vectors:
            vectors[meaning] = meaning_vector(meaning, coder, generator)
        pieces = tokenizer.tokenize(word)
        if len(pieces) != 1:
            continue
        for symbol in (pieces[0], pieces[0].removesuffix("</w>")):
            if symbol in vocabulary:
                noise = 0.02 * torch.randn(WIDTH, generator=generator)
                reader.words.weight[vocabulary[symbol]] = vectors[meaning] + noise
    for layer in reader.layers:
        layer.o.weight.mul_(0.5)
        layer.down.weight.mul_(0.5)


@torch.no_grad()
def look_at_all(reader: Reader, scenes: Scenes, rows: np.ndarray) -> torch.Tensor:
    """`Reader.look` of every wording of these scenes: (scenes, CAPTIONS, FREE) float16."""
    where = next(reader.parameters()).device
    ids = torch.from_numpy(scenes.tokens[rows].astype(np.int64)).flatten(0, 1)
    made = torch.zeros(len(ids), FREE, dtype=torch.float16)
    order = (ids != reader.pad).sum(-1).argsort()  # captions of one length together waste nothing on padding
    for part in order.split(512):
        made[part] = reader.look(trimmed(ids[part], reader.pad).to(where)).half().cpu()
    return made.view(len(rows), CAPTIONS, FREE)


def load_reader(folder: Path, tokenizer: CLIPTokenizer) -> Reader:
    """The reader of the latest checkpoint."""
    reader = Reader(tokenizer)
    state = load(folder / "reader.pt")
    if state is not None:
        reader.load_state_dict(state["model"])
    return reader.eval().requires_grad_(False)


def train_reader(
    preset: Preset, folder: Path, seed: int, tokenizer: CLIPTokenizer, scenes: Scenes, coder: Coder
) -> None:
    """Train (or finish) the reader; `folder`/reader.pt is its checkpoint."""
    state = load(folder / "reader.pt") or {"step": 0}
    if state["step"] >= preset.reader_steps:
        return
    where, (rank, size) = device(), team()
    torch.manual_seed(seed)
    reader = Reader(tokenizer)
    if "model" in state:
        reader.load_state_dict(state["model"])
    else:
        start_reader(reader, tokenizer, coder, seed)
    reader.to(where).train()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1.5e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    share = max(1, preset.reader_batch // size)
    order = batches(len(scenes), share, seed + 17 * rank, state["step"])
    progress = Progress("reader", preset.reader_steps, preset.reader_batch, state["step"])
    parameters = list(reader.parameters())
    for step in range(state["step"], preset.reader_steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.reader_steps, 1.5e-3, warm=60)
        rows = next(order)
        ids = trimmed(scenes.words(rows, np.random.default_rng((seed, step, rank))), reader.pad)
        wanted = torch.from_numpy(np.stack([coder.code(scene_of(scenes.numbers[row])) for row in rows]))
        loss = (reader(ids.to(where))[:, :CODE] - wanted.to(where)).square().sum(-1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 3.0)
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
        save_now_and_then(folder / "reader.pt", step + 1, preset.reader_steps, reader, optimizer)
