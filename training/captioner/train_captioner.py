"""Trains the small captioner that is shipped: it says in English and Chinese what a picture of pocket's world shows.

    python training/captioner/train_captioner.py --work FOLDER --output models/pocket-captioner

It stops and goes on from FOLDER. The network is a ResNet with two layers of a ViT behind it that looks, and a GPT2
that words it. While it learns, each cell of the picture also names what lies there, and the middle of all cells names
the words of both captions: that is why words can be looked for in pictures with it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    DPTConfig,
    DPTModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    VisionEncoderDecoderModel,
    ViTImageProcessor,
)
from transformers.models.dpt.modeling_dpt import DPTViTPooler

sys.path.append(str(Path(__file__).parents[1] / "pocket"))
from figures import measure
from sights import CELLS, SIDE, Sight, sight
from wording import LANGUAGES, SPACE, SPECIAL, pieces, vocabulary
from words import COLOURS, nouns

WIDTH, BATCH, LEARNING_RATE, SEED = 160, 64, 2e-3, 11
ROOM = 28  # tokens of a caption, with its ends
BEAMS = 4  # sentences that are followed: a Chinese measure word must be chosen before the thing
SHARD = 2000
SAVE_SECONDS = 60
PAD, END, ENGLISH, CHINESE = (SPECIAL.index(name) for name in ("<pad>", "<end>", "<en>", "<zh>"))


def new_network() -> VisionEncoderDecoderModel:
    """2.4 million parameters."""
    widths = [32, 80, WIDTH]
    shapes = ResNetConfig(
        embedding_size=widths[0], hidden_sizes=widths, depths=[2, 2, 2], layer_type="basic",
        out_features=["stage1", "stage2", "stage3"],
    )  # fmt: skip
    looks = DPTConfig(
        is_hybrid=True, backbone_config=shapes, backbone_featmap_shape=[1, WIDTH, CELLS, CELLS], hidden_size=WIDTH,
        num_hidden_layers=2, num_attention_heads=4, intermediate_size=2 * WIDTH, image_size=SIDE,
        patch_size=SIDE // CELLS, neck_ignore_stages=[0, 1],
    )  # fmt: skip
    says = GPT2Config(
        vocab_size=len(vocabulary()), n_positions=ROOM, n_embd=WIDTH, n_layer=2, n_head=4, n_inner=2 * WIDTH,
        add_cross_attention=True, is_decoder=True, tie_word_embeddings=False, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=ENGLISH, eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    network = VisionEncoderDecoderModel(encoder=DPTModel(looks, add_pooling_layer=False), decoder=GPT2LMHeadModel(says))
    for config in (network.config, network.generation_config):
        config.decoder_start_token_id, config.eos_token_id, config.pad_token_id = ENGLISH, END, PAD
    network.generation_config.bos_token_id = ENGLISH
    network.generation_config.max_length = ROOM
    network.generation_config.num_beams = BEAMS
    return network


def new_tokenizer() -> PreTrainedTokenizerFast:
    """Words as they are in `vocabulary`; a sentence becomes the fewest of them."""
    unknown = SPECIAL.index("<unk>")
    made = Tokenizer(models.Unigram([(piece, -1.0) for piece in vocabulary()], unk_id=unknown, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme="never", split=False)
    made.decoder = decoders.Metaspace(SPACE, prepend_scheme="never")
    names = dict(
        zip(("pad_token", "eos_token", "bos_token", "additional_special_tokens", "unk_token"), SPECIAL, strict=True)
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, **names | {"additional_special_tokens": [SPECIAL[CHINESE]]})


class Aids(nn.Module):
    """What learning needs and the model does not: what lies under a cell, and how common a word is."""

    def __init__(self) -> None:
        super().__init__()
        self.noun, self.colour = nn.Linear(WIDTH, len(nouns()) + 1), nn.Linear(WIDTH, len(COLOURS) + 1)
        self.common = nn.Parameter(torch.full((len(vocabulary()),), -5.0))


@dataclass(frozen=True)
class Batch:
    """Pictures, what lies in their cells, their captions in each language (n, 2, ROOM), and the words of both."""

    pixels: Tensor
    nouns: Tensor
    colours: Tensor
    tokens: Tensor
    words: Tensor


class Sights:
    """The first `count` pictures of the series, drawn once and kept in `folder`, SHARD in a file."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.shards = []
        for first in range(0, count, SHARD):
            path = folder / f"{first}.npz"
            if not path.exists():
                _draw(path, first, min(SHARD, count - first))
            with np.load(path) as shard:
                self.shards.append({name: shard[name] for name in shard.files})
        self._count = count

    def batch(self, step: int, size: int) -> Batch:
        """The pictures of a step: all of them come once before one comes again."""
        per_round = max(1, self._count // size)
        order = np.random.default_rng((SEED, step // per_round)).permutation(self._count)
        rows = [divmod(int(n), SHARD) for n in order[step % per_round * size :][:size]]
        columns = {name: np.stack([self.shards[a][name][b] for a, b in rows]) for name in self.shards[0]}
        both = torch.from_numpy(columns["tokens"].astype(np.int64))
        words = torch.zeros(len(rows), len(vocabulary())).scatter_(1, both.flatten(1), 1.0)
        words[:, : len(SPECIAL)] = 0
        cells = [torch.from_numpy(columns[name].astype(np.int64)).flatten(1) for name in ("nouns", "colours")]
        return Batch(pixel_values(columns["pixels"]), *cells, both, words)


def _draw(path: Path, first: int, count: int) -> None:
    seen = [sight(first + i) for i in range(count)]
    rows = {name: np.stack([getattr(one, name) for one in seen]) for name in ("pixels", "nouns", "colours")}
    tokens = np.asarray([[_tokens(one, language) for language in LANGUAGES] for one in seen], np.int16)
    with path.with_suffix(".part").open("wb") as stream:
        np.savez(stream, tokens=tokens, **rows)
    path.with_suffix(".part").replace(path)


def _tokens(seen: Sight, language: str) -> list[int]:
    places = {piece: at for at, piece in enumerate(vocabulary())}
    ids = [ENGLISH if language == "en" else CHINESE, *(places[p] for p in pieces(seen.scene, language)), END]
    return [*ids, *[PAD] * (ROOM - len(ids))]


def pixel_values(pixels: np.ndarray) -> Tensor:
    """(n, SIDE, SIDE, 3) bytes as the image processor gives them: -1..1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss_of(network: VisionEncoderDecoderModel, aids: Aids, batch: Batch) -> dict[str, Tensor]:
    """What is to be small: wrong words of the captions, of the cells, and of the whole picture."""
    looks = network.encoder(batch.pixels.to(memory_format=torch.channels_last)).last_hidden_state
    cells = looks[:, 1:]  # before them is one for the whole picture
    words = network.decoder.lm_head(cells.mean(1)) + aids.common
    nouns_there, colours_there = aids.noun(cells).float(), aids.colour(cells).float()
    missed = functional.binary_cross_entropy_with_logits(words.float(), batch.words, reduction="none")
    return {
        "said": sum(wrong_words(network, looks, tokens) for tokens in batch.tokens.unbind(1)) / len(LANGUAGES),
        "noun": 3 * functional.cross_entropy(nouns_there.transpose(1, 2), batch.nouns, ignore_index=-1),
        "colour": 4 * functional.cross_entropy(colours_there.transpose(1, 2), batch.colours, ignore_index=-1),
        "words": 0.02 * missed.sum(1).mean(),
    }


def wrong_words(network: VisionEncoderDecoderModel, looks: Tensor, captions: Tensor) -> Tensor:
    """How wrongly captions (n, ROOM) of one language are said, from what the encoder saw."""
    tokens = captions[:, : int((captions != PAD).sum(1).max())]
    said = network.decoder(tokens[:, :-1], encoder_hidden_states=looks, attention_mask=(tokens != PAD)[:, :-1]).logits
    return functional.cross_entropy(said.float().transpose(1, 2), tokens[:, 1:], ignore_index=PAD)


def rate(step: int, of: int) -> float:
    """Up in 100 steps, then down in half a wave."""
    return LEARNING_RATE * min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * step / of))


def train(
    work: Path, steps: int, of: int, pictures: int, measured: int, size: int = BATCH
) -> VisionEncoderDecoderModel:
    """Goes on from `work` to step `steps` of a training that has `of`."""
    torch.manual_seed(SEED)
    network, aids = new_network().to(memory_format=torch.channels_last), Aids()
    parameters = [*network.parameters(), *aids.parameters()]
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.02)
    work.mkdir(parents=True, exist_ok=True)
    checkpoint, done = work / "captioner.pt", 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(kept["network"])
        aids.load_state_dict(kept["aids"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["done"]
    sights = Sights(work / "sights", pictures) if done < steps else None
    began, saved, first = time.monotonic(), time.monotonic(), done
    network.train()
    while sights is not None and done < steps:
        optimizer.param_groups[0]["lr"] = rate(done, of)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = loss_of(network, aids, sights.batch(done, size))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done += 1
        if done == steps or time.monotonic() - saved > SAVE_SECONDS:
            state = {"network": network.state_dict(), "aids": aids.state_dict()}
            torch.save(state | {"optimizer": optimizer.state_dict(), "done": done}, work / "captioner.part")
            (work / "captioner.part").replace(checkpoint)
            told = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            right = measure(network.eval(), new_tokenizer(), measured)
            network.train()
            seconds = (time.monotonic() - began) / max(1, done - first)
            print(f"{done}/{of} {told} {right} {seconds:.2f} s/step", flush=True)
            saved = time.monotonic()
    return network.eval()


def save(network: VisionEncoderDecoderModel, output: Path) -> None:
    """The folder, as transformers reads it: half the bytes for a number, and a pooler, which it expects of a DPT and
    nothing uses."""
    network.encoder.pooler = DPTViTPooler(network.encoder.config)
    for unused in network.encoder.pooler.parameters():
        nn.init.zeros_(unused)
    network.half().save_pretrained(output)
    new_tokenizer().save_pretrained(output)
    ViTImageProcessor(size={"height": SIDE, "width": SIDE}, resample=2).save_pretrained(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints are kept")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--pictures", type=int, default=40_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measured", type=int, default=400, help="held-out scenes in the figures at the end")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    network = train(asked.work, asked.steps, asked.steps, asked.pictures, 16)
    save(network, asked.output)
    print(measure(network.float(), new_tokenizer(), asked.measured))


if __name__ == "__main__":
    main()
