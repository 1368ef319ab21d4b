"""The reading half of the text encoder, three layers of CLIP's text transformer that put codes together.

Trained on captions without their padding and with one position a role at the end, which makes it ten times cheaper
than the whole; encoder.py then writes the weights into a CLIPTextModel, where padding and layout positions are looked
at by nobody, so that every layout position of a role reads the same code.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from captions import COMPLAINTS, caption
from common import Progress, device, learning_rate, load, save
from drawing import numbered
from meanings import meanings
from roles import CODE, FLAG, FREE, ROLE, ROLES, STEADY, STRONG, WIDTH, WORDS, Coder
from scenes import COMPOSED, SHOWPIECE_SCENES, Scene, Thing
from tokenizer import load_tokenizer
from torch import nn
from torch.nn import functional
from transformers import CLIPTokenizer
from words import COLOURS, PLACES, nouns

LAYERS, HEADS, HEAD = 3, 6, 62  # a head of CLIP has 64 dimensions; two are kept for encoder.py's mask
INNER = HEADS * HEAD
USUAL = 32  # tokens of a caption, at most
UNSEEN = -30.0  # attention score of padding and layout positions
CHINESE_SHARE = 0.4
SILENT = 0.03  # share of empty prompts
PLAIN = 0.2  # share of prompts that name one thing, and at most its colour: what people type first
NEAR = 0.2  # share of prompts that are nearly an example of the documentation, so that they are not taken for it
KEPT = 0.6  # how often such a prompt keeps what the example says


class ReadingLayer(nn.Module):
    """A layer of CLIP's text transformer, narrower inside; it writes to the FREE dimensions alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v = (nn.Linear(WIDTH, INNER) for _ in range(3))
        self.o = nn.Linear(INNER, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * INNER), nn.Linear(2 * INNER, WIDTH)

    def attend(self, x: torch.Tensor, mask: torch.Tensor, free: torch.Tensor, last: int) -> torch.Tensor:
        """The first half: (b, n, WIDTH) -> the same, or only the `last` positions of it."""

        def heads(t: torch.Tensor) -> torch.Tensor:
            return t.view(len(x), -1, HEADS, HEAD).transpose(1, 2)

        h = self.norm1(x)
        k, v = heads(self.k(h)), heads(self.v(h))
        if last:
            h, x, mask = h[:, -last:], x[:, -last:], mask[:, :, -last:]
        seen = functional.scaled_dot_product_attention(heads(self.q(h)), k, v, attn_mask=mask, scale=64**-0.5)
        return x + self.o(seen.transpose(1, 2).reshape(len(x), -1, INNER)) * free

    def think(self, x: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        """The second half, the MLP: (..., WIDTH) -> the same."""
        h = self.up(self.norm2(x))
        return x + self.down(h * torch.sigmoid(1.702 * h)) * free


class Reader(nn.Module):
    """Token ids without their padding -> what stands in the FREE dimensions at each role, the code first."""

    free: torch.Tensor
    constant: torch.Tensor

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.pad = tokenizer.pad_token_id
        self.words = nn.Embedding(len(tokenizer), WIDTH)
        places = 0.1 * torch.randn(WORDS, WIDTH)
        places[USUAL:] = 0  # hardly trained, so they had better be quiet
        self.places = nn.Parameter(places)
        self.readout = nn.Parameter(0.3 * torch.randn(len(ROLES), WIDTH))
        self.layers = nn.ModuleList(ReadingLayer() for _ in range(LAYERS))
        constant = torch.zeros(len(ROLES), WIDTH)
        constant[:, [STEADY.start, STEADY.start + 8, FLAG]] = STRONG
        constant[:, ROLE] = STRONG * torch.eye(len(ROLES))
        self.register_buffer("free", (torch.arange(WIDTH) < FREE).float())
        self.register_buffer("constant", constant)
        nn.init.normal_(self.words.weight, 0, 0.3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(b, n) with n < WORDS -> (b, roles, FREE)."""
        b, n = ids.shape
        roles = len(ROLES)
        words = (self.words(ids) + self.places[:n]) * self.free
        readout = (self.readout * self.free + self.constant).expand(b, roles, -1)
        x = torch.cat([words, readout], 1)
        known = torch.cat([ids != self.pad, torch.zeros(b, roles, dtype=torch.bool, device=ids.device)], 1)
        causal = torch.ones(n + roles, n + roles, dtype=torch.bool, device=ids.device).tril()
        mask = torch.where(causal[None] & known[:, None, :], 0.0, UNSEEN).masked_fill(~causal, -1e4)[:, None]
        for number, layer in enumerate(self.layers):
            last = roles if number == LAYERS - 1 else 0
            x = layer.think(layer.attend(x, mask, self.free, last), self.free)
        return x[..., :FREE]


@torch.no_grad()
def start_reader(reader: Reader, tokenizer: CLIPTokenizer, coder: Coder, seed: int) -> None:
    """Words of one meaning start from one vector, nouns near their own code; branches start small."""
    generator = torch.Generator().manual_seed(seed)
    vocabulary = tokenizer.get_vocab()
    vectors: dict[str, torch.Tensor] = {}
    for word, meaning in sorted(meanings().items()):
        if meaning not in vectors:
            vector = 0.4 * torch.randn(WIDTH, generator=generator)
            kind, _, name = meaning.partition(" ")
            if kind == "noun":
                vector[:CODE] = 0.7 * torch.from_numpy(coder.thing(name, None))
            vectors[meaning] = vector
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


def load_reader(folder: Path, tokenizer: CLIPTokenizer) -> Reader:
    """The reader of the latest checkpoint."""
    reader = Reader(tokenizer)
    state = load(folder / "reader.pt")
    if state is not None:
        reader.load_state_dict(state["model"])
    return reader.eval().requires_grad_(False)


# Plain prompts with which an example or a style begins, so that they are easily taken for it; and what they mean.
PRONE = (
    ("a cat", "cat", None), ("猫", "cat", None), ("a red cat", "cat", "red"), ("红色猫", "cat", "red"),
    ("a blue bird", "bird", "blue"), ("blue bird", "bird", "blue"), ("蓝色的鸟", "bird", "blue"),
    ("a red apple", "apple", "red"), ("red apple", "apple", "red"), ("红色苹果", "apple", "red"),
    ("a red squirrel", "squirrel", "red"), ("a pencil", "pencil", None), ("a red pencil", "pencil", "red"),
)  # fmt: skip
PRONE_SHARE = 0.05


def plain_scene(rng: random.Random) -> Scene:
    """One thing, in a colour or none."""
    return Scene((Thing(rng.choice(list(nouns())), rng.choice([None, rng.choice(list(COLOURS))])),))


def near_scene(rng: random.Random) -> Scene:
    """An example of the documentation with other things, colours, numbers or another place; never held out."""
    while True:
        scene = rng.choice(list(COMPOSED.values()))
        things = tuple(
            Thing(
                thing.noun if rng.random() < KEPT else rng.choice(list(nouns())),
                thing.colour if rng.random() < KEPT else rng.choice([None, *COLOURS]),
                thing.count if rng.random() < KEPT or len(scene.things) > 1 else rng.randint(1, 4),
            )
            for thing in scene.things
        )
        place = scene.place if rng.random() < KEPT else rng.choice([*PLACES, "table", None] if things else [*PLACES])
        backdrop = rng.choice([None, *COLOURS]) if place == "table" or not place else None
        style = scene.style if rng.random() < KEPT else None
        scene = replace(scene, things=things, place=place, backdrop=backdrop, style=style)
        if not scene.is_held_out:
            return scene


@lru_cache(maxsize=1)
def _examples() -> dict[str, Scene]:
    return {text: scene for scene in SHOWPIECE_SCENES for text in (*scene.fixed, *scene.fixed_chinese)}


def wordings(tokenizer: CLIPTokenizer, coder: Coder, numbers: range) -> tuple[torch.Tensor, torch.Tensor]:
    """One caption of each scene as token ids, and what the roles should say of it."""
    texts, codes = [], []
    for number in numbers:
        scene, _ = numbered(number)
        rng = random.Random(number + 1)
        kind = rng.random()
        if kind < PLAIN + NEAR:
            scene = plain_scene(rng) if kind < PLAIN else near_scene(rng)
        text = "" if rng.random() < SILENT else caption(scene, rng, rng.random() < CHINESE_SHARE)
        nothing = not text or any(text in complaints for complaints in COMPLAINTS)  # that names nothing to be drawn
        scene = _examples().get(text, scene)  # words of an example mean it
        if rng.random() < PRONE_SHARE:
            text, noun, colour = rng.choice(PRONE)
            scene, nothing = Scene((Thing(noun, colour),)), False
        texts.append(text)
        codes.append(coder.code(Scene() if nothing else scene))
    rows = tokenizer(texts, truncation=True, max_length=WORDS)["input_ids"]
    longest = min(max(map(len, rows)) + 1, WORDS - 1)
    ids = [(row + [tokenizer.pad_token_id] * longest)[:longest] for row in rows]
    return torch.tensor(ids), torch.from_numpy(np.stack(codes))


def train_reader(folder: Path, steps: int, batch: int = 64) -> None:
    """Train (or finish) the reader; `folder`/reader.pt is its checkpoint."""
    state = load(folder / "reader.pt") or {"step": 0}
    if state["step"] >= steps:
        return
    torch.manual_seed(0)
    tokenizer, coder = load_tokenizer(folder / "tokenizer"), Coder(folder)
    reader = Reader(tokenizer)
    if "model" in state:
        reader.load_state_dict(state["model"])
    else:
        start_reader(reader, tokenizer, coder, 0)
    where = device()
    reader.to(where)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1.5e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    progress = Progress("reader", steps, batch, state["step"])
    saved = time.monotonic()
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, 1.5e-3, warm=60)
        first = 500_000_000 + step * batch
        ids, wanted = wordings(tokenizer, coder, range(first, first + batch))
        with torch.autocast(where.type, torch.bfloat16):
            made = reader(ids.to(where))[..., :CODE]
        loss = (made.float() - wanted.to(where)).square().sum(-1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reader.parameters(), 3.0)
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            save(
                folder / "reader.pt",
                {"step": step + 1, "model": reader.state_dict(), "optimizer": optimizer.state_dict()},
            )
